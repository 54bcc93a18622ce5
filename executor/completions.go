package executor

import (
	"sync"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
)

// completions collects calls in the order in which they were resolved, for one goroutine
// that takes them.
type completions struct {
	more chan struct{} // holds a token when the list may have grown

	mu   sync.Mutex
	list []*dispatcher.Call
}

func newCompletions() *completions { return &completions{more: make(chan struct{}, 1)} }

// Resolved implements dispatcher.Listener.
func (l *completions) Resolved(c *dispatcher.Call) {
	l.mu.Lock()
	l.list = append(l.list, c)
	first := len(l.list) == 1
	l.mu.Unlock()
	if first {
		dispatcher.Wake(l.more)
	}
}

// take returns the calls resolved since the last take, and forgets them. The next list
// uses the memory of into.
func (l *completions) take(into []*dispatcher.Call) []*dispatcher.Call {
	clear(into)
	l.mu.Lock()
	defer l.mu.Unlock()
	list := l.list
	l.list = into[:0]
	return list
}
