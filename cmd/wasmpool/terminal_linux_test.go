package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// openTerminal returns a pseudo terminal and a function that closes it and
// returns what was written to it.
func openTerminal(t *testing.T) (tty *os.File, written func() string) {
	t.Helper()
	tty, control := openPseudoTerminal(t)
	var text bytes.Buffer
	done := make(chan struct{})
	go func() {
		defer close(done)
		io.Copy(&text, control) //nolint:errcheck // it ends with EIO when the terminal is closed
	}()
	return tty, func() string {
		tty.Close()
		<-done
		control.Close()
		return text.String()
	}
}

// openPseudoTerminal returns a terminal, and what is at its other end.
func openPseudoTerminal(t *testing.T) (tty, control *os.File) {
	t.Helper()
	control, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	var number uint32
	conn, err := control.SyscallConn()
	if err != nil {
		t.Fatal(err)
	}
	var ioctlErr error
	err = conn.Control(func(fd uintptr) {
		if ioctlErr = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); ioctlErr == nil {
			number, ioctlErr = unix.IoctlGetUint32(int(fd), unix.TIOCGPTN)
		}
	})
	if err != nil || ioctlErr != nil {
		t.Fatal(err, ioctlErr)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return tty, control
}

// On a terminal the prompt should not stick to the result.
func TestRunOnTerminal(t *testing.T) {
	t.Parallel()
	tty, written := openTerminal(t)
	var stderr bytes.Buffer
	a := &app{in: tty, out: tty, err: &stderr} // no argument: that of a terminal is empty
	if code := a.execute(t.Context(), []string{"run", "testdata/tasks", "where"}); code != 0 {
		t.Errorf("exit code %d: %s", code, &stderr)
	}
	if got := written(); got != "0\r\n" {
		t.Errorf("the terminal shows %q, want 0 and a new line", got)
	}
}

// A call that takes a while shows that it runs.
func TestRunShowsProgress(t *testing.T) {
	t.Parallel()
	tty, written := openTerminal(t)
	a := &app{in: tty, out: tty, err: tty}
	if code := a.execute(t.Context(), []string{"run", "testdata/tasks", "spin", "--arg", "600"}); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got := written(); !strings.Contains(got, "running, ") || !strings.HasSuffix(got, clearLine+"600\r\n") {
		t.Errorf("the terminal shows %q, want that the call runs, and in its place the result", got)
	}
}

// Nobody wants to see the bytes of a module.
func TestBuildOnTerminal(t *testing.T) {
	t.Parallel()
	tty, written := openTerminal(t)
	var stderr bytes.Buffer
	a := &app{in: tty, out: tty, err: &stderr}
	if code := a.execute(t.Context(), []string{"build", "testdata/tasks", "-o", "-"}); code != exitSetup || !strings.Contains(stderr.String(), "-o - would write the module to the terminal: give a file") {
		t.Errorf("exit code %d: %s", code, &stderr)
	}
	if got := written(); got != "" {
		t.Errorf("the terminal shows %q", got)
	}
}

func TestMapShowsProgress(t *testing.T) {
	t.Parallel()
	tty, written := openTerminal(t)
	var out bytes.Buffer
	a := &app{in: strings.NewReader("400\n400\n400\n400\n"), out: &out, err: tty}
	if code := a.execute(t.Context(), []string{"map", "testdata/tasks", "spin", "--jsonl", "-", "--workers", "1"}); code != 0 {
		t.Errorf("exit code %d", code)
	}
	if got := strings.Count(out.String(), `"ok":true`); got != 4 {
		t.Errorf("%d results, want 4", got)
	}
	got := written()
	if !strings.Contains(got, " so far"+clearLine) || !strings.Contains(got, clearLine+"wasmpool: 4 calls") {
		t.Errorf("the terminal shows %q, want a footer, and then a summary", got)
	}
}

// Results on the terminal stand above the footer, whole lines. A module that is new here is
// compiled first, and it says so.
func TestMapOnTerminal(t *testing.T) {
	t.Setenv("WASMPOOL_CACHE", t.TempDir())
	tty, written := openTerminal(t)
	a := &app{in: strings.NewReader("400\n500\n"), out: tty, err: tty}
	if code := a.execute(t.Context(), []string{"map", "testdata/tasks", "spin", "--jsonl", "-", "--workers", "1", "-v"}); code != 0 {
		t.Errorf("exit code %d", code)
	}
	got := written()
	for line := range strings.SplitSeq(strings.TrimSpace(got), "\r\n") {
		if i := strings.LastIndex(line, clearLine); i >= 0 {
			line = line[i+len(clearLine):]
		}
		if !strings.HasPrefix(line, "wasmpool: ") && !strings.HasPrefix(line, `{"i":`) && !strings.HasPrefix(line, "time=") {
			t.Errorf("the line %q has something before it in\n%q", line, got)
		}
	}
	if strings.Count(got, `"ok":true`) != 2 {
		t.Errorf("the terminal shows %q, want 2 results", got)
	}
}
