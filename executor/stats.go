package executor

import (
	"context"
	"errors"
	"slices"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
)

// Stats says what the pool looks like and did.
type Stats struct {
	Workers  []WorkerStats // in the order of their ranks
	Queued   int           // calls that wait for a worker
	InFlight int           // calls at workers
	Resting  int           // calls that failed and wait to run again

	// Since the pool began, over all forks.
	Done    uint64 // calls that ended with a result
	Failed  uint64 // calls that ended with a [*TaskError] after they were sent to a worker
	Retried uint64 // further runs of calls, after a failure or the loss of a worker
	Shared  uint64 // bytes of shared inputs that the root has sent to worker ranks

	// Likewise, with Config.Memo. Those found are not among Done.
	Found uint64 // calls that did not run, as their results were found

	// Likewise, with Config.Speculate, Config.SpotCheck and Config.VerifyMemo. Each call counts once in all the above.
	Duplicated uint64 // calls that were started a second time, as they took unusually long
	Checked    uint64 // calls that ran twice so that their results could be compared
	Differed   uint64 // calls whose second run was not as the first; and those that gave another result than was found
}

// WorkerStats says what one worker did.
type WorkerStats struct {
	Rank     int    // 0 for the root's own slots
	Host     string // the node's name
	PID      int    // of its process
	Slots    int
	Calls    uint64 // finished, with a result or an error; one that ran twice for Config.SpotCheck counts at both workers
	InFlight int
	Lost     bool
}

// Stats returns a consistent picture of the pool: when it has ended, the last one. It waits for
// the loop, a few microseconds as a rule, or until ctx ends. Workers appear when they have
// joined.
func (ex *Executor) Stats(ctx context.Context) (Stats, error) {
	var s dispatcher.Snapshot
	switch err := ex.onLoop(ctx, func(l *dispatcher.Loop) { s = l.Snapshot() }); {
	case errors.Is(err, ErrClosed):
		last := ex.last
		last.Workers = slices.Clone(last.Workers)
		return last, nil
	case err != nil:
		return Stats{}, err
	}
	return statsOf(s), nil
}

// statsOf returns what a snapshot says, with the workers in the order of their ranks.
func statsOf(p dispatcher.Snapshot) Stats {
	s := Stats{
		Queued: p.Queued, InFlight: p.InFlight, Resting: p.Resting, Done: p.Done, Failed: p.Failed, Retried: p.Retried, Shared: p.Shared,
		Found: p.Found, Differed: p.Differed, Duplicated: p.Duplicated, Checked: p.Checked,
	}
	s.Workers = slices.Grow(s.Workers, len(p.Workers))
	for _, w := range p.Workers {
		s.Workers = append(s.Workers, WorkerStats{
			Rank: w.Rank, Host: w.Host, PID: w.PID, Slots: w.Slots, Calls: w.Calls, InFlight: w.InFlight, Lost: w.Lost,
		})
	}
	slices.SortFunc(s.Workers, func(a, b WorkerStats) int { return a.Rank - b.Rank })
	return s
}

// onLoop runs fn on the loop and waits for it, or until ctx ends; then fn runs all the same.
// It returns ErrClosed when the loop has ended.
func (ex *Executor) onLoop(ctx context.Context, fn func(*dispatcher.Loop)) error {
	did := make(chan struct{})
	ex.dispatcher.Request(func(l *dispatcher.Loop) {
		fn(l)
		close(did)
	})
	if ctx.Err() == nil {
		select {
		case <-did:
			return nil
		case <-ex.done:
		case <-ctx.Done():
		}
	}
	select {
	case <-did: // it ran, whatever else is over
		return nil
	default:
	}
	select {
	case <-ex.done:
		return ErrClosed
	default:
		return ctx.Err()
	}
}

// NumWorkers returns how many workers the pool started with: the worker ranks,
// and one for the root's own slots. It does not block.
func (ex *Executor) NumWorkers() int {
	n := 0
	if ex.endpoint != nil {
		n = ex.endpoint.Size() - 1
	}
	if ex.own != nil {
		n++
	}
	return n
}

// WaitReady waits until every worker has joined or is known to be lost, or until
// ctx ends. Nothing needs it: calls go to the workers that are there. It makes
// the first calls of a measurement as fast as the others, once their module is
// loaded. After Shutdown it returns [ErrClosed].
func (ex *Executor) WaitReady(ctx context.Context) error {
	if ex.Closed() {
		return ErrClosed
	}
	select {
	case <-ex.dispatcher.Joined():
		return nil
	default:
	}
	select {
	case <-ex.dispatcher.Joined():
		return nil
	case <-ex.done:
		return ErrClosed
	case <-ctx.Done():
		return ctx.Err()
	}
}
