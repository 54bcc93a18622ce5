package dispatcher

import (
	"fmt"

	"github.com/wasmpool/wasmpool/internal/monotime"
	"github.com/wasmpool/wasmpool/internal/transport"
)

// A fabric is an endpoint with the workers behind it.
type fabric struct {
	loop    *Loop
	ep      transport.Endpoint
	lender  transport.Lender // nil where the fabric lends nothing
	waker   transport.Waker  // nil where workers wake at once
	own     bool             // it leads to the root's own slots
	workers []*worker        // by rank; nil for the root and before the worker's hello
}

// A Lost is a worker that has joined and is lost.
type Lost struct {
	Rank       int    // for users
	Host       string // the name of its node
	PID        int    // of its process
	LaunchRank int    // the rank that the launcher gave the process
}

// addFabric makes the loop serve the workers behind ep. It is called before Run.
func (l *Loop) addFabric(ep transport.Endpoint, own bool) {
	f := &fabric{loop: l, ep: ep, own: own, workers: make([]*worker, ep.Size())}
	f.lender, _ = transport.As[transport.Lender](ep)
	f.waker, _ = transport.As[transport.Waker](ep)
	l.fabrics = append(l.fabrics, f)
	l.awaited += ep.Size() - 1
}

// fabrics are the ways to all workers: one to the other ranks, one to the root's own slots.
type fabrics []*fabric

// poll takes in the workers' frames. It returns how many things it found, and the first error:
// then an endpoint is broken.
func (s fabrics) poll() (n int, err error) {
	for _, f := range s {
		got, pollErr := f.ep.Poll(f)
		n += got
		if err == nil {
			err = pollErr
		}
	}
	return n, err
}

// pending reports whether an endpoint has something that leaves only while it is polled.
func (s fabrics) pending() bool {
	for _, f := range s {
		if f.ep.Pending() {
			return true
		}
	}
	return false
}

// doze tells the endpoints that nobody will poll for a while.
func (s fabrics) doze() {
	for _, f := range s {
		f.ep.Doze()
	}
}

// arrived takes note that a worker is not awaited any more.
func (l *Loop) arrived() {
	if l.awaited--; l.awaited == 0 {
		close(l.joined)
	}
}

// Frame implements [transport.Handler].
func (f *fabric) Frame(from int, frame []byte) {
	if err := f.handle(from, frame); err != nil {
		f.ep.Fence(from, fmt.Errorf("executor: rank %d sent a frame that makes no sense: %w", from, err))
	}
}

// Lost implements [transport.Handler].
func (f *fabric) Lost(rank int, err error) {
	f.drop(rank, fmt.Errorf("%w: rank %d: %w", ErrWorkerLost, rank, err))
}

// drop takes a worker out of the pool and runs its calls elsewhere.
func (f *fabric) drop(rank int, cause error) {
	l := f.loop
	w := f.workers[rank]
	switch {
	case w == nil: // lost before its hello
		w = &worker{rank: rank, lost: true}
		f.workers[rank] = w
		l.arrived()
		l.log.Error("a worker is lost before it joined", "rank", rank, "error", cause)
	case w.lost:
		return
	default:
		l.log.Error("a worker is lost", "rank", w.rank, "host", w.host, "calls", w.inflight, "running", l.sched.suspects(w, cause), "error", cause)
		if l.lost != nil {
			l.lost(l, Lost{Rank: w.rank, Host: w.host, PID: w.pid, LaunchRank: w.launchRank})
		}
		w.lostAt, w.reason = monotime.Now(), cause.Error()
		l.loseRuns(w)
		for _, c := range l.lose(w) {
			l.afterLoss(w, c)
		}
	}
	l.answered(w)
	if l.sched.alive == 0 && l.awaited == 0 {
		l.ending.fail(fmt.Errorf("%w; the last: %w", ErrNoWorkers, cause))
	}
}
