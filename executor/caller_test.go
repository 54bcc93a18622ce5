package executor

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// openSleeping returns a local pool whose dispatcher sleeps, so that the next caller runs
// the loop.
func openSleeping(t *testing.T, log slog.Handler) *Executor {
	t.Helper()
	tasks := guesttest.Build(t, "testdata/tasks")
	ex, err := Local(Config{RootSlots: 2, Modules: []*wasmtasks.Module{tasks}, Logger: slog.New(log)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, stop := context.WithTimeout(context.Background(), time.Minute)
		defer stop()
		ex.Shutdown(ctx) //nolint:errcheck // the pool may be broken
		<-ex.Done()
	})
	if _, err := ex.Call(t.Context(), "echo", []byte("x")); err != nil {
		t.Fatal(err)
	}
	unittest.Until(t, "the dispatcher sleeps", ex.dispatcher.Probe().Asleep)
	return ex
}

// A panic on the goroutine of a caller who recovers it.
func TestCallerPanic(t *testing.T) {
	ex := openSleeping(t, slog.NewTextHandler(io.Discard, nil))
	ex.dispatcher.Probe().Slip(func(*dispatcher.Loop) { panic("a bug") })
	func() {
		defer func() {
			if v := recover(); v != "a bug" {
				t.Errorf("the caller saw %v", v)
			}
		}()
		ex.Call(t.Context(), "echo", []byte("x")) //nolint:errcheck // it panics
	}()
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	if _, err := ex.Call(ctx, "echo", []byte("x")); err == nil || ctx.Err() != nil {
		t.Errorf("a call after it: %v", err)
	}
	if err := ex.Shutdown(ctx); !errors.Is(err, dispatcher.ErrPanicked) {
		t.Errorf("Shutdown = %v", err)
	}
}

// A lockedLog needs a lock to be written.
type lockedLog struct {
	slog.Handler
	mu      *sync.Mutex
	written chan string
}

func (l lockedLog) Handle(_ context.Context, line slog.Record) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.written <- line.Message
	return nil
}

// The log's lock is the caller's while it submits.
func TestCallerLog(t *testing.T) {
	log := lockedLog{slog.NewTextHandler(io.Discard, nil), new(sync.Mutex), make(chan string, 10)}
	ex := openSleeping(t, log)
	ex.dispatcher.Probe().Slip(func(l *dispatcher.Loop) { l.Log().Warn("the loop has something to say") })
	log.mu.Lock()
	f := ex.Submit(t.Context(), "echo", []byte("x"))
	select {
	case line := <-log.written:
		t.Errorf("%q was written without the lock", line)
	default:
	}
	log.mu.Unlock()
	if _, err := f.Result(t.Context()); err != nil {
		t.Error(err)
	}
	if line := <-log.written; line != "the loop has something to say" {
		t.Errorf("%q was written", line)
	}
}

// Callers come and go while the loop falls asleep and wakes. None may be forgotten.
func TestCallerStress(t *testing.T) {
	ex := openSleeping(t, slog.NewTextHandler(io.Discard, nil))
	ctx, stop := context.WithTimeout(t.Context(), time.Minute)
	defer stop()
	end := time.Now().Add(2 * time.Second)
	var callers sync.WaitGroup
	for i := range 6 {
		callers.Go(func() {
			rnd := rand.New(rand.NewPCG(1, uint64(i)))
			for n := uint64(0); time.Now().Before(end); n++ {
				arg := binary.LittleEndian.AppendUint64(nil, n)
				var out []byte
				var err error
				switch rnd.IntN(3) {
				case 0:
					out, err = ex.Call(ctx, "echo", arg)
				case 1:
					out, err = ex.Submit(ctx, "echo", arg).Result(ctx)
				default:
					_, err = ex.Stats(ctx) // by a request
					out = arg
				}
				if err != nil || string(out) != string(arg) {
					t.Errorf("echo of %x is %x, %v", arg, out, err)
					return
				}
				if pause := rnd.IntN(4); pause > 0 {
					time.Sleep(time.Duration(rnd.IntN(pause * 100_000)))
				}
			}
		})
	}
	callers.Wait()
}

// A pool that is given up when nothing is left is not broken, also where a request comes at
// the same time: as when Run shuts the pool down once more.
func TestAbandonWithNothingLeft(t *testing.T) {
	ex := openSleeping(t, slog.NewTextHandler(io.Discard, nil))
	ex.dispatcher.Probe().Lock()
	ex.dispatcher.Probe().Slip(func(*dispatcher.Loop) { ex.dispatcher.Request(func(*dispatcher.Loop) {}) })
	ex.abandon()
	ex.dispatcher.Probe().Unlock()
	ex.dispatcher.Wake()
	<-ex.Done()
	if ex.err != nil {
		t.Errorf("the pool ended with %v", ex.err)
	}
}
