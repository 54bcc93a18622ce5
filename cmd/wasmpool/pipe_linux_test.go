package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// A map whose input is a pipe that nobody writes to ends with its signal.
func TestMapInterruptedPipe(t *testing.T) {
	t.Parallel()
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := unix.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	ctx, interrupt := context.WithCancel(t.Context())
	var out, stderr bytes.Buffer
	a := &app{in: strings.NewReader(""), out: &out, err: &stderr}
	code := make(chan int, 1)
	go func() { code <- a.execute(ctx, []string{"map", "testdata/add.wasm", "add", "--lines", pipe}) }()
	time.Sleep(300 * time.Millisecond) // so that it waits for the pipe, where the machine is not slower
	interrupt()
	select {
	case got := <-code:
		if got != exitInterrupted || !strings.HasSuffix(stderr.String(), "wasmpool: interrupted\n") {
			t.Errorf("exit code %d, stderr %q, want %d and that it was interrupted", got, &stderr, exitInterrupted)
		}
	case <-time.After(2 * time.Minute):
		t.Error("two minutes after it was interrupted it still waits")
	}
	writer, err := os.OpenFile(pipe, os.O_RDWR, 0) // nobody waits for it any more
	if err != nil {
		t.Fatal(err)
	}
	writer.Close()
}
