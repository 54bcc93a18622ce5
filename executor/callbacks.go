package executor

import (
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
)

// callbacks runs what OnDone was given, one after the other, in the order in
// which it came due. There is a goroutine as long as something is due.
type callbacks struct {
	log *slog.Logger

	mu      sync.Mutex
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
	if !c.running {
		c.running, c.idle = true, make(chan struct{})
		go c.run()
	}
}

func (c *callbacks) run() {
	for {
		c.mu.Lock()
		due := c.due
		c.due = nil
		if len(due) == 0 {
			c.running = false
			close(c.idle)
			c.mu.Unlock()
			return
		}
		c.mu.Unlock()
		for i := range due {
			c.call(due[i])
			due[i] = callback{}
		}
	}
}

// call runs one callback. A panic of it is logged and stops nobody.
func (c *callbacks) call(b callback) {
	defer func() {
		if v := recover(); v != nil {
			c.log.Error("a callback panicked", "of", b.of.String(), "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
		}
	}()
	b.fn()
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
