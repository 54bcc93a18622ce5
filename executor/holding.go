package executor

import (
	"sync/atomic"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
)

const (
	// leastHeld is the shortest argument or result that counts, in bytes. As many shorter ones as a
	// map reads ahead at most are 64 MiB together, the bound on those that count.
	leastHeld = 1 << 10

	// aheadBytes is how many bytes of arguments a map holds, of more calls than there are slots.
	aheadBytes = mostAhead * leastHeld

	// firstCalls is how many calls a map reads ahead at least before its first result,
	// of whatever length, has come; and firstOfSlot how many for each slot. With each of the first
	// results it is as many more: the first may be a failure, or short, and say little.
	firstCalls  = 4
	firstOfSlot = 2

	// meanWeight is how many results the mean length of a map's results remembers.
	meanWeight = 64
)

// A holding counts the arguments of a map's calls that have no result, and its results that were not
// taken. When these would become more than Config.HeldBytes, the map submits no further call. A call that was
// submitted always gets its result, and the results of a map can always be taken in the end, so nothing
// waits for ever.
type holding struct {
	mean int64 // bytes of a result, lately; only used by the loop
	came int64 // results and failures, counted up to meanWeight; only used by the loop

	waits atomic.Bool   // the feeder's goroutine found no room, and waits for a result to come
	room  chan struct{} // woken then

	known   atomic.Int64 // came, for others
	each    atomic.Int64 // mean, for others
	results load         // that were not taken
	args    load         // of calls without a result, or that failed

	// Of calls whose results were found in the memo, and not taken. Long results of theirs are among results, too.
	found     atomic.Int64 // calls
	foundLong atomic.Int64 // those with a long result
}

// A load is a number of calls and the bytes of their arguments, or of their results. Short ones do not count.
type load struct{ calls, bytes atomic.Int64 }

func (l *load) add(n int64) {
	if n >= leastHeld {
		l.calls.Add(1)
		l.bytes.Add(n)
	}
}

func (l *load) remove(n int64) {
	if n >= leastHeld {
		l.calls.Add(-1)
		l.bytes.Add(-n)
	}
}

// Hold implements [dispatcher.Results].
func (h *holding) Hold(n, arg int64) {
	h.args.remove(arg)
	if h.came < meanWeight {
		h.came++
		h.known.Store(h.came)
	}
	defer h.tell()
	if n < leastHeld && h.mean == 0 {
		return
	}
	h.mean += (n - h.mean) / h.came
	h.each.Store(h.mean)
	h.results.add(n)
}

// HoldShort implements [dispatcher.Results].
func (h *holding) HoldShort(results int) {
	if h.mean == 0 {
		h.came = min(h.came+int64(results), meanWeight)
		h.known.Store(h.came)
		h.tell()
		return
	}
	for range results {
		h.Hold(0, 0)
	}
}

// find notes a result that was found in the memo. It says nothing about how long others are.
func (h *holding) find(n int64) {
	h.found.Add(1)
	if n >= leastHeld {
		h.foundLong.Add(1)
		h.results.add(n)
	}
}

// unfind undoes find, for a result that was taken.
func (h *holding) unfind(n int64) {
	h.found.Add(-1)
	if n >= leastHeld {
		h.foundLong.Add(-1)
		h.results.remove(n)
	}
}

// mostlyFound reports whether most of the open calls are ones whose results were found: no worker needs to have time for more.
func (h *holding) mostlyFound(open int64) bool { return h.found.Load() > open/2 }

// tell makes the feeder look for room again: another result has come, or none does any more.
func (h *holding) tell() {
	if h.waits.Load() {
		h.waits.Store(false)
		dispatcher.Wake(h.room)
	}
}

// Drop implements [dispatcher.Results].
func (h *holding) Drop(n, arg int64) {
	h.args.add(arg)
	h.results.remove(n)
}

// took notes that the outcome of a call was taken, which had an argument of so many bytes.
func (h *holding) took(arg int64, result []byte, err error) {
	if err != nil {
		h.args.remove(arg)
	} else {
		h.results.remove(int64(len(result)))
	}
}

// overfull reports whether another argument of so many bytes is too much, with so many slots: each of them
// may have a call, however long the arguments are.
func (h *holding) overfull(arg, slots int64) bool {
	return h.args.calls.Load() >= max(slots, 1) && h.args.bytes.Load()+arg > aheadBytes
}

// fitting returns how many more calls fit, one after the other: see fits.
func (h *holding) fitting(open, most, slots int64, buffered bool) (n int64) {
	n = mostAhead
	known, bytes := h.known.Load(), h.results.bytes.Load()
	open -= h.found.Load()
	if !buffered && known < meanWeight {
		n = (known+1)*max(firstCalls, firstOfSlot*slots) - open
	}
	if each := h.each.Load(); known > 0 && each > 0 {
		n = min(n, max(slots, 1)+(most-bytes)/each+h.results.calls.Load()-h.foundLong.Load()-open)
	}
	return n
}

// fits reports whether the result of another call will find room, with so many calls
// open, most bytes of results and so many slots. How long a result will be is known from those that
// came. A call for each slot fits as long as there is any room: what the slots work at is not counted, so
// that they are busy however long the results are. Until the first results have come, few calls fit,
// unless the map has a buffer.
func (h *holding) fits(open, most, slots int64, buffered bool) bool {
	if open == 0 {
		return true
	}
	known, bytes := h.known.Load(), h.results.bytes.Load()
	open -= h.found.Load() // they are no longer to come
	if !buffered && known < meanWeight && open >= (known+1)*max(firstCalls, firstOfSlot*slots) {
		return false
	}
	if known == 0 {
		return bytes <= most
	}
	each := h.each.Load()
	coming := open + 1 - (h.results.calls.Load() - h.foundLong.Load())
	return bytes <= most && bytes+max(coming-max(slots, 1), 0)*each <= most
}
