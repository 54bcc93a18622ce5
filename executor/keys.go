package executor

import (
	"fmt"
	"hash/maphash"
	"sync"
)

// A keyTable holds the futures without an outcome that were given a key. It is
// safe for concurrent use.
type keyTable struct {
	mu    sync.Mutex
	calls map[string]keyed
}

// A keyed call is remembered with a hash of its argument, which the result replaces.
type keyed struct {
	call *Future
	arg  uint64
}

var keySeed = maphash.MakeSeed()

// join returns the call that has f's key, which is f itself when it is new.
func (t *keyTable) join(f *Future) (*Future, error) {
	key, arg := f.options.key, maphash.Bytes(keySeed, f.data)
	t.mu.Lock()
	defer t.mu.Unlock()
	first, ok := t.calls[key]
	switch {
	case !ok, first.call.State() == Cancelled: // a worker may still have that one
		if t.calls == nil {
			t.calls = map[string]keyed{}
		}
		t.calls[key] = keyed{f, arg}
		return f, nil
	case first.call.task != f.task || first.call.size != f.size || first.arg != arg:
		return nil, fmt.Errorf("executor: key %q is in use for another piece of work: %v", key, first.call)
	default:
		return first.call, nil
	}
}

// forget frees the key of a call that is about to be resolved.
func (t *keyTable) forget(f *Future) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.calls[f.options.key].call == f {
		delete(t.calls, f.options.key)
	}
}
