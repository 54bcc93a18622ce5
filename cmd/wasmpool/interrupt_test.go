package main

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/wasmpool/wasmpool/executor"
)

// An interrupted map writes what is done, says so, and exits with 130.
func TestMapInterrupted(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		args    []string
		of, out string
	}{
		{nil, "square", "9"},
		{[]string{"--then", "square"}, "square+square", "81"},
	} {
		t.Run(tt.of, func(t *testing.T) {
			t.Parallel()
			testMapInterrupted(t, tt.args, tt.of, tt.out)
		})
	}
}

func testMapInterrupted(t *testing.T, args []string, of, out string) {
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	stdin, feed := io.Pipe() // never ends by itself
	results, stdout := io.Pipe()
	var stderr bytes.Buffer
	a := &app{in: stdin, out: stdout, err: &stderr}
	code := make(chan int, 1)
	go func() {
		code <- a.execute(ctx, append([]string{"map", "testdata/tasks", "square", "--jsonl", "-", "--workers", "1"}, args...))
		stdout.Close()
		stdin.Close()
	}()
	if _, err := io.WriteString(feed, "3\n"); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(results).ReadString('\n') // it comes although more input may follow
	if !strings.HasPrefix(line, `{"i":0,"of":"`+of+`@`) || !strings.HasSuffix(line, `,"ok":true,"out":`+out+"}\n") || err != nil {
		t.Fatalf("the first result is %q, %v, want input 0 and %s", line, err, out)
	}
	interrupt()
	if got := <-code; got != exitInterrupted {
		t.Errorf("exit code %d, want %d", got, exitInterrupted)
	}
	feed.Close()
	text := stderr.String()
	if !strings.Contains(text, " 1 ok, 0 failed") || !strings.Contains(text, "; the others did not run\n") || !strings.HasSuffix(text, "wasmpool: interrupted\n") {
		t.Errorf("stderr is %q, want a summary and that it was interrupted", text)
	}
}

// A run that waits for its argument on standard input ends, too.
func TestRunInterruptedInput(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	stdin, feed := io.Pipe() // never ends by itself
	defer feed.Close()
	var out, stderr bytes.Buffer
	a := &app{in: stdin, out: &out, err: &stderr}
	code := make(chan int, 1)
	go func() { code <- a.execute(ctx, []string{"run", "testdata/tasks", "echo"}) }()
	if _, err := io.WriteString(feed, "some of it"); err != nil {
		t.Fatal(err)
	}
	interrupt()
	if got := <-code; got != exitInterrupted || !strings.HasSuffix(stderr.String(), "wasmpool: interrupted\n") {
		t.Errorf("exit code %d, stderr %q, want %d and that it was interrupted", got, &stderr, exitInterrupted)
	}
}

func TestCutShort(t *testing.T) {
	t.Parallel()
	failing := func(yield func(int64, executor.Outcome) bool) {
		_ = yield(0, executor.Outcome{Result: []byte("1")}) && yield(1, executor.Outcome{Err: fmt.Errorf("%w: rank 2", executor.ErrNoWorkers)})
	}
	r := newResults(&output{w: io.Discard}, func(int64) string { return "" }, new(plan), newRecordWriter("f@", false), true)
	for range r.arguments(func(yield func(int64, item) bool) { _ = yield(0, item{}) && yield(1, item{}) }) {
		continue
	}
	if err := r.collect(t.Context(), failing); !cutShort(err) || r.done() != 1 {
		t.Errorf("a pool without workers: %v after %d calls, want that others did not run", err, r.done())
	}
	for err, want := range map[error]bool{nil: false, io.ErrShortWrite: false, context.Canceled: true, &executor.SignalError{Signal: syscall.SIGTERM}: true} {
		if got := cutShort(err); got != want {
			t.Errorf("%v: %t", err, got)
		}
	}
}

func TestRunInterruptedBuild(t *testing.T) {
	t.Parallel()
	ctx, interrupt := context.WithCancel(t.Context())
	interrupt()
	var out, stderr bytes.Buffer
	a := &app{in: strings.NewReader(""), out: &out, err: &stderr}
	got := a.execute(ctx, []string{"build", "testdata/tasks", "-o", filepath.Join(t.TempDir(), "t.wasm")})
	if got != exitInterrupted || stderr.String() != "wasmpool: interrupted\n" {
		t.Errorf("exit code %d, stderr %q, want %d and that it was interrupted", got, &stderr, exitInterrupted)
	}
}
