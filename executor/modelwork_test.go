package executor

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"runtime"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// A work is a map, a stream or a batch of a program.
type work struct {
	p        *program
	own      *owner
	face     string
	ordered  bool // the results come in the order of the arguments
	mapping  bool // its context ends it, and who leaves cancels it
	n        int
	ending   string // of the input: fails, panics, exits, or in peace
	buffer   int
	failures int
	breakAt  int // 0 is never
	policy   tracked
	gate     chan struct{} // let the input go on
	tokens   chan struct{} // let the results be taken
	released atomic.Bool
	began    time.Time

	cancel  context.CancelFunc
	stopper *Stopper
	stream  *Stream
	batch   *Batch

	// Said by the program.
	ctxEnded, stopped, closed bool

	// Of who feeds, and of who takes; looked at when all is quiet.
	calls      []*tracked
	known      int
	atGate     bool
	inputBegan bool
	inputOver  bool
	got        []element
	atTake     bool
	returned   bool
	broke      bool
	panicked   any
	seen       int
	yielded    int // of the elements that were looked at, those of calls
	failed     int
	last       error // what ended it
	terminated bool
	mayEnd     int // elements that end it, or a call
}

type element struct {
	i    int64
	data []byte
	err  error
}

var errModelTorn = errors.New("the input is torn")

// work starts one.
func (p *program) work() {
	if len(p.works) >= 4 || len(p.calls) > 100 {
		return
	}
	w := &work{p: p, began: time.Now(), own: p.owner(), gate: make(chan struct{}, 1000), tokens: make(chan struct{}, 1000), stopper: new(Stopper)}
	rnd := p.rnd
	w.face = pick(rnd, []string{"map", "map", "from", "indexed", "indexed", "unordered", "stream", "streamUnordered", "batch", "batchUnordered"})
	w.ordered = w.face == "map" || w.face == "from" || w.face == "stream" || w.face == "batch"
	w.mapping = w.face == "map" || w.face == "from" || w.face == "indexed" || w.face == "unordered"
	w.n = rnd.IntN(40)
	w.ending = pick(rnd, []string{"", "", "", "fails", "panics", "exits"})
	opts := []MapOption{StoppedBy(w.stopper)}
	for _, o := range p.options(&w.policy) {
		opts = append(opts, o)
	}
	if rnd.IntN(2) == 0 {
		w.buffer = 1 + rnd.IntN(12)
		opts = append(opts, Buffer(w.buffer))
	}
	if rnd.IntN(4) == 0 {
		opts = append(opts, Chunk(1+rnd.IntN(6)))
	}
	if w.mapping && rnd.IntN(6) == 0 {
		w.failures = 1 + rnd.IntN(3)
		opts = append(opts, MaxFailures(w.failures))
	}
	if rnd.IntN(3) == 0 {
		w.breakAt = 1 + rnd.IntN(20)
	}
	if rnd.IntN(2) == 0 {
		w.gate = nil
	}
	if rnd.IntN(2) == 0 {
		w.tokens = nil
	}
	ctx, cancel := context.WithCancel(p.t.Context())
	w.cancel = cancel
	results := w.start(ctx, opts)
	p.works = append(p.works, w)
	bad := rnd.IntN(2) == 0
	p.block(w.face, w.mayWait, func() { w.consume(results, bad) }, nil)
	p.blocked[len(p.blocked)-1].work = w
}

// input yields the arguments, each when the gate lets it.
func (w *work) input(yield func([]byte, error) bool) {
	w.p.woken()
	w.inputBegan = true
	defer func() {
		w.p.woken()
		w.inputOver = true
	}()
	for range w.n {
		w.pass(w.gate, &w.atGate)
		c := w.p.fresh(w.own)
		c.work, c.policy, c.priority = w, w.policy.policy, w.policy.priority
		w.p.woken()
		w.calls = append(w.calls, c)
		if !yield(argument(c.id), nil) {
			return
		}
	}
	w.pass(w.gate, &w.atGate)
	switch {
	case w.ending == "fails" && w.face == "from":
		yield(nil, errModelTorn)
	case w.ending == "fails", w.ending == "panics":
		panic(errModelTorn)
	case w.ending == "exits":
		runtime.Goexit()
	}
}

func (w *work) pass(gate chan struct{}, at *bool) {
	if gate == nil || w.released.Load() {
		return
	}
	w.p.woken()
	*at = true
	<-gate
	w.p.woken()
	*at = false
}

// release holds nobody up any more.
func (w *work) release() {
	w.released.Store(true)
	for _, c := range []chan struct{}{w.gate, w.tokens} {
		if c != nil {
			c <- struct{}{}
		}
	}
}

// start starts the work and returns its results, with their numbers where there are any.
func (w *work) start(ctx context.Context, opts []MapOption) iter.Seq2[int64, element] {
	ex, always := w.own.ex, w.p.t.Context()
	plain := func(yield func([]byte) bool) {
		w.input(func(arg []byte, _ error) bool { return yield(arg) })
	}
	var pairs iter.Seq2[[]byte, error]
	switch w.face {
	case "map":
		pairs = ex.Map(ctx, "echo", plain, opts...)
	case "from":
		pairs = ex.MapFrom(ctx, "echo", w.input, opts...)
	case "unordered":
		pairs = ex.MapUnordered(ctx, "echo", plain, opts...)
	case "indexed":
		all := ex.MapIndexed(ctx, "echo", plain, opts...)
		return func(yield func(int64, element) bool) {
			for i, o := range all {
				if !yield(i, element{i, o.Result, o.Err}) {
					return
				}
			}
		}
	case "stream", "streamUnordered":
		w.stream = ex.stream(ctx, "echo", plain, opts, !w.ordered)
		pairs = w.stream.All(always)
	default:
		w.batch = ex.SubmitBatch(ctx, "echo", plain, opts...)
		if w.ordered {
			pairs = w.batch.Ordered(always)
		} else {
			pairs = w.batch.Unordered(always)
		}
	}
	return func(yield func(int64, element) bool) {
		for data, err := range pairs {
			if !yield(-2, element{-2, data, err}) {
				return
			}
		}
	}
}

// consume goes through the results, as far as it wants.
func (w *work) consume(results iter.Seq2[int64, element], bad bool) {
	defer func() {
		w.p.woken()
		w.returned, w.panicked = true, recover()
	}()
	w.pass(w.tokens, &w.atTake)
	for _, e := range results {
		w.p.woken()
		w.got = append(w.got, e)
		w.pass(w.tokens, &w.atTake)
		if len(w.got) == w.breakAt && e.err == nil {
			if w.broke = true; bad && w.mapping {
				panic("a bad body")
			}
			return
		}
	}
}

// over reports whether no further result is wanted, or no further argument.
func (w *work) over() bool {
	return w.stopped || w.closed || w.ctxEnded || w.mapping && w.returned
}

// gone reports whether its executor takes no calls.
func (w *work) gone() bool { return w.p.over(w.own) }

// feeding reports whether its input is being gone through.
func (w *work) feeding() bool { return w.inputBegan && !w.inputOver }

// left returns how many of its calls are somewhere.
func (w *work) left() int {
	n := 0
	for _, c := range w.calls {
		if c.place != nowhere {
			n++
		}
	}
	return n
}

// mayWait reports whether who takes the results may still wait.
func (w *work) mayWait() bool {
	p := w.p
	if w.atTake {
		return true
	}
	if w.mapping && w.over() {
		return false
	}
	fed, there := 0, 0
	for _, c := range w.calls {
		if c.fed {
			fed++
		}
		if c.place != nowhere {
			there++
		}
	}
	closed := w.over() // a call that was submitted at that moment is not among the results
	if !closed && !w.ordered && fed-there > w.yielded+w.mayEnd {
		return false // one is ready
	}
	if !closed && w.ordered && w.yielded < len(w.calls) {
		if c := w.calls[w.yielded]; c.fed && c.place == nowhere {
			return false // it is its turn
		}
	}
	if there > 0 {
		return true
	}
	if p.bounded > 0 && !w.mapping && w.feeding() && p.waiting > p.bounded*3/4 {
		return true
	}
	given := w.over() || min(p.leftFor(w.own), time.Since(w.began)) > inputPatience
	return w.atGate && !given
}

// letGo applies to the calls of a work what follows from its end.
func (p *program) letGo(w *work) {
	if !w.over() {
		return
	}
	for _, c := range w.calls {
		if c.over || !w.mapping && !w.stopped && !w.closed && c.there() {
			continue // the calls of a stream outlive its context
		}
		if c.ask(asCancelled, false); w.mapping {
			c.cancelPending(c.there())
		}
	}
}

// progress looks at what a work has yielded, and how far it has read.
func (p *program) progress(w *work) {
	for ; w.seen < len(w.got); w.seen++ {
		if w.terminated {
			w.fail("it goes on after its end")
		}
		w.element(w.got[w.seen])
		p.tally.elements.Add(1)
	}
	if w.buffer > 0 && w.batch == nil && len(w.calls)-len(w.got) > w.buffer {
		w.fail(fmt.Sprintf("it has read %d arguments, %d results were taken, and its buffer is %d", len(w.calls), len(w.got), w.buffer))
	}
	if w.over() && w.feeding() && !w.atGate {
		w.fail("who feeds it does not end")
	}
	if w.returned {
		w.finished()
	}
}

// element looks at one element.
func (w *work) element(e element) {
	var c *tracked
	switch {
	case e.i >= 0:
		c = w.calls[e.i]
	case w.ordered && w.yielded < len(w.calls):
		c = w.calls[w.yielded]
	case e.err == nil && !w.ordered && len(e.data) == 8:
		if c = w.p.byID[binary.LittleEndian.Uint64(e.data)-answerBit]; w.batch != nil {
			if i := slices.IndexFunc(w.calls, func(c *tracked) bool { return c.answer() == binary.LittleEndian.Uint64(e.data) }); i >= 0 {
				c = w.calls[i]
			}
		}
	case e.i == -2 && !w.ordered && endOf(e.err)&(asFailure|asKilled|asCancelled|asLost) != 0:
		w.yielded++ // of which call is not known
		w.countFailure(e.err)
		return
	}
	if how := endOf(e.err); how&(asDropped|asBroken) != 0 && (c == nil || !c.fed) {
		w.terminal(e.err) // it may be a call's, too
		w.terminated = false
		w.mayEnd++
		return
	}
	if e.err != nil && (e.i == -1 || c == nil || c.work != w || endOf(e.err)&c.may == 0) {
		w.terminal(e.err)
		return
	}
	if c == nil || c.work != w {
		w.fail(fmt.Sprintf("it yields %x, %v", e.data, e.err))
	}
	w.yielded++
	w.countFailure(e.err)
	if c.f == nil && c.over {
		w.p.wrong(c, "it is yielded twice")
	}
	if c.f == nil {
		w.p.ended(c, e.data, e.err)
	}
}

func (w *work) countFailure(err error) {
	if err != nil && endOf(err) != asCancelled {
		w.failed++
	}
}

// terminal looks at what ends the results.
func (w *work) terminal(err error) {
	w.last, w.terminated = err, true
	all := w.inputOver && (w.yielded+w.mayEnd >= len(w.calls) || w.gone())
	ok := false
	switch {
	case errors.Is(err, ErrStopped):
		ok = w.stopped
	case errors.Is(err, context.Canceled):
		ok = w.ctxEnded || w.closed
	case errors.Is(err, ErrClosed), errors.Is(err, ErrNoWorkers):
		ok = w.gone()
	case errors.Is(err, ErrFailures):
		ok = w.failures > 0 && w.failed <= w.failures && w.failures <= w.failed+w.mayEnd
	case errors.Is(err, errModelTorn):
		ok = (w.ending == "fails" || w.ending == "panics") && all
	case strings.Contains(err.Error(), "Goexit"):
		ok = w.ending == "exits" && all
	}
	if !ok {
		w.fail(fmt.Sprintf("it ends with %v", err))
	}
}

// finished looks at how the results ended.
func (w *work) finished() {
	for _, c := range w.calls {
		c.left = true
	}
	switch {
	case w.terminated || w.mayEnd > 0 || w.broke && (w.panicked == nil || w.panicked == any("a bad body")):
	case w.panicked != nil:
		if w.panicked != any(errModelTorn) || w.ending != "panics" && w.ending != "fails" || w.yielded+w.mayEnd < len(w.calls) && !w.gone() {
			w.fail(fmt.Sprintf("it panics with %v", w.panicked))
		}
	case w.ending != "" || !w.inputOver || w.yielded != w.n:
		w.fail(fmt.Sprintf("it ends well after %d of %d results", w.yielded, w.n))
	}
}

func (w *work) fail(what string) {
	w.p.t.Helper()
	buf := make([]byte, 1<<20)
	buf = buf[:runtime.Stack(buf, true)]
	for _, g := range strings.Split(string(buf), "\n\n") {
		if strings.Contains(g, fmt.Sprintf("(*work).consume(%p", w)) || strings.Contains(g, fmt.Sprintf("(*work).input(%p", w)) {
			w.p.t.Log(g)
		}
	}
	w.p.fail("%s: %s; %d of %d arguments read (at the gate: %t, over: %t), %d elements, input %q, buffer %d, context ended %t, stopped %t, closed %t",
		w.face, what, len(w.calls), w.n, w.atGate, w.inputOver, len(w.got), w.ending, w.buffer, w.ctxEnded, w.stopped, w.closed)
}

// some returns one of the works, or nil.
func (p *program) some() *work {
	if len(p.works) == 0 {
		return nil
	}
	return pick(p.rnd, p.works)
}

func (p *program) openGate() { p.let(func(w *work) chan struct{} { return w.gate }) }
func (p *program) take()     { p.let(func(w *work) chan struct{} { return w.tokens }) }

func (p *program) let(gate func(*work) chan struct{}) {
	w := p.some()
	if w == nil || gate(w) == nil {
		return
	}
	for range 1 + p.rnd.IntN(8) {
		select {
		case gate(w) <- struct{}{}:
		default:
		}
	}
}

// stopWork ends a work in one of the ways there are.
func (p *program) stopWork() {
	w := p.some()
	if w == nil {
		return
	}
	certain := func(c *tracked) bool { return c.there() && (w.mapping || c.f != nil) }
	switch kind := p.rnd.IntN(4); {
	case kind == 0:
		w.ctxEnded = true
		w.cancel()
	case kind == 1:
		w.stopped = true
		w.stopper.Stop()
	case kind == 2:
		for _, c := range p.calls {
			if c.work == w {
				c.ask(asKilled, certain(c))
			}
		}
		w.stopped = true
		w.stopper.Kill("the test wants it so")
	case w.stream != nil:
		w.closed = true
		w.stream.Close()
	case w.batch != nil:
		w.closed = true
		w.batch.Cancel()
	}
}
