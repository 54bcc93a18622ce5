package executor

import (
	"errors"
	"time"

	"github.com/wasmpool/wasmpool/host"
)

// This file is the reference of the never-hang contract, which TestModel holds an
// executor against: what may become of a call, by what callers and workers did, and
// where it may be when nothing more can happen. It knows nothing of queues, windows,
// tickets or frames.

// An end is how a call ended; several are those that it may end with.
type end uint8

const (
	asResult    end = 1 << iota // with what its worker made of it
	asFailure                   // as its worker said, and runs no more
	asLost                      // its workers were lost
	asCancelled                 // by whom may cancel it
	asKilled                    // the same
	asDropped                   // its executor was shut down and did not wait
	asBroken                    // as the whole pool, of which no worker is left
	asBefore                    // with the error of the call that it is a sequel of
)

// A place is where a call without an outcome is.
type place uint8

const (
	nowhere  place = iota
	waits          // on the root, for a worker
	rests          // before another run
	promised       // for the call that it is a sequel of to end
	flies          // a worker has it
)

// A life is an executor, the one that was opened first or a fork.
type life struct {
	closed bool // it takes no calls
	final  bool // none runs again
	lately end  // what since all was quiet may have come to calls of which the order is not known
}

// A fate is what the reference knows of one call.
type fate struct {
	life    *life
	policy  RetryPolicy
	before  *fate // that it is a sequel of
	may     end   // how it may end
	must    end   // how it has to; 0 where that is open
	mustEnd bool  // it has to end: it cannot wait, and its worker must be told
	over    bool  // it has ended,
	failed  bool  // without a result

	began  bool // its worker said so
	fresh  bool // its worker said something about it since all was quiet: the order is not known
	runs   int  // that failed
	losses int
	until  time.Time // it rests
}

// ask notes that somebody wants the call to end so. It is certain of calls that
// were there, but for what its worker said at the same time.
func (c *fate) ask(how end, certain bool) {
	c.may |= how
	if c.fresh {
		c.may |= asFailure // it may not be thought worth another run
	}
	c.mustEnd = c.mustEnd || certain
}

// cancel notes that Cancel said yes.
func (c *fate) cancel() {
	c.ask(asCancelled, true)
	c.must = asCancelled
}

// cancelPending notes that calls that have not begun are to be cancelled.
func (c *fate) cancelPending(there bool) { c.ask(asCancelled, there && !c.began && !c.fresh) }

// result notes that its worker has a result.
func (c *fate) result() {
	c.may |= asResult
	c.began, c.fresh = false, true
}

// failure notes that its worker says it has failed so.
func (c *fate) failure(kind Kind, now time.Time) {
	c.runs++
	c.began, c.fresh = false, true
	again := c.runs < c.policy.Attempts && kind != host.KindBadInput
	if !again || c.mustEnd || c.life.final || c.may&(asCancelled|asKilled) != 0 {
		c.may |= asFailure
	}
	c.until = now.Add(min(c.policy.Backoff<<(c.runs-1), c.policy.MaxBackoff))
}

// returned notes that its worker gave it back, or is gone.
func (c *fate) returned(gone bool) {
	c.began, c.fresh = false, true
	c.until = time.Time{}
	if gone {
		c.losses++
	}
	if c.poison() {
		c.may |= asLost
	}
}

// poison reports whether too many workers were lost with it.
func (c *fate) poison() bool {
	most := c.policy.Workers
	if most == 0 {
		most = 3
	}
	return c.losses >= most
}

// attempt returns which run the next one is.
func (c *fate) attempt() int { return c.runs + c.losses + 1 }

// wrong says what is against the contract when all is quiet, with the call there. The
// worker that has it was told to let it go, or not.
func (c *fate) wrong(at place, told bool, now time.Time) string {
	switch {
	case c.over && at != nowhere:
		return "it has an outcome and is not forgotten"
	case c.over:
		return ""
	case at == nowhere:
		return "it is nowhere: nobody will end it"
	case at == flies && c.mustEnd && !told:
		return "it is to end, and its worker does not know"
	case at == flies:
		return ""
	case c.mustEnd || c.life.final || c.poison():
		return "it is to end, and waits"
	case at == rests && !now.Before(c.until):
		return "it has rested, and still does"
	case at == promised && c.before.over:
		return "the call that it waits for has ended"
	}
	return ""
}

// end notes how the call has ended, and says what is against the contract.
func (c *fate) end(how end) string {
	c.over, c.failed = true, how != asResult
	switch {
	case c.must != 0 && how&c.must == 0:
		return "it was cancelled, Cancel said"
	case how&c.may == 0:
		return "nothing that happened allows this"
	}
	return ""
}

// endOf tells how a call has ended.
func endOf(err error) end {
	var task *TaskError
	switch {
	case err == nil:
		return asResult
	case err == ErrCancelled: //nolint:errorlint // it is the very value
		return asCancelled
	case errors.Is(err, ErrClosed):
		return asDropped
	case errors.Is(err, ErrNoWorkers):
		return asBroken
	case !errors.As(err, &task):
		return 0
	case task.Kind == host.KindKilled:
		return asKilled
	case task.Kind == host.KindLost:
		return asLost
	}
	return asFailure
}
