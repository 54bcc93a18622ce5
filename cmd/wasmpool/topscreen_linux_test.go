package main

import (
	"bytes"
	"io"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/jobsocket"
)

// A growing text, which one goroutine writes and another reads.
type growing struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (g *growing) Write(b []byte) (int, error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.Write(b)
}

func (g *growing) String() string {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.text.String()
}

// await waits until the text has something.
func (g *growing) await(t *testing.T, want string) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !strings.Contains(g.String(), want); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after a minute %q is not in %q", want, g)
		}
	}
}

// TestStatusKeys shows a job on a terminal, and kills its only call by keys; then the job ends, and with it
// what shows it.
func TestStatusKeys(t *testing.T) {
	t.Setenv(jobsocket.Env, t.TempDir()+"/jobs")
	var out, said bytes.Buffer
	mapped := make(chan int, 1)
	go func() {
		a := &app{in: strings.NewReader("10000000\n"), out: &out, err: &said}
		mapped <- a.execute(t.Context(), []string{"map", "testdata/tasks", "spin", "--jsonl", "-", "--workers", "1", "--progress", "none"})
	}()
	var name string
	for end := time.Now().Add(time.Minute); name == ""; time.Sleep(10 * time.Millisecond) {
		list, err := jobsocket.List(t.Context())
		if len(list) == 1 {
			name = list[0].Name
		}
		if err != nil || time.Now().After(end) {
			t.Fatalf("after a minute the jobs are %v, %v", list, err)
		}
	}
	tty, control := openPseudoTerminal(t)
	var text growing
	go io.Copy(&text, control) //nolint:errcheck // it ends with EIO when the terminal is closed
	shown := make(chan int, 1)
	go func() {
		a := &app{in: tty, out: tty, err: tty}
		shown <- a.execute(t.Context(), []string{"status", name})
	}()
	press := func(keys string) {
		t.Helper()
		if _, err := io.WriteString(control, keys); err != nil {
			t.Fatal(err)
		}
	}
	text.await(t, "input 0")
	press("K")
	text.await(t, "choose a running call first")
	press("\x1b[B")
	text.await(t, topTurn+"1     spin  input 0")
	press("K")
	text.await(t, "kill call 1 of spin? y n")
	press("n")
	text.await(t, "q quit   j k choose a call")
	press("Ky")
	for who, code := range map[string]chan int{"map": mapped, "status": shown} {
		select {
		case got := <-code:
			if want := map[string]int{"map": 1, "status": 0}[who]; got != want {
				t.Errorf("%s has the exit code %d, want %d", who, got, want)
			}
		case <-time.After(time.Minute):
			t.Fatalf("%s runs a minute after the call was killed: %q", who, text.String())
		}
	}
	if !strings.Contains(out.String(), `"message":"killed by wasmpool status"`) {
		t.Errorf("the map wrote %s", &out)
	}
	text.await(t, topEnd+"wasmpool: job "+name+" has ended: ")
	tty.Close()
	control.Close()
}
