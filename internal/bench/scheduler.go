package bench

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/dispatcher"
	"github.com/wasmpool/wasmpool/internal/transport"
)

// measureScheduler returns how much longer a root takes for n calls with 4096
// workers than with 4. The workers answer at once, so that only the root's own
// work counts: queue, scheduler, frames, calls.
func measureScheduler(ctx context.Context, p *pool, n int) ([]float64, error) {
	few, err := p.rootTime(ctx, 4, n)
	if err != nil {
		return nil, err
	}
	many, err := p.rootTime(ctx, 4096, n)
	if err != nil {
		return nil, err
	}
	return []float64{many.Seconds() / few.Seconds()}, nil
}

// rootTime returns how long a root with so many instant workers takes for n
// calls.
func (p *pool) rootTime(ctx context.Context, workers, n int) (d time.Duration, err error) {
	r, err := newRoot(p, workers)
	if err != nil {
		return 0, err
	}
	defer func() {
		if endErr := r.end(); err == nil {
			err = endErr
		}
	}()
	select {
	case <-r.dispatcher.Joined():
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	if err := r.run(ctx, 10_000); err != nil { // every worker has seen a call
		return 0, err
	}
	start := time.Now()
	err = r.run(ctx, n)
	return time.Since(start), err
}

const (
	firstAhead = 64       // calls that a root has open at first
	mostAhead  = 64 << 10 // and at most, when workers would have nothing to do otherwise
)

// A root is a dispatcher with instant workers. It submits calls as a map does: as far ahead of
// the results as keeps the workers busy.
type root struct {
	dispatcher *dispatcher.Dispatcher
	owner      *dispatcher.Owner
	task       *dispatcher.Task
	ahead      int                // how many calls may be open
	open       []*dispatcher.Call // the oldest first
	unused     []*dispatcher.Call // zero ones
	over       chan error         // why the dispatcher has ended
}

// newRoot returns a root whose dispatcher runs.
func newRoot(p *pool, workers int) (*root, error) {
	bell := transport.NewBell()
	r := &root{ahead: firstAhead, over: make(chan error, 1)}
	r.dispatcher = dispatcher.New(dispatcher.Config{
		Bell: bell, Logger: slog.New(slog.DiscardHandler),
		Fail:   func(f dispatcher.Failure) error { return fmt.Errorf("bench: task %s failed: %s", f.Task, f.Message) },
		KindOf: func(error) (host.Kind, bool) { return 0, false },
	})
	r.owner = &dispatcher.Owner{Dispatcher: r.dispatcher}
	var tasks dispatcher.Table
	if err := tasks.Add(p.guest); err != nil {
		return nil, err
	}
	var err error
	if r.task, err = tasks.Lookup(p.task("echo")); err != nil {
		return nil, err
	}
	r.dispatcher.AddWorkers(newInstantEndpoint(workers, bell), false)
	go func() {
		_, err := r.dispatcher.Run()
		r.over <- err
	}()
	return r, nil
}

// end stops the dispatcher.
func (r *root) end() error {
	r.dispatcher.Close(dispatcher.ErrClosed)
	r.dispatcher.Request(func(l *dispatcher.Loop) { l.Stop(true) })
	return <-r.over
}

// run submits n calls and checks their results.
func (r *root) run(ctx context.Context, n int) error {
	taken := 0
	for arg := range numbers(n) {
		for len(r.open) >= r.ahead && !r.grow() {
			if err := r.take(ctx, taken); err != nil {
				return err
			}
			taken++
		}
		if err := r.submit(arg); err != nil {
			return err
		}
	}
	for ; taken < n; taken++ {
		if err := r.take(ctx, taken); err != nil {
			return err
		}
	}
	return nil
}

// grow lets more calls be open if workers have nothing to do, and reports whether it does.
func (r *root) grow() bool {
	if r.ahead >= mostAhead || !r.dispatcher.Demand().Take() {
		return false
	}
	r.ahead *= 2
	return true
}

// submit submits a call.
func (r *root) submit(arg []byte) error {
	if len(r.unused) == 0 {
		calls := make([]dispatcher.Call, 256)
		for i := range calls {
			r.unused = append(r.unused, &calls[i])
		}
	}
	last := len(r.unused) - 1
	c := r.unused[last]
	r.unused = r.unused[:last]
	c.Prepare(r.owner, r.task, arg, 0, nil)
	r.open = append(r.open, c)
	return r.dispatcher.TryAdd(c)
}

// take waits for the oldest call, which is that of the i-th number, and checks its result.
func (r *root) take(ctx context.Context, i int) error {
	c := r.open[0]
	if err := c.Wait(ctx); err != nil {
		return err
	}
	out, err := c.Outcome()
	*c = dispatcher.Call{}
	r.open, r.unused = r.open[1:], append(r.unused, c)
	return checkNumber(i, out, err)
}
