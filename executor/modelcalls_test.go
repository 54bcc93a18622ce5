package executor

import (
	"context"
	"errors"
	"runtime"
	"strconv"
	"testing/synctest"
	"time"
)

func (p *program) fresh(o *owner) *tracked {
	return &tracked{own: o, id: p.ids.Add(1)}
}

// options are those of a call, or of many.
func (p *program) options(c *tracked) (opts []CallOption) {
	if p.rnd.IntN(3) == 0 {
		c.priority = int8(p.rnd.IntN(3) - 1)
		opts = append(opts, Priority(int(c.priority)))
	}
	if p.rnd.IntN(3) == 0 {
		c.policy = RetryPolicy{
			Attempts: 1 + p.rnd.IntN(4), Workers: p.rnd.IntN(3), MaxBackoff: time.Minute,
			Backoff: pick(p.rnd, []time.Duration{0, time.Millisecond, 10 * time.Second}),
		}
		opts = append(opts, Retries(c.policy))
	}
	return opts
}

func (p *program) submit() {
	if len(p.calls) > 80 && p.rnd.IntN(8) > 0 {
		return
	}
	o := p.owner()
	c := p.fresh(o)
	opts := p.options(c)
	switch {
	case p.rnd.IntN(6) == 0 && p.bounded == 0:
		p.keyed(o, c, opts)
	case p.bounded > 0:
		p.submitBounded(o, c, opts)
	default:
		p.submitted(o, c, o.ex.Submit(p.t.Context(), "echo", argument(c.id), opts...))
	}
}

// submitted takes note of a future that Submit or Then has returned.
func (p *program) submitted(o *owner, c *tracked, f *Future) {
	if f.call.Task() == nil { // it never was a call
		if err := f.call.Err(); !p.over(o) || !errors.Is(err, ErrClosed) && !errors.Is(err, ErrNoWorkers) {
			p.fail("Submit says %v", err)
		}
		return
	}
	p.enroll(c)
	p.identify(c, f)
}

func (p *program) submitBounded(o *owner, c *tracked, opts []CallOption) {
	ctx, cancel := p.context()
	var f *Future
	o.enters++
	p.enroll(c)
	p.block("Submit", func() bool {
		return ctx.Err() == nil && !p.over(o) && p.waiting > p.bounded*3/4
	}, func() {
		f = o.ex.Submit(ctx, "echo", argument(c.id), opts...)
	}, func() {
		cancel()
		o.enters--
		if f.call.Task() == nil || c.place == nowhere && f.call.Resolved() && !c.fed { // it has not become a call
			c.left = true
			if err := f.call.Err(); err != nil && endOf(err)&(c.may|asDropped|asBroken) == 0 && !errors.Is(err, context.Canceled) {
				p.fail("Submit that waited for room says %v", err)
			}
			return
		}
		p.identify(c, f)
		if p.over(o) {
			c.may |= asDropped | asBroken
		}
	})
}

// keyed submits a call with a key that may be taken.
func (p *program) keyed(o *owner, c *tracked, opts []CallOption) {
	key := pick(p.rnd, []string{"a", "b"})
	first := o.keys[key]
	same := first != nil && p.rnd.IntN(4) > 0
	arg := argument(c.id)
	if same {
		arg = argument(first.id)
	}
	before := first != nil && first.f.State() <= Running
	f := o.ex.Submit(p.t.Context(), "echo", arg, append(opts, Key(key))...)
	switch after := before && first.f.State() <= Running; {
	case first != nil && f == first.f && same:
	case f.call.Task() == nil && before && !same:
	case first != nil && f == first.f, f.call.Task() != nil && after:
		p.wrong(first, "its key does not do what it should")
	default:
		if same {
			c.id = first.id
		}
		p.submitted(o, c, f)
		if c.f != nil {
			o.keys[key] = c
		}
	}
}

// call is a Call, beside the loop: nobody but the program makes it turn.
func (p *program) call() {
	if p.bounded > 0 {
		return
	}
	p.quiet() // so that the loop sleeps
	o := p.owner()
	c := p.fresh(o)
	opts := p.options(c)
	ctx, cancel := p.context()
	p.enroll(c)
	block := func() {
		p.blockCall(ctx, o, c, opts, cancel)
		synctest.Wait()
	}
	if !p.ex.dispatcher.Probe().Visit(block) { // a caller cannot run the loop meanwhile
		block()
	}
}

// blockCall runs Call on a goroutine of its own.
func (p *program) blockCall(ctx context.Context, o *owner, c *tracked, opts []CallOption, cancel func()) {
	var data []byte
	var err error
	p.block("Call", func() bool { return ctx.Err() == nil && c.place != nowhere }, func() {
		data, err = o.ex.Call(ctx, "echo", argument(c.id), opts...)
	}, func() {
		cancel()
		c.left = true
		switch {
		case errors.Is(err, context.Canceled) && ctx.Err() != nil:
			c.cancelPending(true) // if it has not begun; else it is killed
			c.ask(asKilled, true)
		case !c.fed && (errors.Is(err, ErrClosed) || errors.Is(err, ErrNoWorkers)) && p.over(o):
		default:
			p.ended(c, data, err)
		}
	})
}

func (p *program) then() {
	pred := p.visible()
	if pred == nil || len(p.calls) > 100 {
		return
	}
	o := pred.own
	c := p.fresh(o)
	c.pred, c.before = pred, &pred.fate
	c.may = asBefore
	p.submitted(o, c, pred.f.Then("echo", p.options(c)...))
}

// onDone adds a callback, of a good or a bad kind.
func (p *program) onDone() {
	c := p.visible()
	if c == nil || c.over {
		return
	}
	c.due++
	kind, o, next := p.rnd.IntN(5), p.owner(), p.fresh(c.own)
	next.own = o
	ctx := p.t.Context()
	c.f.OnDone(func(f *Future) {
		c.ran.Add(1)
		switch {
		case f != c.f || !f.call.Resolved():
			p.complain("a callback of another future, or before its end")
		case kind == 0:
			panic("a bad callback")
		case kind == 1:
			runtime.Goexit()
		case kind == 2 && p.bounded == 0:
			if next.f = o.ex.Submit(ctx, "echo", argument(next.id)); next.f.call.Task() != nil {
				p.mu.Lock()
				p.spawned = append(p.spawned, next)
				p.mu.Unlock()
			}
		}
	})
}

func (p *program) cancel() {
	c := p.visible()
	if c == nil {
		return
	}
	before := c.f.State()
	did, after := c.f.Cancel(), c.f.State()
	p.tally.before[before].Add(1)
	switch {
	case did && after != Cancelled, before == Cancelled && !did:
		p.wrong(c, "Cancel said "+strconv.FormatBool(did))
	case !did && after != Running && after != Finished && after != Killed:
		p.wrong(c, "Cancel said no")
	case did && !c.over:
		c.cancel()
	}
}

func (p *program) kill() {
	c := p.visible()
	switch {
	case c == nil:
	case c.f.Kill("the test wants it so"):
		if c.over {
			p.wrong(c, "Kill said yes")
		}
		c.ask(asKilled, true)
	case !c.f.call.Resolved():
		p.wrong(c, "Kill said no")
	}
}
