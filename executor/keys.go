package executor

import (
	"fmt"
	"sync"
)

// A keyTable holds the futures without an outcome that were given a key. It is
// safe for concurrent use.
type keyTable struct {
	mu    sync.Mutex
	calls map[string]*Future
}

// join returns the call that has f's key, which is f itself when it is new.
func (t *keyTable) join(f *Future) (*Future, error) {
	key := f.options.key
	t.mu.Lock()
	defer t.mu.Unlock()
	first := t.calls[key]
	switch {
	case first == nil:
		if t.calls == nil {
			t.calls = map[string]*Future{}
		}
		t.calls[key] = f
		return f, nil
	case first.task != f.task || first.size != f.size:
		return nil, fmt.Errorf("executor: key %q is in use for another piece of work: %v", key, first)
	default:
		return first, nil
	}
}

// forget frees the key of a call that is about to be resolved.
func (t *keyTable) forget(f *Future) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.calls[f.options.key] == f {
		delete(t.calls, f.options.key)
	}
}
