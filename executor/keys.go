package executor

import (
	"fmt"
	"hash/maphash"
	"sync"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
)

// A keyTable holds the futures without an outcome that were given a key. It is
// safe for concurrent use.
type keyTable struct {
	mu    sync.Mutex
	calls map[string]keyed
}

// A keyed call is remembered with a hash of its argument, which the result replaces, and of its
// shared inputs.
type keyed struct {
	future *Future
	arg    uint64
	shared bool // others have joined
}

var keySeed = maphash.MakeSeed()

// join returns the call that has the key, which is f itself when the key is new.
func (t *keyTable) join(key string, f *Future) (*Future, error) {
	var h maphash.Hash
	h.SetSeed(keySeed)
	h.Write(f.call.Argument())
	h.WriteString(f.call.SharedKey())
	arg := h.Sum64()
	t.mu.Lock()
	defer t.mu.Unlock()
	first, ok := t.calls[key]
	switch {
	case !ok, first.future.State() == Cancelled: // a worker may still have that one
		if t.calls == nil {
			t.calls = map[string]keyed{}
		}
		t.calls[key] = keyed{future: f, arg: arg}
		return f, nil
	case first.future.call.Task() != f.call.Task() || first.future.call.Size() != f.call.Size() || first.arg != arg:
		return nil, fmt.Errorf("executor: key %q is in use for another piece of work: %v", key, first.future)
	default:
		first.shared = true
		t.calls[key] = first
		return first.future, nil
	}
}

// giveUp frees the key of a call that could not be submitted, unless others have joined: then it returns false.
func (t *keyTable) giveUp(key string, f *Future) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if first := t.calls[key]; first.future == f {
		if first.shared {
			return false
		}
		delete(t.calls, key)
	}
	return true
}

// forget frees the key of a call that is about to be resolved.
func (t *keyTable) forget(key string, c *dispatcher.Call) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if first, ok := t.calls[key]; ok && &first.future.call == c {
		delete(t.calls, key)
	}
}
