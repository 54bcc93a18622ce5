package dispatcher

import (
	"github.com/wasmpool/wasmpool/internal/blob"
	"github.com/wasmpool/wasmpool/internal/lines"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// A worker is the root's view of one worker. It belongs to the loop. What each call
// needs stands at the front: with thousands of workers it is memory that counts.
type worker struct {
	slots     int
	inflight  int          // calls that it has
	load      int64        // how long they should take, in nanoseconds
	bytes     int64        // the length of their arguments
	heard     int64        // when it last answered, by monotime
	calls     uint64       // those that it ended
	ran       int64        // how long their runs took, in nanoseconds
	home      *workerList  // the list that it is in: idle, roomy, or none
	links     links        // its place there
	loads     links        // its place in scheduler.loaded
	loaded    bool         // it is there
	asked     bool         // it was asked to return calls, and has not answered
	fruitless bool         // it returned none the last time, and no result came since
	lost      bool         // it is not sent anything any more
	out       *wire.Writer // its calls frame under construction; nil without
	tasks     numbers      // those it was told of
	fabric    *fabric      // the way to it
	peer      int          // its rank there

	receiving map[uint32]struct{} // tickets whose long results are on their way; nil before the first
	departing map[uint32]func()   // tickets whose long arguments are on their way, and what waits for that; nil before the first

	leftovers  int                    // duplicates that it has and that nobody needs any more
	rank       int                    // its rank for users: 0 for the root's own slots
	host       string                 // the name of its node
	pid        int                    // its process
	joined     int64                  // when it joined, by monotime
	lostAt     int64                  // when it was lost, by monotime
	reason     string                 // why it was lost
	skew       int64                  // what its clock lacks to monotime here, with the time of a message, as far as is known
	launchRank int                    // the rank that the launcher gave the process
	sent       func(error)            // called after each payload that it was sent
	modules    []*module              // those it was told of, by index
	given      numbers                // indices of the modules whose bytes it was sent
	sets       numbers                // numbers of the shared inputs that it was told of
	wanted     int                    // pieces of blobs that it waits for
	transfers  map[blob.Digest]uint64 // when those began of which it fetches the blob; nil before the first
	status     *wire.Status           // its last answer to a report; nil without
	questioned bool                   // a report waits for its answer
	lines      lines.Limiter          // bounds its guests' logs
}

// depart notes that a call's argument is being sent. Until it has left, its memory is
// not the caller's again, so what becomes of the call waits for that.
func (w *worker) depart(ticket uint32) {
	if w.departing == nil {
		w.departing = map[uint32]func(){}
	}
	w.departing[ticket] = nil
}

// departs reports whether a call's argument is being sent.
func (w *worker) departs(ticket uint32) bool {
	if len(w.departing) == 0 {
		return false
	}
	_, departs := w.departing[ticket]
	return departs
}

// departed notes that a call's argument has left, and does what waited for it.
func (w *worker) departed(ticket uint32) {
	if w.lost {
		return // its calls are elsewhere
	}
	then := w.departing[ticket]
	delete(w.departing, ticket)
	if then != nil {
		then()
	}
}

// await notes that a call's long result is on its way.
func (w *worker) await(ticket uint32) {
	if w.receiving == nil {
		w.receiving = map[uint32]struct{}{}
	}
	w.receiving[ticket] = struct{}{}
}

// answered reports whether a call's long result is on its way, or what became of it
// waits for its argument to leave: the worker has nothing more to say about it.
func (w *worker) answered(ticket uint32) bool {
	if len(w.receiving) == 0 && len(w.departing) == 0 {
		return false
	}
	_, receiving := w.receiving[ticket]
	return receiving || w.departing[ticket] != nil
}

// attach notes that c is in flight at w.
func (w *worker) attach(c *Call) {
	c.worker = w
	n := c.calls()
	w.inflight += n
	w.load += int64(n) * int64(c.estimate)
	w.bytes += c.size
}

// detach undoes attach.
func (w *worker) detach(c *Call) {
	n := c.calls()
	w.inflight -= n
	w.load -= int64(n) * int64(c.estimate)
	w.bytes -= c.size
}

// links tie a worker into a workerList.
type links struct{ next, prev *worker }

// A workerList is a doubly linked list of workers, through the links that of
// selects.
type workerList struct {
	head, tail *worker
	of         func(*worker) *links
}

func (l *workerList) pushBack(w *worker) {
	at := l.of(w)
	at.prev, at.next = l.tail, nil
	if l.tail != nil {
		l.of(l.tail).next = w
	} else {
		l.head = w
	}
	l.tail = w
}

func (l *workerList) pushFront(w *worker) {
	at := l.of(w)
	at.prev, at.next = nil, l.head
	if l.head != nil {
		l.of(l.head).prev = w
	} else {
		l.tail = w
	}
	l.head = w
}

func (l *workerList) remove(w *worker) {
	at := l.of(w)
	if at.prev != nil {
		l.of(at.prev).next = at.next
	} else {
		l.head = at.next
	}
	if at.next != nil {
		l.of(at.next).prev = at.prev
	} else {
		l.tail = at.prev
	}
	*at = links{}
}
