package executor

import (
	"context"
	"sync"
)

// An intake is the one way into the loop: submitters add calls and requests,
// the loop drains it whole. It holds submitters back while too much waits.
type intake struct {
	maxCalls int
	maxBytes int64
	wake     func() // wakes the loop if it sleeps

	mu       sync.Mutex
	first    *Future // calls, oldest first
	last     *Future
	number   uint64 // of the last call
	calls    int    // taken in and not yet sent to a worker
	bytes    int64  // their arguments
	requests []func()
	room     chan struct{} // closed when there is room again; nil when nobody waits
	closed   error         // why nothing is taken in any more
}

// add takes a call in, of which the loop must then be told. While too much waits it blocks, until ctx ends.
func (q *intake) add(ctx context.Context, f *Future) error {
	for {
		room, err := q.tryAdd(f, true)
		if room == nil || err != nil {
			return err
		}
		select {
		case <-room:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// tryAdd takes a call in, or returns a channel that says when to try again.
func (q *intake) tryAdd(f *Future, bounded bool) (room <-chan struct{}, err error) {
	size := f.size
	q.mu.Lock()
	if q.closed != nil {
		err = q.closed
		q.mu.Unlock()
		return nil, err
	}
	if bounded && q.calls > 0 && (q.calls >= q.maxCalls || q.bytes+size > q.maxBytes) {
		if q.room == nil {
			q.room = make(chan struct{})
		}
		room = q.room
		q.mu.Unlock()
		return room, nil
	}
	q.number++
	f.number = q.number
	q.calls++
	q.bytes += size
	if q.last == nil {
		q.first = f
	} else {
		q.last.next = f
	}
	q.last = f
	q.mu.Unlock()
	return nil, nil
}

// request runs fn on the loop, soon; never when the loop has ended.
func (q *intake) request(fn func()) {
	q.mu.Lock()
	q.requests = append(q.requests, fn)
	q.mu.Unlock()
	q.wake()
}

// drain returns all that was taken in: a list of calls linked by next, oldest
// first, and requests.
func (q *intake) drain() (first *Future, requests []func()) {
	q.mu.Lock()
	defer q.mu.Unlock()
	first, requests = q.first, q.requests
	q.first, q.last, q.requests = nil, nil, nil
	return first, requests
}

// empty reports whether drain would return nothing.
func (q *intake) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.first == nil && len(q.requests) == 0
}

// sent makes room: calls with so many bytes of arguments no longer wait.
func (q *intake) sent(calls int, bytes int64) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.calls -= calls
	q.bytes -= bytes
	if q.room != nil && q.calls <= q.maxCalls*3/4 && q.bytes <= q.maxBytes*3/4 {
		close(q.room)
		q.room = nil
	}
}

// close refuses further calls with err and lets go who waits for room.
func (q *intake) close(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed == nil {
		q.closed = err
	}
	if q.room != nil {
		close(q.room)
		q.room = nil
	}
}
