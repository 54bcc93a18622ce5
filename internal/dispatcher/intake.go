package dispatcher

import (
	"context"
	"sync"
	"sync/atomic"
)

// An intake is the one way into the loop: other goroutines add calls and requests, and
// the loop drains it whole. It holds submitters back while too much waits. It is safe for
// concurrent use.
type intake struct {
	maxCalls int    // how many calls may wait
	maxBytes int64  // how long their arguments may be, together
	wake     func() // wakes the dispatcher if it sleeps

	mu       sync.Mutex
	first    *Call              // the oldest call
	last     *Call              // the newest
	opened   *Block             // behind them, that may still grow; nil without
	priority int                // of opened
	unseen   bool               // the loop has not come by since opened was handed in
	number   uint64             // of the call that was taken in or promised last; they count from 1
	calls    int                // how many were taken in and not yet sent to a worker
	bytes    int64              // the length of their arguments
	requests []func(*Loop)      // what the loop is to run
	recalls  []*Call            // calls that were cancelled while a worker had them
	promised map[*Call]struct{} // calls that wait for the results of others; see promise
	room     chan struct{}      // closed when there is room again; nil when nobody waits
	closed   error              // why only promised calls are taken in
	ended    error              // why not even those are
}

// add takes a call in, of which the loop must then be told. While too much waits it
// blocks, until ctx ends or the call's executor is shut down.
func (q *intake) add(ctx context.Context, c *Call) error {
	gone := c.owner.Gone
	for {
		room, err := q.tryAdd(c, true)
		if room == nil || err != nil {
			return err
		}
		q.wake() // the loop may make room
		select {
		case <-room:
		case <-gone:
			return q.why()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// tryAdd takes a call in, or returns a channel that says when to try again.
func (q *intake) tryAdd(c *Call, bounded bool) (room <-chan struct{}, err error) {
	size := c.size
	q.mu.Lock() // no defer: each call comes here
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
	q.give(c)
	q.append(c)
	q.mu.Unlock()
	return nil, nil
}

// newest returns the number of the call that was taken in or promised last: later ones have
// higher numbers.
func (q *intake) newest() uint64 {
	defer q.wake() // a block may be whole now
	q.mu.Lock()
	defer q.mu.Unlock()
	q.seal()
	return q.number
}

// give gives a call its number. mu is held.
func (q *intake) give(c *Call) {
	q.seal()
	q.number++
	atomic.StoreUint64(&c.number, q.number)
}

// addBlock takes in a block that has a call, of which the loop must then be told. It may grow until the loop has use for it, or
// something is behind it.
func (q *intake) addBlock(b *Block) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed != nil {
		return q.closed
	}
	q.seal()
	q.opened, q.priority, q.unseen = b, int(b.priority), true
	return nil
}

// seal closes the block that may still grow, and gives its calls their numbers. mu is held.
func (q *intake) seal() {
	b := q.opened
	if b == nil {
		return
	}
	q.opened = nil
	b.number, b.unsettled = q.number+1, b.Close()
	q.number += uint64(b.unsettled)
	b.whole.init(b, 0, b.unsettled, b.size(0, b.unsettled), nil)
	q.append(&b.whole.head)
}

// append adds a call to those that were taken in. mu is held.
func (q *intake) append(c *Call) {
	q.seal()
	q.calls += c.calls()
	q.bytes += c.size
	if q.last == nil {
		q.first = c
	} else {
		q.last.next = c
	}
	q.last = c
}

// promise announces a call that will come when another has ended. It counts as
// submitted: the loop does not end before keep or release.
func (q *intake) promise(c *Call) error {
	defer q.wake() // a block may be whole now
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed != nil {
		return q.closed
	}
	if q.promised == nil {
		q.promised = map[*Call]struct{}{}
	}
	q.give(c)
	q.promised[c] = struct{}{}
	return nil
}

// keep takes in a call that was promised, and is held, with its argument, and options: others looked at those while it was promised. The
// loop must then be told.
func (q *intake) keep(c *Call, arg []byte, options *Options) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	delete(q.promised, c)
	c.data, c.size, c.options = arg, int64(len(arg)), options
	c.state.Store(uint32(Pending))
	if q.ended == nil {
		q.append(c)
	}
	return q.ended
}

// release takes back a promise.
func (q *intake) release(c *Call) {
	q.mu.Lock()
	delete(q.promised, c)
	q.mu.Unlock()
	q.wake()
}

// promises returns the promised calls that match.
func (q *intake) promises(match func(*Call) bool) []*Call {
	q.mu.Lock()
	defer q.mu.Unlock()
	var calls []*Call
	for c := range q.promised {
		if match(c) {
			calls = append(calls, c)
		}
	}
	return calls
}

// recall tells the loop that a call which a worker has is not wanted any more.
func (q *intake) recall(c *Call) {
	q.mu.Lock()
	q.recalls = append(q.recalls, c)
	q.mu.Unlock()
	q.wake()
}

// request has the loop run fn, soon; never when the loop has ended.
func (q *intake) request(fn func(*Loop)) {
	q.mu.Lock()
	if q.ended == nil { // else nobody would ever take it
		q.requests = append(q.requests, fn)
	}
	q.mu.Unlock()
	q.wake()
}

// drain returns all that was taken in: a list of calls linked by next, oldest
// first, requests, and calls that are not wanted any more. The block that may still grow stays unless all is wanted, or there
// are requests, which may be about its calls.
func (q *intake) drain(all bool) (first *Call, requests []func(*Loop), recalls []*Call) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if all || len(q.requests) > 0 {
		q.seal()
	}
	q.unseen = false
	first, requests, recalls = q.first, q.requests, q.recalls
	q.first, q.last, q.requests, q.recalls = nil, nil, nil, nil
	return first, requests, recalls
}

// takeOpened returns all calls that were taken in, as drain does. The block that may still grow is one of them if its priority is
// higher than that. It reports false, with none, when there are requests: what was requested before a call was made is done before it is sent.
func (q *intake) takeOpened(priority int) (first *Call, ok bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.requests) > 0 {
		return nil, false
	}
	if q.opened != nil && q.priority > priority {
		q.seal()
	}
	first = q.first
	q.first, q.last = nil, nil
	return first, true
}

// empty reports whether there is nothing that the loop has not seen.
func (q *intake) empty() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.first == nil && (q.opened == nil || !q.unseen) && len(q.requests) == 0 && len(q.recalls) == 0
}

// grows reports whether there is a block that may still grow: its calls wait, too.
func (q *intake) grows() bool { return q.growing() > 0 }

// growing returns how many calls the block has that may still grow.
func (q *intake) growing() (calls int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.opened != nil {
		calls, _ = q.opened.Len()
	}
	return calls
}

// holds reports whether a call is there or promised.
func (q *intake) holds() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.first != nil || q.opened != nil || len(q.promised) > 0
}

// drained reports whether nothing is there and nothing is promised.
func (q *intake) drained() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.first == nil && q.opened == nil && len(q.requests) == 0 && len(q.recalls) == 0 && len(q.promised) == 0
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

// failure returns what broke the pool, if it did: from before its calls are resolved on.
func (q *intake) failure() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.ended == ErrClosed { //nolint:errorlint // it is the very value
		return nil
	}
	return q.ended
}

// takes reports whether calls are taken in.
func (q *intake) takes() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.closed == nil
}

// why returns why calls are not taken in: with ErrClosed where it is not known, as of an owner that takes none.
func (q *intake) why() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.closed != nil {
		return q.closed
	}
	return ErrClosed
}

// crowded reports whether somebody waits for room.
func (q *intake) crowded() bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.room != nil
}

// close refuses further calls with err, also in the block that may still grow, and lets those go that wait for room.
func (q *intake) close(err error) {
	defer q.wake()
	q.mu.Lock()
	defer q.mu.Unlock()
	q.seal()
	if q.closed == nil {
		q.closed = err
	}
	if q.room != nil {
		close(q.room)
		q.room = nil
	}
}

// end refuses even what was promised.
func (q *intake) end(err error) {
	q.close(err)
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ended = err
}

// Add takes a call in, which Serve, Attend or Wake must follow. While too much waits it blocks, until
// ctx ends or the call's owner takes no call any more.
func (d *Dispatcher) Add(ctx context.Context, c *Call) error { return d.in.add(ctx, c) }

// TryAdd takes a call in however much waits, and wakes the loop. It does not block.
func (d *Dispatcher) TryAdd(c *Call) error {
	if _, err := d.in.tryAdd(c, false); err != nil {
		return err
	}
	d.Wake()
	return nil
}

// AddBlock takes in a block that has a call, however much waits, and wakes the loop. It does not block. Until the loop has use
// for the block, calls may be added to it.
func (d *Dispatcher) AddBlock(b *Block) error {
	if err := d.in.addBlock(b); err != nil {
		return err
	}
	d.Wake()
	return nil
}

// Seal makes the block that may still grow whole: no call is added to it any more.
func (d *Dispatcher) Seal() { d.in.newest() }

// Request has the loop run fn, soon; never when the loop has ended.
func (d *Dispatcher) Request(fn func(*Loop)) { d.in.request(fn) }

// Newest returns the number of the call that was taken in last: later ones have higher numbers.
func (d *Dispatcher) Newest() uint64 { return d.in.newest() }

// Close refuses further calls with err and lets those go that wait for room.
func (d *Dispatcher) Close(err error) { d.in.close(err) }

// Takes reports whether calls are taken in.
func (d *Dispatcher) Takes() bool { return d.in.takes() }

// Closed returns why no call of an owner is taken in that takes none any more, or that the pool does not take.
func (d *Dispatcher) Closed() error { return d.in.why() }

// Failure returns what broke the pool, if it did: from before its calls are resolved on.
func (d *Dispatcher) Failure() error { return d.in.failure() }
