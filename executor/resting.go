package executor

import "time"

// restingCalls are the calls that failed and wait to run again, so that the end of the pool
// finds them. They belong to the loop.
type restingCalls struct {
	in     *intake // the way back into the loop
	timers map[*Future]*time.Timer
}

// add makes a pending call rest for so long. Then the loop runs next with it, unless it was
// forgotten meanwhile.
func (r *restingCalls) add(f *Future, pause time.Duration, next func(*loop, *Future)) {
	var timer *time.Timer
	timer = time.AfterFunc(pause, func() {
		r.in.request(func(l *loop) {
			if r.timers[f] == timer { // else f may be another call
				delete(r.timers, f)
				next(l, f)
			}
		})
	})
	if r.timers == nil {
		r.timers = map[*Future]*time.Timer{}
	}
	r.timers[f] = timer
}

// forget ends the rest of a call that was resolved.
func (r *restingCalls) forget(f *Future) {
	if timer := r.timers[f]; timer != nil {
		timer.Stop()
		delete(r.timers, f)
	}
}

// drop resolves the calls that match, and returns how many it did.
func (r *restingCalls) drop(match func(*Future) bool, err func(*Future) error) int {
	n := 0
	for f := range r.timers {
		if !match(f) {
			continue
		}
		r.forget(f)
		if f.withdraw(err) {
			n++
		}
	}
	return n
}

// count returns how many calls rest.
func (r *restingCalls) count() int { return len(r.timers) }
