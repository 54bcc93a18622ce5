package executor

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing/synctest"
	"time"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
)

func pick[T any](rnd *rand.Rand, all []T) T { return all[rnd.IntN(len(all))] }

// owner returns an executor, seldom one that was shut down.
func (p *program) owner() *owner {
	for range 3 {
		if o := pick(p.rnd, p.owners); !o.closed {
			return o
		}
	}
	return pick(p.rnd, p.owners)
}

// over reports whether nothing of o is taken in any more.
func (p *program) over(o *owner) bool { return o.closed || p.owners[0].closed || p.lost }

// leftFor returns for how long nothing of o is taken in any more and nobody notices that.
func (p *program) leftFor(o *owner) (d time.Duration) {
	if o.closed && o != p.owners[0] {
		d = time.Since(o.since)
	}
	if p.served.Load() {
		d = max(d, time.Since(p.end))
	}
	return d
}

// visible returns some call with a future, that has mostly not ended, or nil.
func (p *program) visible() *tracked {
	for range 4 {
		if len(p.calls) == 0 {
			break
		}
		if c := pick(p.rnd, p.calls); c.f != nil {
			return c
		}
	}
	if c := pick(p.rnd, p.recent[:]); c != nil && c.f != nil {
		return c
	}
	return nil
}

// context returns one that ends sooner or later, or not.
func (p *program) context() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(p.t.Context())
	if p.rnd.IntN(2) == 0 {
		p.expiring = append(p.expiring, cancel)
	}
	return ctx, cancel
}

// expire ends a context.
func (p *program) expire() {
	if n := len(p.expiring); n > 0 {
		i := p.rnd.IntN(n)
		p.expiring[i]()
		p.expiring = slices.Delete(p.expiring, i, i+1)
	}
}

// each calls fn with the calls of an executor: with the one that was opened first, of
// its forks, too. Others may be submitted at this moment, which may end like that.
func (p *program) each(o *owner, how end, fn func(*tracked)) {
	o.lately |= how
	for _, c := range p.calls {
		if c.own == o || o == p.owners[0] {
			fn(c)
		}
	}
}

// there reports whether it is certain that a call is in the executor's hands.
func (c *tracked) there() bool { return c.f != nil || c.fed }

func (p *program) killAll() {
	o := p.owner()
	p.each(o, asKilled, func(c *tracked) { c.ask(asKilled, c.there()) })
	p.block("KillAll", never, func() {
		if _, err := o.ex.KillAll(p.t.Context(), "the test wants it so"); err != nil {
			p.complain("KillAll: %v", err)
		}
	}, nil)
}

// killOne kills some call by its number, also one of a map.
func (p *program) killOne() {
	if len(p.calls) == 0 {
		return
	}
	c := pick(p.rnd, p.calls)
	if c.number == 0 || c.over {
		return
	}
	c.ask(asKilled, true)
	p.block("KillCall", never, func() {
		if _, err := p.ex.KillCall(p.t.Context(), c.number, "the test wants it so"); err != nil {
			p.complain("KillCall: %v", err)
		}
	}, nil)
}

func never() bool { return false }

func (p *program) cancelPending() {
	o := p.owner()
	o.ex.CancelAll()
	p.each(o, asCancelled, func(c *tracked) { c.cancelPending(c.there()) })
}

// wait waits for calls in one of the ways there are.
func (p *program) wait() {
	var calls []*tracked
	var futures []*Future
	for range 1 + p.rnd.IntN(6) {
		if c := p.visible(); c != nil {
			calls, futures = append(calls, c), append(futures, c.f)
		}
	}
	ctx, cancel := p.context()
	kind := p.rnd.IntN(5)
	may := func() bool {
		open := slices.ContainsFunc(futures, func(f *Future) bool { return !f.call.Resolved() })
		bad := slices.ContainsFunc(futures, func(f *Future) bool { return f.call.Resolved() && f.call.Err() != nil })
		some := slices.ContainsFunc(futures, func(f *Future) bool { return f.call.Resolved() })
		enough := !open || bad && (kind == 1 || kind == 3) || some && kind == 0
		return ctx.Err() == nil && !enough
	}
	if kind == 3 {
		for _, c := range calls {
			c.may |= asCancelled
		}
	}
	p.block("a wait of kind "+strconv.Itoa(kind), may, func() {
		defer cancel()
		var err error
		switch kind {
		case 0:
			_, _, err = Wait(ctx, futures, FirstDone)
		case 1:
			_, _, err = Wait(ctx, futures, FirstError)
		case 2:
			for _, e := range AsCompleted(ctx, futures) {
				err = e
			}
		case 3:
			if _, err = Collect(ctx, futures); endOf(err) != 0 || slices.ContainsFunc(futures, func(f *Future) bool { return f.call.Resolved() && f.call.Err() == err }) { //nolint:errorlint // it is the very value
				err = nil
			}
		default:
			for _, f := range futures {
				f.Result(ctx) //nolint:errcheck // that it returns is looked at
			}
		}
		if err != nil && ctx.Err() == nil {
			p.complain("a wait of kind %d ends with %v", kind, err)
		}
	}, nil)
}

// ask asks for numbers.
func (p *program) ask() {
	o, from := p.owner(), time.Now()
	if p.rnd.IntN(4) == 0 {
		p.block("Report", func() bool { return time.Since(from) < dispatcher.Patience }, func() {
			o.ex.Report(p.t.Context()) //nolint:errcheck // that it returns is looked at
		}, nil)
		return
	}
	p.block("Stats", never, func() {
		if _, err := o.ex.Stats(p.t.Context()); err != nil {
			p.complain("Stats: %v", err)
		}
	}, nil)
}

func (p *program) fork() {
	if len(p.owners) < 6 {
		p.owners = append(p.owners, &owner{ex: p.ex.Fork(), keys: map[string]*tracked{}, asked: p.rnd.IntN(2) == 0})
	}
}

// shutdown shuts an executor down, and forgets forks that have ended.
func (p *program) shutdown() {
	p.owners = slices.DeleteFunc(p.owners, func(o *owner) bool {
		return o != p.owners[0] && o.closed && o.open == 0 && o.enters == 0 && !slices.ContainsFunc(p.works, func(w *work) bool { return w.own == o })
	})
	if o := pick(p.rnd, p.owners); o != p.owners[0] || p.rnd.IntN(50) == 0 {
		p.shutdownOf(o)
	}
}

func (p *program) shutdownOf(o *owner) {
	ctx, cancel := context.WithCancel(p.t.Context())
	var opts []ShutdownOption
	kind := p.rnd.IntN(5)
	if kind == 0 || kind == 2 {
		opts = append(opts, NoWait())
	}
	if kind == 1 || kind == 2 {
		opts = append(opts, CancelPending())
		p.each(o, asCancelled|asFailure, func(c *tracked) { c.cancelPending(c.there()) })
	}
	if kind == 4 {
		cancel() // what runs is killed, the rest ends with ErrClosed
		p.each(o, asDropped|asKilled, func(c *tracked) { c.ask(asDropped|asKilled, c.there()) })
	}
	open := func() bool {
		return !p.served.Load() && (o == p.owners[0] || o.open > 0 || o.enters > 0 || p.bounded > 0 && len(p.works) > 0)
	}
	p.block("Shutdown of kind "+strconv.Itoa(kind), func() bool { return kind != 0 && kind != 2 && ctx.Err() == nil && open() }, func() {
		defer cancel()
		err := o.ex.Shutdown(ctx, opts...)
		asWell := kind == 4 && errors.Is(err, context.Canceled) || errors.Is(err, ErrNoWorkers) || errors.Is(err, ErrClosed)
		if err != nil && !asWell {
			p.complain("Shutdown: %v", err)
		}
	}, nil)
	synctest.Wait() // so that it is closed
	if !o.closed {
		o.since = time.Now()
	}
	o.closed, o.final = true, o.final || kind == 1 || kind == 2
	if root := p.owners[0]; o == root {
		for _, o := range p.owners {
			o.final = o.final || root.final
		}
	}
}

// pass lets time pass, when all is quiet.
func (p *program) pass() {
	p.quiet()
	time.Sleep(pick(p.rnd, []time.Duration{time.Millisecond, time.Second, 30 * time.Second}))
}
