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
	if !strings.Contains(got, "calls/s") || !strings.Contains(got, "\r\nwasmpool: 4 calls") && !strings.Contains(got, "\rwasmpool: 4 calls") {
		t.Errorf("the terminal shows %q, want a bar, and then a summary", got)
	}
}
