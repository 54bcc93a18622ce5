package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/internal/scripttest"
)

// The commands of the table of programs in docs/map.md: each kind of program gets its input in the way that it takes it.
func TestPrograms(t *testing.T) {
	t.Setenv("WASMPOOL_CACHE", scripttest.CacheDir())
	python, lua := scripttest.File(t, "python"), scripttest.File(t, "lua")
	for _, c := range []struct {
		stdin string
		args  []string
		want  string
	}{
		{"print(1)\n", []string{"run", python}, "1\n"},
		{"hello", []string{"run", python, "--", "-c", "import sys; print(sys.stdin.read().upper())"}, "HELLO\n"},
		{"", []string{"run", python, "--arg", "21", "--", "-c", "import sys; print(2 * int(sys.argv[1]))", "{}"}, "42\n"},
		{"1\n2\n3\n", []string{"map", lua, "--lines", "-", "--raw", "--", "-e", "print(2 * io.read('*n'))"}, "2\n4\n6\n"},
	} {
		var stdout, stderr bytes.Buffer
		a := &app{in: strings.NewReader(c.stdin), out: &stdout, err: &stderr}
		if code := a.execute(t.Context(), c.args); code != 0 || stdout.String() != c.want {
			t.Errorf("%q: exit code %d, %q, want %q\n%s", c.args, code, &stdout, c.want, &stderr)
		}
	}
}
