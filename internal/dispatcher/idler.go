package dispatcher

import "time"

// How the loop waits while nothing moves. Silence is the time since something last did.
const (
	mostSpin  = 100 * time.Microsecond // the loop polls until then; less long where that was in vain lately
	leastSpin = 5 * time.Microsecond
	spinFresh = time.Millisecond      // it polls for so long after the first call of a pool that had none
	spinSends = 50 * time.Millisecond // and for so long while something is being sent
	firstNap  = 50 * time.Microsecond // then it naps, longer each time,
	napsUntil = 4 * time.Millisecond  // until so much silence;
	longNap   = time.Millisecond      // then it dozes for so long at a time,
	deepAfter = 20 * time.Millisecond // and after so much silence until the bell rings,
	safety    = 50 * time.Millisecond // but not longer than this while calls are in flight
)

// An idler decides how the loop waits when nothing moves. It reads no clock: each moment is
// given to it, in nanoseconds, by monotime. It belongs to the loop.
type idler struct {
	last     int64         // when something last moved
	spin     time.Duration // how much silence it polls for, from leastSpin to mostSpin
	gap      time.Duration // how long the silences beyond mostSpin last lately
	fresh    bool          // the first call of a pool that had none has no answer yet
	attended bool          // a caller has run the loop since something last moved
}

// A situation is what the loop knows when nothing moves.
type situation struct {
	busy    bool          // calls wait or are in flight, or pending
	pending bool          // an endpoint has something that leaves only while it is polled
	awaited bool          // a worker has not said hello, or not answered a question
	slack   time.Duration // for how long the workers have work without another frame
}

// A pause is how the loop waits, and for how long.
type pause struct {
	how rest
	d   time.Duration // 0 for a doze that only the bell ends
}

// A rest is a way to wait.
type rest uint8

const (
	pollAgain rest = iota // do not wait: poll again
	watch                 // look for new calls without sleeping; callers may run the loop
	nap                   // sleep and do not hear the bell; callers may run the loop
	doze                  // sleep until the bell rings; callers may run the loop
)

// start begins the first silence.
func (i *idler) start(now int64) { i.last = now }

// turned takes in that the loop made a turn, which moved something or not. It returns how
// much silence there is.
func (i *idler) turned(now int64, moved bool) (silent time.Duration) {
	silent = time.Duration(now - i.last)
	if !moved {
		return silent
	}
	i.learn(silent)
	i.last, i.attended = now, false
	return 0
}

// learn takes in a silence that has ended: if they are short, polling finds their end at
// once; if they are long, it only takes CPU from the workers.
func (i *idler) learn(silent time.Duration) {
	if silent < mostSpin {
		i.spin = min(i.spin+i.spin/4, mostSpin)
		return
	}
	i.spin = max(i.spin/4, leastSpin)
	i.gap += (min(silent, napsUntil) - i.gap) / 4
}

// begun takes in that a call came to a pool that had none.
func (i *idler) begun(now int64) { i.fresh = i.fresh || now-i.last > int64(mostSpin) }

// answered takes in that something came from the workers.
func (i *idler) answered() { i.fresh = false }

// rung takes in that the bell rang: what it is about may come a moment later.
func (i *idler) rung(now int64) { i.last = now }

// spins reports whether the loop polls on after so much silence, whatever is being sent.
func (i *idler) spins(silent time.Duration) bool {
	return silent < i.spin || silent < spinFresh && i.fresh
}

// patient reports whether the loop polls on after so much silence.
func (i *idler) patient(silent time.Duration, pending bool) bool {
	return i.spins(silent) || silent < spinSends && pending
}

// decide returns how the loop waits after so much silence.
func (i *idler) decide(silent time.Duration, s situation) pause {
	switch {
	case !s.busy:
		return i.idle(silent, s.awaited)
	case i.patient(silent, s.pending):
		return pause{how: pollAgain}
	case silent < napsUntil:
		return pause{nap, max(silent/8, i.gap/4, min(s.slack/2, longNap), firstNap)}
	case silent < deepAfter || s.pending:
		return pause{doze, longNap}
	default:
		return pause{doze, safety}
	}
}

// idle returns how the loop waits when the pool has no call.
func (i *idler) idle(silent time.Duration, awaited bool) pause {
	switch {
	case !i.attended && silent < i.spin:
		return pause{watch, i.spin}
	case awaited:
		return pause{doze, safety} // its frame may be late
	default:
		return pause{how: doze}
	}
}
