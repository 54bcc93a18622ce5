package executor

import (
	"sync/atomic"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
)

const (
	// leastHeld is the shortest result that counts, in bytes. As many shorter ones as a map
	// reads ahead at most are 64 MiB together.
	leastHeld = 1 << 10

	// firstCalls is how many calls a map reads ahead at least before its first result,
	// of whatever length, has come.
	firstCalls = 16

	// meanWeight is how many results the mean length of a map's results remembers.
	meanWeight = 64
)

// A holding counts the results of a map that were not taken. When they would become more than
// Config.ResultBytes, the map submits no further call. A call that was submitted always gets its
// result, and the results of a map can always be taken in the end, so nothing waits for ever.
type holding struct {
	mean int64 // bytes of a result, lately; only used by the loop
	came bool  // a result; only used by the loop

	waits atomic.Bool   // the feeder's goroutine found no room, and waits for a result to come
	room  chan struct{} // woken then

	known atomic.Bool  // came
	each  atomic.Int64 // mean, for others
	calls atomic.Int64 // whose results count
	bytes atomic.Int64 // of those
}

// Hold notes a result of n bytes before its call is resolved. It runs on the loop.
func (h *holding) Hold(n int64) {
	if !h.came {
		h.came = true
		h.known.Store(true)
		h.mean = n
	}
	defer h.tell()
	if n < leastHeld && h.mean == 0 {
		return
	}
	h.mean += (n - h.mean) / meanWeight
	h.each.Store(h.mean)
	if n >= leastHeld {
		h.calls.Add(1)
		h.bytes.Add(n)
	}
}

// tell makes the feeder look for room again: another result has come, or none does any more.
func (h *holding) tell() {
	if h.waits.Load() {
		h.waits.Store(false)
		dispatcher.Wake(h.room)
	}
}

// LetGo notes that a result of n bytes was taken, or never will be.
func (h *holding) LetGo(n int) {
	if n >= leastHeld {
		h.calls.Add(-1)
		h.bytes.Add(-int64(n))
	}
}

// fits reports whether the result of another call will find room, with so many calls
// open, most bytes of results and so many slots. Calls that keep the slots busy fit as long as there
// is any room. Until the first result has come, few calls fit, unless the map has a buffer.
func (h *holding) fits(open, most, slots int64, buffered bool) bool {
	if open == 0 {
		return true
	}
	if !h.known.Load() {
		return buffered || open < max(firstCalls, 4*slots)
	}
	each, bytes := h.each.Load(), h.bytes.Load()
	coming := open - h.calls.Load()
	return bytes+(coming+1)*each <= most || coming < 2*slots && bytes+each <= most
}
