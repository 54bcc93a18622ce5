package executor

import (
	"math"
	"sync/atomic"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
)

const (
	firstAhead = 64       // calls that a map reads ahead at first
	mostAhead  = 64 << 10 // and at most, when workers would have nothing to do otherwise
)

// A lookahead bounds how far a feeder reads ahead: how many calls may be open. A call is open
// from when it is submitted until its result is taken or, in a batch, until it has an outcome.
// That of a map also bounds the bytes of their arguments and results.
type lookahead struct {
	// What the feeder's goroutine and the one that takes the results write for each call is apart from the rest, so
	// that neither waits for the other's cache line.
	fed   atomic.Int64 // calls that were submitted
	_     [64]byte
	taken atomic.Int64 // of those, the ones that are not open any more
	_     [64]byte

	room    chan struct{} // woken when there may be room
	blocked atomic.Bool   // the feeder's goroutine waits for room,
	resume  atomic.Int64  // until so many calls are taken

	dispatcher *dispatcher.Dispatcher // of a map; nil for a stream or a batch
	held       *holding               // the results of a map that were not taken
	mostHeld   int64                  // bytes of them
	grows      bool                   // calls is doubled when workers have nothing to do
	_          [64]byte

	// Only used by the feeder's goroutine.
	calls int64 // the most that may be open
	seen  int64 // what taken was when it was last looked at
}

// ofMap sets up the look-ahead of a map, which is as far as keeps the workers busy. It
// returns how many arguments make a chunk.
func (a *lookahead) ofMap(d *dispatcher.Dispatcher, mostHeld int64, set *mapSettings) (chunk int) {
	a.room = make(chan struct{}, 1)
	a.dispatcher, a.held, a.mostHeld = d, &holding{room: a.room}, mostHeld
	chunk = min(max(set.chunk, 1), mostAhead)
	if set.buffer > 0 {
		a.calls = int64(set.buffer)
		return min(chunk, set.buffer)
	}
	a.calls, a.grows = int64(max(firstAhead, chunk)), true
	return chunk
}

// fixed sets up the look-ahead of a stream or a batch: as large as the buffer says, or without bounds.
func (a *lookahead) fixed(set *mapSettings) {
	a.room = make(chan struct{}, 1)
	if a.calls = int64(set.buffer); a.calls == 0 {
		a.calls = math.MaxInt64
	}
}

// watch makes the loop put a token into room when workers have nothing to do: then a map reads on before a
// good part of its look-ahead is free, or looks further ahead.
func (a *lookahead) watch() {
	if a.dispatcher != nil {
		a.dispatcher.Demand().Notify(a.room)
	}
}

// ignore undoes watch.
func (a *lookahead) ignore() {
	if a.dispatcher != nil {
		a.dispatcher.Demand().Ignore(a.room)
	}
}

// idle reports whether no call is open.
func (a *lookahead) idle() bool { return a.taken.Load() == a.fed.Load() }

// overfull reports whether another argument of so many bytes is too much for a map.
func (a *lookahead) overfull(arg int64) bool {
	return a.held != nil && arg >= leastHeld && a.held.overfull(arg, a.dispatcher.Slots())
}

// opens reports whether another call may be submitted, with an argument of so many bytes,
// besides those that were read and not submitted. If not, room is woken when it may be.
func (a *lookahead) opens(read int, arg int64) bool {
	if a.fits(read, arg) {
		return true
	}
	// No more can be taken than was submitted, however much was read besides.
	fed := a.fed.Load()
	resume := min(fed, fed+int64(read)-a.low())
	if a.held != nil && !a.holdsBytes(fed-a.seen, arg) {
		resume = 0 // the next result that is taken may make room
	}
	a.resume.Store(resume)
	a.blocked.Store(true)
	if !a.fits(read, arg) {
		return false
	}
	a.blocked.Store(false)
	return true
}

// low is how many calls may be open when the feeder goes on after there was no room. In a map that
// looks as far ahead as keeps the workers busy a good part of the look-ahead must be free, so that the feeder and
// the goroutine that takes the results do not wake each other for each call: when workers have nothing to do it looks further
// ahead. With a buffer it goes on after each result, as the caller may make the next argument of that.
func (a *lookahead) low() int64 {
	if a.grows {
		return a.calls * 3 / 4
	}
	return a.calls - 1
}

// fits reports whether another call may be submitted. When workers have nothing to do, it
// makes the look-ahead of a map longer. As long as there is room without the results that were taken
// lately, it does not ask for those.
func (a *lookahead) fits(read int, arg int64) bool {
	fed := a.fed.Load()
	if a.holds(fed-a.seen, read, arg) {
		return true
	}
	a.seen = a.taken.Load()
	open := fed - a.seen
	switch {
	case a.dispatcher == nil:
		return open < a.calls
	case !a.holdsBytes(open, arg):
		a.held.waits.Store(true) // opens looks again after this
		return false
	}
	open += int64(read)
	if a.grows && open >= a.calls && a.calls < mostAhead && (a.held.mostlyFound(open) || a.dispatcher.Demand().Take()) {
		a.calls *= 2
	}
	return open < a.calls
}

// holds reports whether there is room for another call while so many are open. If there is, there is with fewer, too.
func (a *lookahead) holds(open int64, read int, arg int64) bool {
	if a.dispatcher == nil {
		return open < a.calls
	}
	return open+int64(read) < a.calls && a.holdsBytes(open, arg)
}

// holdsBytes reports whether there is room in a map for another argument and another result while so many calls are open.
func (a *lookahead) holdsBytes(open, arg int64) bool {
	return (open == 0 || !a.overfull(arg)) && a.held.fits(open, a.mostHeld, a.dispatcher.Slots(), !a.grows)
}

// gave notes that a call with an argument of so many bytes was submitted.
func (a *lookahead) gave(arg int64) {
	if a.held != nil {
		a.held.args.add(arg)
	}
	a.fed.Add(1)
}

// found notes that the result of a call which is about to be resolved was found.
func (a *lookahead) found(result int64) {
	if a.held != nil {
		a.held.find(result)
	}
}

// reserve makes up to n calls with short arguments open, and returns how many. There is room for one.
func (a *lookahead) reserve(n int) int {
	fed := a.fed.Load()
	open := fed - a.taken.Load()
	n = int(max(min(int64(n), a.calls-open, a.held.fitting(open, a.mostHeld, a.dispatcher.Slots(), !a.grows)), 1))
	a.fed.Store(fed + int64(n))
	return n
}

// unreserve takes back that n calls are open, which were not submitted.
func (a *lookahead) unreserve(n int) { a.fed.Add(int64(-n)) }

// hurry reports whether who has taken the results of so many calls is to say so at once: the feeder's goroutine waits for that, the
// look-ahead is one that the caller has set, or there are long results. Of these it must not count on any that was taken: the caller may
// make the next argument of it, and wait until that is accepted.
func (a *lookahead) hurry(calls int) bool {
	return !a.grows || a.held.each.Load() > 0 || a.blocked.Load() && a.taken.Load()+int64(calls) >= a.resume.Load()
}

// let notes that the result of a call of a block is not held any more.
func (a *lookahead) let(result []byte) {
	if a.held != nil && len(result) >= leastHeld {
		a.held.results.remove(int64(len(result)))
	}
}

// letFound is let for a call whose result was found.
func (a *lookahead) letFound(result []byte) {
	if a.held != nil {
		a.held.unfind(int64(len(result)))
	}
}

// letCall is let for a call with an argument of so many bytes.
func (a *lookahead) letCall(arg int64, result []byte, err error) {
	if a.held != nil {
		a.held.took(arg, result, err)
	}
}

// took notes that calls are not open any more.
func (a *lookahead) took(calls int64) {
	if n := a.taken.Add(calls); a.blocked.Load() && n >= a.resume.Load() {
		dispatcher.Wake(a.room)
	}
}
