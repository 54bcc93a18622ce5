package dispatcher

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/monotime"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// spotChecks are calls that run twice, one run after the other and on two workers where there are two, so that their results
// can be compared. They belong to the loop.
//
// While a call waits for its second run it is in scheduler.checks, and in neither the queue nor a worker's hands. It counts as
// running from its first result on, so that it cannot be cancelled; it can be killed.
type spotChecks struct {
	firsts map[*Call]*firstRun // of calls that have had their first run only
}

// A firstRun is the first of two runs.
type firstRun struct {
	worker *worker
	result []byte
	ran    int64 // how long it took, in nanoseconds
	asked  bool  // as in a wire.Result
}

// mostHashed is how many bytes of an argument decide whether its call is checked.
const mostHashed = 64 << 10

// mostLogged is how many calls the log names whose runs differ: a task that is not of its argument alone may have millions.
const mostLogged = 100

// mostTries is how many of the calls that wait for their second run the loop looks at in one turn.
const mostTries = 16

// first returns the first run of a call that has had no other; nil for any other call.
func (s *spotChecks) first(c *Call) *firstRun {
	if len(s.firsts) == 0 {
		return nil
	}
	return s.firsts[c]
}

// picked reports whether the call is one of those that are checked: by its task and its argument, so that it is the same ones
// in each job.
func (c *Call) picked() bool {
	h := xxhash.New()
	digest := c.task.module.source.Digest()
	var size [8]byte
	binary.LittleEndian.PutUint64(size[:], uint64(len(c.data)))
	for _, part := range [][]byte{digest[:], []byte(c.task.export), size[:], c.data[:min(len(c.data), mostHashed)]} {
		h.Write(part) //nolint:errcheck // it returns no error
	}
	const bits = 53 // of a float64
	return float64(h.Sum64()>>(64-bits)) < c.options.SpotCheck*(1<<bits)
}

// sameResult takes in the result of a call's second run, and reports whether it is that of the first.
func (l *Loop) sameResult(c *Call, first *firstRun, data []byte) bool {
	delete(l.checks.firsts, c)
	l.counts.checked++
	return bytes.Equal(first.result, data)
}

// afterFailedCheck takes the failure of a call's second run. One that says nothing of the task leaves the result of the first.
func (l *Loop) afterFailedCheck(w *worker, c *Call, res *wire.Result, first *firstRun, e Failure) (woken bool) {
	if !ofTask(e.Kind) || e.Kind == host.KindInitializer {
		err := l.failures.Fail(e)
		l.checkInitializer(e, err)
		if l.on() {
			l.noteRun(w, c, res, 0, err)
		}
		return l.settleUnchecked(c)
	}
	delete(l.checks.firsts, c)
	if e.Kind == host.KindKilled || e.Kind == host.KindCancelled {
		return l.afterFailure(c, e, res)
	}
	l.counts.checked++
	return l.differs(w, c, res, first, fmt.Sprintf("failed (%s): %s", e.Kind, e.Message), nil)
}

// beginCheck has a call run again whose first run has ended. It reports false where it is not to.
func (l *Loop) beginCheck(w *worker, c *Call, res *wire.Result, data []byte) bool {
	if c.lost == beingKilled || l.ending.broken != nil || l.ending.refuses(c) != nil || !c.picked() {
		return false
	}
	if c.begun(); State(c.state.Load()) != Running {
		return false // it was cancelled
	}
	if l.checks.firsts == nil {
		l.checks.firsts = map[*Call]*firstRun{}
	}
	l.checks.firsts[c] = &firstRun{worker: w, result: data, ran: res.Nanos, asked: res.Asked}
	l.noteCheck()
	l.awaitCheck(c)
	return true
}

// awaitCheck has a call wait for its second run.
func (l *Loop) awaitCheck(c *Call) {
	c.queued -= monotime.Now()
	l.sched.checks.push(c)
}

// awaitCheckAgain does so for a call whose second run has not begun, or nobody wanted to end, unless it is not to run any more.
func (l *Loop) awaitCheckAgain(c *Call) (woken bool) {
	if l.ending.refuses(c) != nil {
		return l.settleUnchecked(c)
	}
	l.awaitCheck(c)
	return false
}

// assignChecks begins second runs, and returns how many.
func (l *Loop) assignChecks() (begun int) {
	s := l.sched
	l.now = monotime.Now()
	for range min(len(s.checks), mostTries) {
		c := s.checks.pop()
		w := s.another(l.checks.firsts[c].worker)
		if w == nil {
			s.checks.push(c) // others may be luckier
			continue
		}
		s.send(w, c)
		l.give(w, c)
		s.place(w)
		begun++
	}
	if begun > 0 {
		l.reports.progress(l.now)
		l.out.flush()
		l.out.takeBytes() // they did not wait in the queue
	}
	return begun
}

// dropCheck takes out a call that waits for its second run. It reports false for any other that no worker has.
func (l *Loop) dropCheck(c *Call) bool {
	if l.checks.first(c) == nil {
		return false
	}
	l.sched.checks.remove(c)
	c.queued += monotime.Now()
	delete(l.checks.firsts, c)
	return true
}

// settleUnchecked resolves a call that has no place with the result of its first run: the second did not come about.
func (l *Loop) settleUnchecked(c *Call) (woken bool) {
	first := l.checks.firsts[c]
	delete(l.checks.firsts, c)
	c.worker, c.ran = first.worker, first.ran
	return l.succeed(c, first.result, first.asked)
}

// settleAllUnchecked does so for all that wait for their second run.
func (l *Loop) settleAllUnchecked() {
	for c := l.sched.checks.pop(); c != nil; c = l.sched.checks.pop() {
		c.queued += monotime.Now()
		l.settleUnchecked(c)
	}
}

// differs ends a call whose second run was not as the first. data is the second's result, nil without.
func (l *Loop) differs(w *worker, c *Call, res *wire.Result, first *firstRun, second string, data []byte) (woken bool) {
	a := first.worker
	switch l.counts.differed++; {
	case l.counts.differed <= mostLogged:
		l.log.Error("two runs of a call differ: bad memory or a bad CPU of one of the nodes, or the result is not of the argument alone", append(c.words(),
			"call", c.number, "argument", sumOf(c.data), "rank", a.rank, "host", a.host, "first", sumOf(first.result),
			"second_rank", w.rank, "second_host", w.host, "second", secondSum(data, second))...)
	case l.counts.differed == mostLogged+1:
		l.log.Error("further calls whose runs differ are not logged: their errors say which")
	}
	return l.afterFailure(c, Failure{
		Task: c.task.name, Kind: host.KindDiffered, Rank: w.rank, Host: w.host, Attempt: int(c.attempt),
		Message: fmt.Sprintf("two runs of the call differ: rank %d on %s gave %s, rank %d on %s %s", a.rank, a.host, digestOf(first.result), w.rank, w.host, second),
	}, res)
}

// secondSum is how the log knows a second run: by its result, or what it says of its failure.
func secondSum(data []byte, second string) string {
	if data == nil {
		return second
	}
	return sumOf(data)
}

func sumOf(data []byte) string {
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// digestOf names a result in an error, by the beginning of its digest.
func digestOf(data []byte) string {
	return fmt.Sprintf("a result of %d bytes (SHA-256 %.16s…)", len(data), sumOf(data))
}

// A checkList is a list of calls that wait for their second run, oldest first. Its zero value is empty.
type checkList []*Call

func (q *checkList) push(c *Call) { *q = append(*q, c) }

// pop takes the oldest call, or returns nil.
func (q *checkList) pop() *Call {
	if len(*q) == 0 {
		return nil
	}
	c := (*q)[0]
	(*q)[0] = nil
	*q = (*q)[1:]
	return c
}

// remove takes out a call that is there.
func (q *checkList) remove(c *Call) {
	at := slices.Index(*q, c)
	*q = slices.Delete(*q, at, at+1)
}
