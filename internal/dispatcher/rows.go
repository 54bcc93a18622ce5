package dispatcher

import (
	"fmt"
	"slices"
	"time"

	"github.com/wasmpool/wasmpool/internal/wire"
)

// handleRow takes in the results of calls of a block that stand one behind the other, of which w has some as p. Those that the root has made
// go their own way meanwhile do so. Short results get pieces of the slab, which it returns.
func (f *fabric) handleRow(w *worker, p *stretch, res *wire.Result, slab []byte) ([]byte, error) {
	i, ok := w.owes(p, res.Gen, res.Count)
	if !ok {
		return slab, fmt.Errorf("%d results from call %d on, of which it does not hold all", res.Count, res.Gen)
	}
	row := res.Data
	for k := 0; k < res.Count; {
		if n := p.open.from(i+k, res.Count-k); n > 0 {
			some := wire.Result{Count: n, Lens: res.Lens.Slice(k, k+n), Data: row, Nanos: res.Nanos}
			row = row[some.Lens.Sum(0, n):]
			slab = f.takeRow(w, p, i+k, &some, slab)
			k += n
			continue
		}
		one, data := p.apart[res.Gen+uint32(k)], row[:res.Lens.At(k)]
		row = row[len(data):]
		f.conclude(w, one, &wire.Result{Ticket: one.ticket, Nanos: res.Nanos}, slices.Clone(data))
		k++
	}
	return slab, nil
}

// owes returns which of the block's calls has a number with that low half, and whether w has that and those behind it, n in all, and
// has more to say of each. With the last of them the block may become another one, so all are looked at before.
func (w *worker) owes(p *stretch, gen uint32, n int) (i int, ok bool) {
	i, ok = p.place(gen, n)
	if !ok || p.open.has(i, n) {
		return i, ok
	}
	for k := range n {
		if one := p.apart[gen+uint32(k)]; !p.open.has(i+k, 1) && (one == nil || w.answered(one.ticket)) {
			return i, false
		}
	}
	return i, true
}

// takeRow takes in the results of the calls of p from the block's call i on. Short ones get pieces of the slab, which it returns.
func (f *fabric) takeRow(w *worker, p *stretch, i int, res *wire.Result, slab []byte) []byte {
	l, b, n, h := f.loop, p.block, res.Count, &p.head
	w.calls += uint64(n)
	w.ran += res.Nanos * int64(n)
	l.afterRow(w, p, i, res)
	cancelled := State(h.state.Load()) == recalled
	if cancelled {
		b.inform(i, n, Info{Task: h.task.name, Rank: -1, Attempt: int(h.attempt)})
		l.counts.cancelled += uint64(n)
	} else {
		b.inform(i, n, Info{Task: h.task.name, Rank: w.rank, Host: w.host, Attempt: int(h.attempt), Queued: time.Duration(max(h.queued, 0)), Ran: time.Duration(res.Nanos)})
		l.counts.done += uint64(n)
	}
	l.sched.answered(w, p, i, n) // p may be another stretch after this
	if cancelled {
		b.failAll(i, n, ErrCancelled)
	} else {
		slab = b.takeResults(i, n, res, slab)
	}
	l.woke = b.settle(i, n) || l.woke
	return slab
}

// afterRow takes in that calls have run, as far as it matters to others than those who wait for them.
func (l *Loop) afterRow(w *worker, p *stretch, i int, res *wire.Result) {
	task := p.block.task
	task.module.started = true
	if l.duplicates.on {
		task.took(res.Nanos)
	}
	if !l.on() {
		return
	}
	run := &Call{task: task, options: p.block.options, ticket: p.head.ticket, queued: p.head.queued, attempt: p.head.attempt}
	for k := range res.Count {
		run.number, run.size = p.block.number+uint64(i+k), int64(len(p.block.data[i+k]))
		l.noteRun(w, run, &wire.Result{Nanos: res.Nanos}, int64(res.Lens.At(k)), nil)
	}
}

// takeResults puts the results of n calls, from call i on, in the place of their arguments. Short ones get pieces of the
// slab, which it returns.
func (b *Block) takeResults(i, n int, res *wire.Result, slab []byte) []byte {
	var results Results
	if b.options != nil {
		results = b.options.Results
	}
	at, short := len(slab), n
	slab = append(slab, res.Data[:res.Lens.Sum(0, n)]...)
	for k := range n {
		end := at + res.Lens.At(k)
		data := slab[at:end:end]
		if at = end; len(data) >= inlineSlab {
			data = slices.Clone(data)
			short--
			if results != nil {
				results.Hold(int64(len(data)), 0)
			}
		}
		b.data[i+k] = data
	}
	if results != nil && short > 0 {
		results.HoldShort(short)
	}
	return slab
}

// takeApart makes the call with the number gen, which w has as one of a stretch, go its own way.
func (l *Loop) takeApart(w *worker, p *stretch, gen uint32) *Call {
	i, _ := p.place(gen, 1)
	ticket := p.head.ticket
	c := l.sched.takeApart(w, p, i)
	if l.on() || l.duplicates.on {
		l.noteSent(c)
		if int(ticket) < len(l.sent) {
			l.sent[c.ticket] = l.sent[ticket]
		}
	}
	return c
}

// takeBackRow queues n calls again that w gave back, of which it had some as p: from that with the number gen on.
func (f *fabric) takeBackRow(w *worker, p *stretch, gen uint32, n int) error {
	l := f.loop
	i, ok := w.owes(p, gen, n)
	if !ok {
		return fmt.Errorf("it returned %d calls from call %d on, of which it does not hold all", n, gen)
	}
	for k := 0; k < n; {
		if run := p.open.from(i+k, n-k); run > 0 {
			back := l.sched.newStretch()
			back.init(p.block, i+k, run, p.block.size(i+k, run), &p.head)
			l.sched.answered(w, p, i+k, run)
			if !l.endUnanswered(w, &back.head) {
				l.requeue(&back.head)
			}
			k += run
			continue
		}
		f.takeBack(w, p.apart[gen+uint32(k)])
		k++
	}
	return nil
}

// afterLossOfStretch takes in that calls of a stretch were in flight at a lost worker. One of them may be what has ended it: each goes
// its own way.
func (l *Loop) afterLossOfStretch(w *worker, p *stretch) {
	runs := p.open.runs(p.at, p.n)
	for _, run := range slices.Backward(runs) {
		for k := run.n - 1; k >= 0; k-- {
			l.afterLoss(w, p.block.newMember(run.i+k, &p.head))
		}
	}
}
