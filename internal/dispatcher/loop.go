package dispatcher

import (
	"log/slog"
	"runtime"
	"time"

	"github.com/wasmpool/wasmpool/internal/monotime"
	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// inlineSlab is the length from which a result gets memory of its own instead
// of a piece of its frame's.
const inlineSlab = 1 << 10

// longestResult bounds a result: a guest's memory has no more bytes.
const longestResult = 1 << 32

// A Loop is what one goroutine at a time runs on the root: it takes in calls, hands them to
// workers and resolves them. It owns all that is not in shared, its parts own their own state,
// and it needs its lock: see loopLock.
type Loop struct {
	*shared
	sched   *scheduler
	out     outbox
	room    room
	giver   giver
	resting restingCalls
	idler   idler
	reports reporter
	fabrics fabrics
	ending  ending
	counts  counts
	watching
	duplicates duplicates
	checks     spotChecks
	log        *slog.Logger // writes through late
	late       *lateLog
	spinner    transport.Spinner

	agreed   map[string]string     // a digest of each setting that all ranks must have, by its name
	lost     func(*Loop, Lost)     // told that a worker is lost; may be nil
	describe func(Snapshot) string // makes the text of a report

	awaited int   // workers that have not said hello and are not lost
	woke    bool  // a goroutine that waited has its result
	polled  int64 // when the poll under way began, by monotime; see moment
	now     int64 // when calls were last taken in or handed out, by monotime
}

func newLoop(s *shared, cfg Config) *Loop {
	late := &lateLog{Handler: cfg.Logger.Handler()}
	l := &Loop{
		shared: s, sched: newScheduler(), room: room{most: cfg.ResultBytes}, resting: restingCalls{in: s.in},
		duplicates: duplicates{least: leastUnusual}, idler: idler{spin: mostSpin}, log: slog.New(late), late: late, agreed: cfg.Agreed, lost: cfg.Lost, describe: cfg.Describe,
	}
	l.reports.every = cfg.ReportAfter
	l.reports.progress(monotime.Now())
	l.out.fail, l.out.sharing, l.giver.loop = l.ending.fail, &s.sharing, l
	return l
}

// step makes a turn and learns from it. It returns for how long nothing has moved.
func (l *Loop) step() (silent time.Duration) {
	moved := l.turn()
	if l.woke {
		l.woke = false
		runtime.Gosched() // that goroutine is next on this P, and may have another call at once
	}
	return l.idler.turned(monotime.Now(), moved > 0)
}

// Log returns the log for what the loop is about. Its lines are written when no caller runs the loop.
func (l *Loop) Log() *slog.Logger { return l.log }

// finished reports whether the loop was asked to stop and nothing is left.
func (l *Loop) finished() bool {
	return l.ending.stopping && l.Settled() && l.in.drained()
}

// Settled reports whether every call that was submitted is resolved.
func (l *Loop) Settled() bool {
	return !l.sched.busy() && l.resting.count() == 0 && !l.in.holds()
}

// turn takes in calls and requests, and the workers' frames, and hands out calls. It
// returns how many things it moved. It does not block.
func (l *Loop) turn() int {
	moved := l.takeIn()
	if n := l.poll(); n > 0 {
		moved += n
		l.idler.answered()
	}
	if l.ending.broken != nil {
		return moved
	}
	moved += l.dispatch()
	if !l.sched.busy() {
		l.ending.idle()
	}
	return moved
}

// takeIn drains the intake.
func (l *Loop) takeIn() int {
	first, requests, recalls := l.in.drain(l.ending.stopping || l.ending.refusing != nil || l.ending.broken != nil)
	n := len(requests) + len(recalls) + l.takeAll(first)
	for _, fn := range requests {
		fn(l)
	}
	l.recall(recalls)
	if l.worthSweeping() {
		l.sweep()
	}
	return n
}

// takeLate takes in what has come since the turn began: of the calls that workers have room for, those of the highest priority are to be sent.
func (l *Loop) takeLate() (n int) {
	for l.ending.broken == nil {
		first, ok := l.in.takeOpened(l.sched.queue.lowest())
		if ok {
			return n + l.takeAll(first)
		}
		n += l.takeIn()
	}
	return n
}

// takeAll queues calls that were taken in, but those that are not to run, and returns how many there were.
func (l *Loop) takeAll(first *Call) (n int) {
	if first == nil {
		return 0
	}
	l.now = monotime.Now()
	if !l.sched.busy() {
		l.idler.begun(l.now)
	}
	for c := first; c != nil; n++ {
		next := c.next
		if l.ending.refuses(c) != nil {
			l.refuse(c)
		} else {
			c.queued = -l.now
			l.sched.queue.push(c)
		}
		c = next
	}
	return n
}

// worthSweeping reports whether the queue holds so many withdrawn calls that it is worth
// sweeping: also fewer of them where somebody waits for their room.
func (l *Loop) worthSweeping() bool {
	gone, n := l.withdrawn.Load(), int64(l.sched.queue.n)
	switch {
	case gone == 0:
		return false
	case gone > leastWithdrawn && gone > n/2:
		return true
	default:
		return (n < 8*leastWithdrawn || gone > n/8) && l.in.crowded()
	}
}

// leastWithdrawn is how many withdrawn calls the queue may hold where nobody waits for room.
const leastWithdrawn = 1024

// sweep takes withdrawn calls out of the queue, so that they do not count as waiting.
func (l *Loop) sweep() {
	if l.withdrawn.Swap(0) > 0 {
		l.in.sent(l.sched.queue.sweep())
	}
}

// poll takes in the workers' frames. It returns how many things it found.
func (l *Loop) poll() int {
	l.polled = 0
	n, err := l.fabrics.poll()
	if err != nil {
		l.ending.fail(err)
	}
	return n
}

// moment returns when what the poll under way brings has come. The clock is read once
// for all of it.
func (l *Loop) moment() int64 {
	if l.polled == 0 {
		l.polled = monotime.Now()
	}
	return l.polled
}

// dispatch sends waiting calls to workers.
func (l *Loop) dispatch() int {
	n := 0
	if l.sched.hasRoom() {
		if n = l.takeLate(); l.ending.broken != nil {
			return n
		}
	}
	if len(l.duplicates.ended) > 0 {
		l.endLeftovers() // before the same call is sent again
	}
	if len(l.sched.checks) > 0 {
		n = l.assignChecks()
	}
	if l.sched.queue.n > 0 {
		l.now = monotime.Now()
		if sent := l.sched.assign(l.give); sent > 0 {
			l.reports.progress(l.now)
			l.out.flush()
			l.in.sent(sent, l.out.takeBytes()+l.sched.takeDropped())
			n += sent
		}
	}
	l.balance()
	if l.duplicates.on {
		n += l.tendDuplicates(n)
	}
	l.demand.set(l.sched.hasDemand())
	return n
}

// give sends a call, which is booked at w, with the next flush.
func (l *Loop) give(w *worker, c *Call) {
	c.queued += l.now
	if l.on() || l.duplicates.on {
		l.noteSent(c)
	}
	l.out.add(w, c)
}

// balance asks an overloaded worker to return calls when another one idles.
func (l *Loop) balance() {
	w, n := l.sched.victim(monotime.Now())
	if w == nil {
		return
	}
	w.asked = true
	l.out.control(w, wire.TypeTakeBack, wire.TakeBack{Max: min(n, wire.MaxReturned)})
}

// patient reports whether the loop polls on after so much silence.
func (l *Loop) patient(silent time.Duration) bool {
	return l.idler.spins(silent) || l.idler.patient(silent, l.fabrics.pending())
}

// underWay reports whether there is something to do, now or soon: a block that a caller's turn has seen, and left to grow, is.
func (l *Loop) underWay() bool {
	return l.ending.stopping || l.ending.broken != nil || l.sched.busy() || l.fabrics.pending() || l.in.grows()
}

// announceSleep tells the endpoints that nobody will poll for a while. It reports
// whether there is a reason not to sleep.
func (l *Loop) announceSleep() bool {
	l.fabrics.doze()
	return l.poll() > 0 || l.ending.broken != nil
}

// join adds a worker to the pool. Maps read a call for each slot before their first result has come, and
// there may have been demand before.
func (l *Loop) join(w *worker) {
	l.sched.join(w)
	l.slots.Store(int64(l.sched.slots))
	l.demand.wake()
	if l.on() {
		l.out.control(w, wire.TypeWatch, wire.Watch{On: true})
	}
}

// lose takes a worker out of the pool, and returns the calls that were in flight there.
func (l *Loop) lose(w *worker) []*Call {
	calls := l.sched.lose(w)
	l.slots.Store(int64(l.sched.slots))
	return calls
}

// pause returns how to wait after so much silence. After a long one it reports first.
func (l *Loop) pause(silent time.Duration) pause {
	calls := l.sched.busy() || l.in.grows()
	if calls && l.idler.spins(silent) {
		return pause{how: pollAgain} // the way of most turns
	}
	busy := calls || l.fabrics.pending()
	if busy && silent >= deepAfter {
		l.reportIfDue()
	}
	return l.idler.decide(silent, situation{
		busy: busy, pending: l.fabrics.pending(), awaited: l.awaited > 0 || l.reports.asked != nil, slack: time.Duration(l.sched.slack()),
	})
}
