package executor

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// A step is something that a caller, a worker or time may do.
type step struct {
	weight int
	name   string
	do     func(*program)
}

var modelSteps = []step{
	{120, "submit", (*program).submit},
	{20, "call", (*program).call},
	{25, "then", (*program).then},
	{15, "onDone", (*program).onDone},
	{40, "cancel", (*program).cancel},
	{20, "kill", (*program).kill},
	{4, "killAll", (*program).killAll},
	{4, "cancelPending", (*program).cancelPending},
	{20, "wait", (*program).wait},
	{8, "look", (*program).ask},
	{30, "work", (*program).work},
	{30, "open", (*program).openGate},
	{60, "take", (*program).take},
	{12, "letGo", (*program).stopWork},
	{5, "fork", (*program).fork},
	{3, "shutdown", (*program).shutdown},
	{20, "time", (*program).pass},
	{20, "expire", (*program).expire},
	{150, "begin", (*program).begin},
	{300, "finish", (*program).finish},
	{60, "obey", (*program).obey},
	{15, "giveBack", (*program).giveBack},
	{3, "join", (*program).join},
	{1, "lose", (*program).lose},
}

var modelWeight = func() (sum int) {
	for _, s := range modelSteps {
		sum += s.weight
	}
	return sum
}()

// one does a step.
func (p *program) one() {
	n := p.rnd.IntN(modelWeight)
	for _, s := range modelSteps {
		if n -= s.weight; n < 0 {
			p.note(s.name)
			s.do(p)
			return
		}
	}
}

func (p *program) note(what string) {
	p.steps++
	if len(p.trail) == 4096 {
		p.trail = append(p.trail[:0], p.trail[2048:]...)
	}
	p.trail = append(p.trail, what)
}

// run lives the life of a pool.
func (p *program) run(steps int) {
	p.quiet()
	for p.steps < steps {
		for n := max(1, p.rnd.IntN(10)-4); n > 0; n-- {
			p.one()
		}
		p.note(";")
		p.steps--
		p.quiet()
	}
	p.finale()
	p.tally.steps.Add(int64(p.steps))
	p.tally.programs.Add(1)
}

// finale ends the pool: nobody is held up any more, and all there is has to end.
func (p *program) finale() {
	p.note("finale")
	for _, w := range p.works {
		w.release()
	}
	if root := p.owners[0]; !root.closed {
		p.shutdownOf(root)
		p.quiet()
	}
	for rounds := 0; !p.served.Load() || len(p.calls)+len(p.blocked)+len(p.works) > 0; rounds++ {
		if rounds > 10_000 {
			p.fail("it does not end: %d calls, %d callers and %d maps are left; the loop has ended: %t", len(p.calls), len(p.blocked), len(p.works), p.served.Load())
		}
		for _, h := range p.hands {
			if !h.joined && !h.lost {
				h.join()
			}
			if !h.lost {
				p.steps += len(h.calls)
				h.obey()
				for len(h.calls) > 0 {
					h.finish(0)
				}
			}
		}
		p.quiet()
		time.Sleep(time.Second)
		p.quiet()
	}
	for _, o := range p.owners {
		o.asked = true
		p.lifeOf(o)
	}
}

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

// leftFor returns for how long nothing of o is taken in any more and nobody heeds that.
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
	if f.task == nil { // it never was a call
		if err := f.err; !p.over(o) || !errors.Is(err, ErrClosed) && !errors.Is(err, ErrNoWorkers) {
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
		if f.task == nil || c.place == nowhere && f.resolved() && !c.fed { // it has not become a call
			c.left = true
			if err := f.err; err != nil && endOf(err)&(c.may|asDropped|asBroken) == 0 && !errors.Is(err, context.Canceled) {
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
	case f.task == nil && before && !same:
	case first != nil && f == first.f, f.task != nil && after:
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
	var data []byte
	var err error
	p.enroll(c)
	l := p.ex.dispatcher.lock.try()
	if l != nil {
		l.late.hold = true
	}
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
	synctest.Wait()
	if l != nil {
		p.ex.dispatcher.leave(l)
	}
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
		case f != c.f || !f.resolved():
			p.complain("a callback of another future, or before its end")
		case kind == 0:
			panic("a bad callback")
		case kind == 1:
			runtime.Goexit()
		case kind == 2 && p.bounded == 0:
			if next.f = o.ex.Submit(ctx, "echo", argument(next.id)); next.f.task != nil {
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
	case !c.f.resolved():
		p.wrong(c, "Kill said no")
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

func never() bool { return false }

func (p *program) cancelPending() {
	o := p.owner()
	o.ex.CancelPending()
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
		open := slices.ContainsFunc(futures, func(f *Future) bool { return !f.resolved() })
		bad := slices.ContainsFunc(futures, func(f *Future) bool { return f.resolved() && f.err != nil })
		some := slices.ContainsFunc(futures, func(f *Future) bool { return f.resolved() })
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
			if _, err = Collect(ctx, futures); endOf(err) != 0 || slices.ContainsFunc(futures, func(f *Future) bool { return f.resolved() && f.err == err }) { //nolint:errorlint // it is the very value
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
		p.block("Report", func() bool { return time.Since(from) < reportPatience }, func() {
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
	var flags []ShutdownFlag
	kind := p.rnd.IntN(5)
	if kind == 0 || kind == 2 {
		flags = append(flags, NoWait)
	}
	if kind == 1 || kind == 2 {
		flags = append(flags, CancelPending)
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
		err := o.ex.Shutdown(ctx, flags...)
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

// hand returns a worker that has calls, or nil.
func (p *program) hand() *hand {
	for range 3 {
		if h := pick(p.rnd, p.hands); !h.lost && len(h.calls) > 0 {
			return h
		}
	}
	return nil
}

func (p *program) begin() {
	if h := p.hand(); h != nil {
		h.begin(p.rnd.IntN(len(h.calls)))
	}
}

func (p *program) finish() {
	h := p.hand()
	if h == nil {
		return
	}
	switch i := p.rnd.IntN(len(h.calls)); p.rnd.IntN(8) {
	case 0:
		h.fail(i, host.KindApplication)
	case 1:
		h.fail(i, host.KindBadInput)
	default:
		h.finish(i)
	}
}

func (p *program) obey() {
	if h := p.hand(); h != nil {
		h.obey()
	}
}

func (p *program) giveBack() {
	if h := p.hand(); h != nil {
		h.giveBack(1+p.rnd.IntN(3), len(h.calls)-1)
	}
}

func (p *program) join() {
	if h := pick(p.rnd, p.hands); !h.joined && !h.lost {
		h.join()
	}
}

// lose ends a worker, seldom the last one.
func (p *program) lose() {
	p.quiet()
	alive := 0
	for _, h := range p.hands {
		if !h.lost {
			alive++
		}
	}
	h := pick(p.rnd, p.hands)
	if h.lost || alive == 1 && p.rnd.IntN(20) > 0 {
		return
	}
	if h.lose(); p.lost {
		for _, o := range p.owners {
			o.lately |= asBroken
		}
		for _, c := range p.calls {
			c.ask(asBroken|asDropped, false)
		}
	}
}

// stepsVar says how many steps TestModel takes, and seedVar which program it runs, alone.
// By hand, for some minutes, and again what was printed:
//
//	make model STEPS=100000000
//	WASMPOOL_TEST_SEED=1234 go test ./executor -run TestModel -v
const (
	stepsVar = "WASMPOOL_TEST_STEPS"
	seedVar  = "WASMPOOL_TEST_SEED"
)

// programSteps is how many steps a program takes before it ends.
const programSteps = 1500

// TestModel runs random programs against the reference in model_test.go: calls with
// keys, priorities and retries, sequels, callbacks, maps, streams and batches on
// several forks, which are cancelled, killed and shut down, on workers that begin, finish, fail,
// give back, come late and die. Whenever all is quiet, each call is where it may be,
// has ended as it may, and nobody waits for what cannot come.
func TestModel(t *testing.T) {
	t.Parallel()
	steps := 200_000
	if testing.Short() {
		steps /= 10
	}
	if n, err := strconv.Atoi(os.Getenv(stepsVar)); err == nil {
		steps = n
	}
	seed, single := rand.Uint64(), false
	if n, err := strconv.ParseUint(os.Getenv(seedVar), 10, 64); err == nil {
		seed, single = n, true
	}
	tasks, err := wasmtasks.Build(t.Context(), "testdata/tasks")
	if err != nil {
		t.Fatal(err)
	}
	var tally modelTally
	var next atomic.Uint64
	began := time.Now()
	for range runtime.GOMAXPROCS(0) {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for tally.steps.Load() < int64(steps) && !t.Failed() {
				one := seed + next.Add(1) - 1
				if single && one > seed {
					return
				}
				runProgram(t, one, tasks, &tally)
			}
		})
	}
	t.Cleanup(func() { tally.report(t, time.Since(began), single || steps < 5_000_000) })
}

// programPatience is for how long a program may run, which takes milliseconds: one that
// turns on the spot comes to no rest.
const programPatience = 45 * time.Second

func runProgram(t *testing.T, seed uint64, tasks *wasmtasks.Module, tally *modelTally) {
	late := time.AfterFunc(programPatience, func() {
		debug.SetTraceback("all")
		panic("a program of TestModel does not end: " + seedVar + "=" + strconv.FormatUint(seed, 10))
	})
	defer late.Stop()
	defer func() {
		if v := recover(); v != nil { // of goroutines that are left
			t.Error(v)
		}
		if t.Failed() {
			t.Logf("again: %s=%d", seedVar, seed)
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		newProgram(t, rand.New(rand.NewPCG(seed, 6)), tasks, tally).run(programSteps)
	})
}

// report says what was done, and complains when too little was. Where few steps were taken,
// chance may have left out what is rare.
func (m *modelTally) report(t *testing.T, took time.Duration, few bool) {
	t.Logf("%d steps in %v, %d programs, %d calls, %d elements of maps, compared %d times, %d workers lost",
		m.steps.Load(), took.Round(time.Millisecond), m.programs.Load(), m.calls.Load(), m.elements.Load(), m.waits.Load(), m.losses.Load())
	for i, name := range []string{"with a result", "as failed", "as lost", "as cancelled", "as killed", "as dropped", "with the pool", "as the call before"} {
		n := m.ends[i].Load()
		if t.Logf("%d ended %s", n, name); n == 0 && !few {
			t.Errorf("no call ended %s: the test tests too little", name)
		}
	}
	for s := range m.before {
		if m.before[s].Load() == 0 && !few {
			t.Errorf("no call that was %v was cancelled: the test tests too little", State(s))
		}
	}
	for at := waits; at <= flies; at++ {
		if m.places[at].Load() == 0 && !few {
			t.Errorf("no call was at place %d: the test tests too little", at)
		}
	}
}
