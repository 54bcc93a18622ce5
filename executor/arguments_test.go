//go:build unix

package executor

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/internal/wire"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

type holder struct{ calls []wire.Call }

func (l *holder) Frame(_ int, frame []byte) {
	typ, count, body, err := wire.Header(frame)
	if err == nil && typ == wire.TypeCalls {
		r := wire.NewReader(count, body)
		var c wire.Call
		for r.NextCall(&c) {
			l.calls = append(l.calls, c)
		}
	}
}
func (l *holder) Lost(int, error) {}

// holdTwo returns a pool whose one worker is the test's and holds two calls.
func holdTwo(t *testing.T, arg func(i int) []byte) (context.Context, []*Future, *mem.Fabric, []wire.Call) {
	tasks := guesttest.Build(t, "testdata/tasks")
	fabric := mem.New(2)
	root := fabric.Endpoint(0)
	ex, err := open(Config{Modules: []*wasmtasks.Module{tasks}, Logger: slog.New(slog.NewTextHandler(io.Discard, nil))}.withDefaults(), root, root.Bell())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(stop)
	fs := []*Future{ex.Submit(ctx, "echo", arg(0)), ex.Submit(ctx, "echo", arg(1))}
	ep := fabric.Endpoint(1)
	send(t, ep, hello(t))
	l := &holder{}
	for len(l.calls) < 2 && ctx.Err() == nil {
		if _, err := ep.Poll(l); err != nil {
			t.Fatal(err)
		}
		time.Sleep(100 * time.Microsecond)
	}
	t.Cleanup(func() {
		c, stop := context.WithTimeout(context.Background(), time.Second)
		defer stop()
		ex.Shutdown(c) //nolint:errcheck // the pool may have lost its worker
	})
	return ctx, fs, fabric, l.calls
}

// Two calls whose long results are said to be one payload.
func TestOnePayloadTwoResults(t *testing.T) {
	ctx, fs, fabric, calls := holdTwo(t, func(int) []byte { return []byte("x") })
	for _, c := range calls {
		send(t, fabric.Endpoint(1), results(c, wire.Result{Long: true, Len: 1 << 20, Payload: 1}))
	}
	for i, f := range fs {
		out, err := f.Result(ctx)
		if err == nil || ctx.Err() != nil {
			t.Errorf("call %d gave %d bytes, %v; the worker sent none", i, len(out), err)
		}
	}
}

// Two arguments that are asked for as one payload.
func TestOnePayloadTwoArguments(t *testing.T) {
	args := [][]byte{bytes.Repeat([]byte("a"), 20000), bytes.Repeat([]byte("b"), 20000)}
	ctx, _, fabric, calls := holdTwo(t, func(i int) []byte { return args[i] })
	for _, c := range calls {
		send(t, fabric.Endpoint(1), pull(wire.Pull{Ticket: c.Ticket, Gen: uint32(c.Number), Payload: 1}))
	}
	time.Sleep(300 * time.Millisecond)
	if ctx.Err() != nil || args[0][0] != 'a' || args[1][0] != 'b' {
		t.Errorf("the caller's arguments are now %.3q and %.3q", args[0], args[1])
	}
}

// openLocal returns a pool of one slot that has run a call.
func openLocal(t *testing.T) *Executor {
	t.Helper()
	tasks := guesttest.Build(t, "testdata/tasks")
	ex, err := Local(Config{RootSlots: 1, Modules: []*wasmtasks.Module{tasks}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ex.Call(t.Context(), "echo", nil); err != nil {
		t.Fatal(err)
	}
	return ex
}

// The caller frees the argument of a call that is resolved since the pool was
// abandoned.
func TestAbandonLocal(t *testing.T) {
	ex := openLocal(t)
	arg, err := unix.Mmap(-1, 0, 800<<20, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		t.Fatal(err)
	}
	f := ex.Submit(t.Context(), "echo", arg)
	unittest.Until(t, "it runs", func() bool { return f.State() == Running || f.call.Resolved() })
	time.Sleep(40 * time.Millisecond)
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if err := ex.Shutdown(gone); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
	if _, err = f.Result(t.Context()); !errors.Is(err, ErrClosed) {
		t.Error(err)
	}
	if err := unix.Munmap(arg); err != nil { // it is resolved: the argument is the test's again
		t.Error(err)
	}
	<-ex.Done()
}

// Call returns because its context ended; its argument is used again, while
// another waits for the call by its key.
func TestKeyedArgument(t *testing.T) {
	ex := openLocal(t)
	defer ex.Shutdown(t.Context())
	long := ex.Submit(t.Context(), "forever", nil)
	unittest.Until(t, "the slot is busy", func() bool { return long.State() == Running })
	buf := bytes.Repeat([]byte("a"), 100_000)
	other := bytes.Clone(buf)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	called := make(chan error, 1)
	go func() {
		_, err := ex.Call(ctx, "echo", buf, Key("k"))
		called <- err
	}()
	unittest.Until(t, "the first call is there", func() bool {
		ex.keys.mu.Lock()
		defer ex.keys.mu.Unlock()
		return len(ex.keys.calls) > 0
	})
	second := ex.Submit(t.Context(), "echo", other, Key("k"))
	cancel()
	if err := <-called; !errors.Is(err, context.Canceled) {
		t.Fatalf("Call ended with %v", err)
	}
	copy(buf, bytes.Repeat([]byte("z"), len(buf))) // it is the test's again
	long.Kill("the slot is needed")
	got, err := second.Result(t.Context())
	if err != nil || !bytes.Equal(got, other) {
		t.Errorf("echo of %.3q is %.3q, %v", other, got, err)
	}
}

// A call whose argument is lent runs elsewhere when its worker is lost.
func TestLoanOfLost(t *testing.T) {
	c := newCluster(t, 3)
	arg := bytes.Repeat([]byte("a"), 1<<20)
	var f *Future
	unittest.Until(t, "it runs", func() bool {
		if f == nil || f.call.Resolved() { // that one was too fast
			f = c.ex.Submit(t.Context(), "burn", append(number(300_000), arg...))
		}
		return f.State() == Running
	})
	time.Sleep(20 * time.Millisecond)
	st, _ := c.ex.Stats(t.Context())
	for _, w := range st.Workers {
		if w.InFlight > 0 {
			c.fabric.Kill(w.Rank)
		}
	}
	if _, err := f.Result(t.Context()); err != nil {
		t.Fatal(err)
	}
}
