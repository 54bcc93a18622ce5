package dispatcher

import (
	"context"
	"fmt"
	"log/slog"
	"math"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/lines"
	"github.com/wasmpool/wasmpool/internal/monotime"
	"github.com/wasmpool/wasmpool/internal/plain"
	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// handle takes in one frame of a worker.
func (f *fabric) handle(from int, frame []byte) error {
	typ, count, body, err := wire.Header(frame)
	if err != nil {
		return err
	}
	if typ == wire.TypeHello {
		return f.handleHello(from, body)
	}
	w := f.workers[from]
	switch {
	case w == nil:
		return fmt.Errorf("a %s frame before the hello", typ)
	case w.lost:
		return nil // it was declared dead: what it still says does not count
	}
	switch typ {
	case wire.TypeResults:
		return f.handleResults(w, count, body)
	case wire.TypeReturned:
		return f.handleReturned(w, count, body)
	case wire.TypePull:
		return f.handlePull(w, count, body)
	case wire.TypeNeed:
		return f.handleNeed(w, body)
	case wire.TypeFetch:
		return f.handleFetch(w, body)
	case wire.TypeLog:
		return f.handleLog(w, body)
	case wire.TypeStatus:
		return f.handleStatus(w, body)
	default:
		return fmt.Errorf("the root does not expect a %s frame", typ)
	}
}

func (f *fabric) handleHello(from int, body []byte) error {
	var hello wire.Hello
	if err := wire.Decode(wire.TypeHello, body, &hello); err != nil {
		return err
	}
	if f.workers[from] != nil || hello.Slots < 1 || hello.Slots > 1<<16 {
		return fmt.Errorf("a second hello, or one with %d slots", hello.Slots)
	}
	w := &worker{rank: from, host: hello.Host, pid: hello.PID, slots: hello.Slots, launchRank: hello.LaunchRank, fabric: f, peer: from, heard: monotime.Now(), joined: monotime.Now(), skew: math.MaxInt64}
	if f.own {
		w.rank = 0
	}
	w.sent = func(err error) { f.afterSend(w, err) }
	f.workers[from] = w
	f.loop.arrived()
	f.loop.join(w)
	f.loop.agree(w, hello.Agreed)
	return nil
}

// handleResults resolves the calls that a frame answers. Their small results
// share one piece of memory.
func (f *fabric) handleResults(w *worker, count int, body []byte) error {
	s := f.loop.sched
	defer s.place(w) // also when the frame makes no sense: until it is lost it may get calls, or be asked for some
	w.heard, w.fruitless = f.loop.moment(), false
	r := wire.NewReader(count, body)
	slab := make([]byte, 0, wire.DataLen(count, body))
	var res wire.Result
	var learned runTimes
	var err error
	for r.NextResult(&res) {
		c := s.lookup(w, res.Ticket, res.Gen)
		if c == nil {
			return fmt.Errorf("a result for call %d, which it does not hold", res.Gen)
		}
		if c.head() != nil && res.IsPlain() {
			res.MakeRow()
		}
		if res.Count > 0 {
			if c.stretch == nil {
				return fmt.Errorf("%d results from call %d on, which is none of a block", res.Count, res.Gen)
			}
			f.loop.reports.progress(w.heard)
			learned.add(c.task, res.Nanos, res.Count)
			if slab, err = f.handleRow(w, c.stretch, &res, slab); err != nil {
				return err
			}
			continue
		}
		if p := c.head(); p != nil {
			c = f.loop.takeApart(w, p, res.Gen)
		}
		if c.stretch != nil { // from here on its place is its own
			res.Ticket = c.ticket
		}
		if res.Begun {
			f.loop.begun(c)
			continue
		}
		f.loop.reports.progress(w.heard)
		if res.Nanos > 0 { // it ran
			learned.add(c.task, res.Nanos, 1)
		}
		if w.answered(res.Ticket) {
			return fmt.Errorf("a second result for call %d", res.Gen)
		}
		if res.Long {
			if err := f.receive(w, c, res); err != nil {
				return err
			}
			continue
		}
		data := res.Data
		if len(data) < inlineSlab {
			at := len(slab)
			slab = append(slab, data...)
			data = slab[at:len(slab):len(slab)]
		} else {
			data = append([]byte(nil), data...)
		}
		if w.departs(res.Ticket) {
			f.concludeLater(w, res, data)
		} else {
			f.conclude(w, c, &res, data)
		}
	}
	learned.flush()
	return r.Err()
}

// conclude ends the run of a call with its result, or failure, which is data.
func (f *fabric) conclude(w *worker, c *Call, res *wire.Result, data []byte) {
	l := f.loop
	if l.duplicates.concern(c) {
		if c = l.answer(w, c, res, data); c == nil {
			f.release(w, l.sched.tickets[res.Ticket])
			return
		}
	}
	f.release(w, c)
	w.calls++
	w.ran += res.Nanos
	c.ran = res.Nanos
	c.measured(res.Usage)
	var woken bool
	if res.Failed {
		woken = l.afterFailedRun(w, c, res, data)
	} else {
		woken = l.afterResult(w, c, res, data)
	}
	l.woke = l.woke || woken
}

// afterResult takes the result of a call that is no longer in flight: the call is resolved, or
// runs again to be compared.
func (l *Loop) afterResult(w *worker, c *Call, res *wire.Result, data []byte) (woken bool) {
	c.task.module.started = true
	if l.duplicates.on {
		c.task.took(res.Nanos)
	}
	first := l.checks.first(c)
	if first != nil && !l.sameResult(c, first, data) {
		return l.differs(w, c, res, first, "gave "+digestOf(data), data)
	}
	if l.on() {
		l.noteRun(w, c, res, int64(len(data)), nil)
	}
	if first == nil && c.options != nil && c.options.SpotCheck > 0 && l.beginCheck(w, c, res, data) {
		return false
	}
	return l.succeed(c, data, res.Asked)
}

// succeed resolves a call with its result.
func (l *Loop) succeed(c *Call, data []byte, asked bool) (woken bool) {
	if o := c.options; o != nil {
		if o.Results != nil {
			o.Results.Hold(int64(len(data)), c.size)
		}
		if o.Keeper != nil {
			o.Keeper.Keep(c, data, asked)
		}
	}
	return c.finish(data, nil, &l.counts)
}

// afterFailedRun takes the failure that a worker tells of.
func (l *Loop) afterFailedRun(w *worker, c *Call, res *wire.Result, data []byte) (woken bool) {
	e := failureOf(c, w, data)
	first := l.checks.first(c)
	switch {
	case l.strayOrder(c, e.Kind) && first != nil:
		return l.awaitCheckAgain(c)
	case l.strayOrder(c, e.Kind):
		l.requeue(c)
		return false
	case first != nil:
		return l.afterFailedCheck(w, c, res, first, e)
	default:
		return l.afterFailure(c, e, res)
	}
}

// concludeLater is conclude for a call whose argument is being sent: when it has left.
func (f *fabric) concludeLater(w *worker, res wire.Result, data []byte) {
	w.departing[res.Ticket] = func() {
		f.conclude(w, f.loop.sched.tickets[res.Ticket], &res, data)
		f.loop.sched.place(w)
	}
}

// A runTimes gathers what results of one task say about its run time.
type runTimes struct {
	task  *Task
	nanos int64
	n     int
}

func (r *runTimes) add(t *Task, nanos int64, n int) {
	if t != r.task {
		r.flush()
		*r = runTimes{task: t}
	}
	r.nanos += nanos * int64(n)
	r.n += n
}

func (r *runTimes) flush() {
	if r.n > 0 {
		r.task.learn(r.nanos, r.n)
	}
}

// receive takes in a long result, straight into the memory that the caller
// gets. The call stays in flight until it is here.
func (f *fabric) receive(w *worker, c *Call, res wire.Result) error {
	if res.Len > longestResult || res.Failed {
		return fmt.Errorf("a result of %d bytes, failed: %t", res.Len, res.Failed)
	}
	if err := checkPayload(res.Payload); err != nil {
		return err
	}
	w.await(res.Ticket)
	a := &longResult{fabric: f, worker: w, result: res}
	if a.asks() && f.loop.unwanted(c) {
		a.unwanted(host.KindCancelled, cancelReason)
		return nil
	}
	f.loop.room.admit(a)
	return nil
}

// handleReturned puts calls that a worker gave back at the head of the queue.
func (f *fabric) handleReturned(w *worker, count int, body []byte) error {
	s := f.loop.sched
	defer s.place(w)
	if w.asked, w.fruitless = false, count == 0; w.fruitless {
		w.heard = f.loop.moment() // it is not asked again at once
	}
	r := wire.NewReader(count, body)
	for {
		ticket, gen, n, ok := r.NextTicket()
		if !ok {
			break
		}
		c := s.lookup(w, ticket, gen)
		if c == nil {
			return fmt.Errorf("it returned call %d, which it does not hold", gen)
		}
		if c.stretch != nil {
			if err := f.takeBackRow(w, c.stretch, gen, int(min(n, MaxBlock+1))); err != nil {
				return err
			}
			continue
		}
		if n != 1 {
			return fmt.Errorf("it returned %d calls from call %d on, which is none of a block", n, gen)
		}
		if w.answered(ticket) {
			return fmt.Errorf("it returned call %d after its result", gen)
		}
		if w.departs(ticket) {
			w.departing[ticket] = func() {
				f.takeBack(w, s.tickets[ticket])
				s.place(w)
			}
			continue
		}
		f.takeBack(w, c)
	}
	return r.Err()
}

// takeBack queues a call again that w gave back.
func (f *fabric) takeBack(w *worker, c *Call) {
	l, ticket := f.loop, c.ticket
	elsewhere := l.duplicates.concern(c) && l.goesOnElsewhere(c)
	f.release(w, l.sched.tickets[ticket])
	switch {
	case elsewhere, l.endUnanswered(w, c):
	case l.checks.first(c) != nil:
		l.woke = l.awaitCheckAgain(c) || l.woke
	default:
		l.requeue(c)
	}
}

// release undoes give: the call came back.
func (f *fabric) release(w *worker, c *Call) {
	if c.size > wire.Inline && f.lender != nil {
		f.lender.Reclaim(c.ticket)
	}
	f.loop.sched.release(w, c)
}

// handlePull sends long arguments from the callers' slices.
func (f *fabric) handlePull(w *worker, count int, body []byte) error {
	r := wire.NewReader(count, body)
	for {
		pull, ok := r.NextPull()
		if !ok {
			return r.Err()
		}
		c := f.loop.sched.lookup(w, pull.Ticket, pull.Gen)
		if c == nil || c.stretch != nil { // those of a block have no long argument
			return fmt.Errorf("it wants the argument of call %d, which it does not hold", pull.Gen)
		}
		if w.answered(pull.Ticket) || w.departs(pull.Ticket) {
			return fmt.Errorf("it wants the argument of call %d again, or after its result", pull.Gen)
		}
		if err := checkPayload(pull.Payload); err != nil {
			return err
		}
		w.depart(pull.Ticket)
		f.ep.SendPayload(w.peer, pull.Payload, f.loop.duplicates.argument(c), func(err error) {
			if err != nil {
				w.sent(err) // it is lost, and its calls run elsewhere
				return
			}
			w.departed(pull.Ticket)
		})
	}
}

// handleNeed sends a module's bytes.
func (f *fabric) handleNeed(w *worker, body []byte) error {
	var need wire.Need
	if err := wire.Decode(wire.TypeNeed, body, &need); err != nil {
		return err
	}
	if int(need.Index) >= len(w.modules) || w.modules[need.Index] == nil {
		return fmt.Errorf("it wants module %d, which was not offered", need.Index)
	}
	if err := checkPayload(need.Payload); err != nil {
		return err
	}
	if w.given.has(need.Index) {
		return fmt.Errorf("it wants module %d again", need.Index)
	}
	w.given.add(need.Index)
	f.ep.SendPayload(w.peer, need.Payload, w.modules[need.Index].source.Bytes(), w.sent)
	return nil
}

// checkPayload refuses an id that no transport takes: its payload would never
// come, and the call never end.
func checkPayload(id uint32) error {
	if id >= transport.MaxPayloads {
		return fmt.Errorf("payload %d, the ids end at %d", id, transport.MaxPayloads-1)
	}
	return nil
}

// afterSend is what follows a payload that w was sent.
func (f *fabric) afterSend(w *worker, err error) {
	if err != nil && !w.lost {
		f.ep.Fence(w.peer, fmt.Errorf("executor: sending to rank %d: %w", w.rank, err))
	}
}

// handleLog writes a guest's log line, unless its worker sends more of them than its own
// limiter would let pass.
func (f *fabric) handleLog(w *worker, body []byte) error {
	pass, note := w.lines.Late(f.loop.moment(), "the rank", lines.PerRank(f.ep.Size()))
	if note != "" {
		f.loop.log.Warn(note, "rank", w.rank, "host", w.host)
	}
	if !pass {
		return nil // it is not even read
	}
	var line wire.LogLine
	if err := wire.Decode(wire.TypeLog, body, &line); err != nil {
		return err
	}
	words := []any{"rank", w.rank}
	if c := f.loop.sched.lookup(w, line.Ticket, uint32(line.Number)); c != nil {
		words = append(words, c.words()...)
	}
	// slog's default handler writes a message as it is, to a terminal as a rule.
	f.loop.log.Log(context.Background(), slog.Level(line.Level), plain.Text(line.Text[:min(len(line.Text), lines.MostText)]), append(words, "call", line.Number)...)
	return nil
}
