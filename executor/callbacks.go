package executor

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
)

// callbacks runs what OnDone was given, one after the other, in the order in
// which it came due. There is a goroutine as long as something is due.
type callbacks struct {
	log *slog.Logger

	taken []callback // what the goroutine has yet to run

	mu      sync.Mutex
	waiting map[*dispatcher.Call][]callback // what is due when the call has an outcome, in that order
	due     []callback
	idle    chan struct{} // closed when the goroutine ends; nil while there is none
	running bool
}

type callback struct {
	fn func()
	of fmt.Stringer
}

// add runs fn, a callback of something, soon. It does not block.
func (c *callbacks) add(of fmt.Stringer, fn func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.due = append(c.due, callback{fn, of})
	c.start()
}

// start starts the goroutine if there is none. mu is held.
func (c *callbacks) start() {
	if !c.running {
		c.running, c.idle = true, make(chan struct{})
		go c.run()
	}
}

// when runs fn, a callback of something, once a call has an outcome, behind what came before it: also
// behind what is about to become due, as the call has just got it. It does not block.
func (c *callbacks) when(of *dispatcher.Call, what fmt.Stringer, fn func()) {
	c.mu.Lock()
	due, waits := c.waiting[of]
	if c.waiting == nil {
		c.waiting = map[*dispatcher.Call][]callback{}
	}
	c.waiting[of] = append(due, callback{fn, what})
	c.mu.Unlock()
	if !waits {
		of.Tell(c)
	}
}

// Resolved implements dispatcher.Listener.
func (c *callbacks) Resolved(of *dispatcher.Call) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.due = append(c.due, c.waiting[of]...)
	delete(c.waiting, of)
	c.start()
}

func (c *callbacks) run() {
	through := false
	defer func() {
		if !through { // a callback ended this goroutine
			go c.run()
		}
	}()
	for {
		for len(c.taken) > 0 {
			next := c.taken[0]
			c.taken[0] = callback{}
			c.taken = c.taken[1:]
			c.call(next)
		}
		c.mu.Lock()
		c.taken, c.due = c.due, nil
		if through = len(c.taken) == 0; through {
			c.running = false
			close(c.idle)
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
	}
}

// call runs one callback. What it does wrong is logged and stops nobody.
func (c *callbacks) call(b callback) {
	returned := false
	defer func() {
		if v := recover(); v != nil {
			c.log.Error("a callback panicked", "of", b.of.String(), "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		} else if !returned {
			c.log.Error("a callback ended its goroutine, by runtime.Goexit or a test's FailNow; those after it run", "of", b.of.String())
		}
	}()
	b.fn()
	returned = true
}

// through waits until what is due now has run, unless a callback calls it. It returns
// ctx's error when that ends first.
func (c *callbacks) through(ctx context.Context) error {
	c.mu.Lock()
	running := c.running
	c.mu.Unlock()
	if !running || insideCallback() {
		return nil
	}
	done := make(chan struct{})
	c.add(c, func() { close(done) })
	if !await(ctx, done) {
		return ctx.Err()
	}
	return nil
}

// String implements fmt.Stringer: it is what a callback of no future is of.
func (c *callbacks) String() string { return "the executor" }

// insideCallback reports whether it runs below a callback: it looks for one on the stack.
func insideCallback() bool {
	pcs := make([]uintptr, 64)
	for skip := 0; ; skip += len(pcs) {
		n := runtime.Callers(skip, pcs)
		frames := runtime.CallersFrames(pcs[:n])
		for more := n > 0; more; {
			var f runtime.Frame
			f, more = frames.Next()
			if strings.HasSuffix(f.Function, ".(*callbacks).call") {
				return true
			}
		}
		if n < len(pcs) {
			return false
		}
	}
}

// wait blocks until nothing is due.
func (c *callbacks) wait() {
	c.mu.Lock()
	idle, running := c.idle, c.running
	c.mu.Unlock()
	if running {
		<-idle
	}
}
