package wasmtasks_test

import (
	"bytes"
	"encoding/binary"
	"os"
	"os/exec"
	"strings"
	"testing"
)

// What runs in the interpreter says how each call ended, and goes on: here in an interpreter of this machine.
func TestPythonDriver(t *testing.T) {
	t.Parallel()
	python, err := exec.LookPath("python3")
	if err != nil {
		t.Fatalf("python3 is missing: run make deps: %v", err)
	}
	driver, err := os.ReadFile("driver.py")
	if err != nil {
		t.Fatal(err)
	}
	const script = `
def f(x):
    if x == "fail":
        raise ValueError("\x1b[2J\ud800")
    if x == "surrogate":
        return "\ud800"
    print("printed")
    return x
`
	deep := strings.Repeat("[", 100_000)
	calls := []struct{ arg, want string }{
		{`[1, "ä"]`, "\x00[1, \"ä\"]"},
		{"", "\x03the argument is not JSON"},
		{"{", "\x03the argument is not JSON"},
		{"\xff\xff\xff", "\x03the argument is not JSON"},
		{deep, "\x03the argument is not JSON"},
		{`"fail"`, "\x01ValueError: \x1b[2J"},
		{`"surrogate"`, "\x01UnicodeEncodeError"},
		{"7", "\x007"},
	}
	var in bytes.Buffer
	for _, c := range calls {
		in.Write(binary.LittleEndian.AppendUint32(nil, uint32(len(c.arg))))
		in.WriteString(c.arg)
	}
	for _, env := range []string{"PYTHONUNBUFFERED=", "PYTHONUNBUFFERED=1"} {
		cmd := exec.CommandContext(t.Context(), python, "-c", string(driver), "f", "job.py", script)
		cmd.Env = append(cmd.Environ(), env)
		cmd.Stdin = bytes.NewReader(in.Bytes())
		out, err := cmd.Output()
		if err != nil {
			t.Errorf("%s: it ended: %v", env, err)
		}
		rest := string(out)
		for _, c := range calls {
			_, after, found := strings.Cut(rest, c.want)
			if !found {
				t.Fatalf("%s: %.20q does not give %q: %.200q", env, c.arg, c.want, rest)
			}
			rest = after
		}
	}
}
