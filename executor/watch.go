package executor

import (
	"context"
	"errors"
	"iter"
	"time"

	"github.com/wasmpool/wasmpool/feed"
	"github.com/wasmpool/wasmpool/internal/dispatcher"
)

// leastWatch is the shortest time from one update to the next.
const leastWatch = 10 * time.Millisecond

// Watch yields what happens in the pool, an update each time that so much time has passed: at least 10 ms, and more
// while the body of the loop takes longer. It begins to count when it is ranged over, and the first update comes at once; it
// says how the pool is then. The last one comes when the pool has ended, and says all up to its end.
// When ctx ends first, Watch yields one more, which says all up to then, and then nil and ctx's error; when the pool had ended before, nil and
// [ErrClosed]. It blocks between updates.
//
// Calls of all executors of the pool are watched, and nothing slows them while nobody does; memory and time are bounded
// however many calls end: see [feed.Update]. Several may watch at once.
func (ex *Executor) Watch(ctx context.Context, every time.Duration) iter.Seq2[*feed.Update, error] {
	return func(yield func(*feed.Update, error) bool) {
		var watch *dispatcher.Watch // the loop's
		defer ex.dispatcher.Request(func(l *dispatcher.Loop) { l.Unwatch(watch) })
		if err := ex.onLoop(ctx, func(l *dispatcher.Loop) { watch = l.Watch() }); err != nil {
			yield(nil, err)
			return
		}
		soon, cancel := lingering(ctx)
		defer cancel()
		tick := time.NewTicker(max(every, leastWatch))
		defer tick.Stop()
		for {
			ended := ctx.Err() // then this is the last look
			u, err := ex.look(soon, watch)
			last := errors.Is(err, ErrClosed)
			if last {
				u, err = watch.Last(), nil
			}
			if !yield(u, err) || last || err != nil {
				return
			}
			if ended != nil {
				yield(nil, ended)
				return
			}
			select {
			case <-tick.C:
			case <-ex.done:
			case <-ctx.Done():
			}
		}
	}
}

// linger is for how long a look may take whose context has ended.
const linger = time.Second

// lingering returns a context that ends so much later than ctx.
func lingering(ctx context.Context) (context.Context, func()) {
	soon, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		select {
		case <-time.After(linger):
			cancel()
		case <-soon.Done():
		}
	})
	return soon, func() {
		stop()
		cancel()
	}
}

// look returns what has happened since the last look, or ErrClosed when the pool has ended.
func (ex *Executor) look(ctx context.Context, watch *dispatcher.Watch) (*feed.Update, error) {
	looked := make(chan *feed.Update, 1)
	err := ex.onLoop(ctx, func(l *dispatcher.Loop) { looked <- l.Look(watch) })
	if err != nil {
		return nil, err
	}
	return <-looked, nil
}
