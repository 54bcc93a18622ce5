package executor

import "sync"

// completions collects futures in the order in which they were resolved, for one goroutine
// that takes them.
type completions struct {
	bell chan struct{} // holds a token when the list may have grown

	mu   sync.Mutex
	list []*Future
}

func newCompletions() *completions { return &completions{bell: make(chan struct{}, 1)} }

// resolved implements listener.
func (c *completions) resolved(f *Future) {
	c.mu.Lock()
	c.list = append(c.list, f)
	first := len(c.list) == 1
	c.mu.Unlock()
	if first {
		ring(c.bell)
	}
}

// take returns the futures resolved since the last take, and forgets them. The next list
// uses the memory of into.
func (c *completions) take(into []*Future) []*Future {
	clear(into)
	c.mu.Lock()
	defer c.mu.Unlock()
	list := c.list
	c.list = into[:0]
	return list
}
