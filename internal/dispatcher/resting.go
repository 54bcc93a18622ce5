package dispatcher

import "time"

// restingCalls are the calls that failed and wait to run again, so that the end of the pool
// finds them. They belong to the loop.
type restingCalls struct {
	in     *intake // the way back into the loop
	timers map[*Call]*time.Timer
}

// add makes a pending call rest for so long. Then the loop runs next with it, unless it was
// forgotten meanwhile.
func (r *restingCalls) add(c *Call, pause time.Duration, next func(*Loop, *Call)) {
	var timer *time.Timer
	timer = time.AfterFunc(pause, func() {
		r.in.request(func(l *Loop) {
			if r.timers[c] == timer { // else c may be another call
				delete(r.timers, c)
				next(l, c)
			}
		})
	})
	if r.timers == nil {
		r.timers = map[*Call]*time.Timer{}
	}
	r.timers[c] = timer
}

// forget ends the rest of a call that was resolved.
func (r *restingCalls) forget(c *Call) {
	if timer := r.timers[c]; timer != nil {
		timer.Stop()
		delete(r.timers, c)
	}
}

// drop resolves the calls that match, and returns how many it did.
func (r *restingCalls) drop(match func(*Call) bool, err func(*Call) error) int {
	n := 0
	for c := range r.timers {
		if !match(c) {
			continue
		}
		r.forget(c)
		if c.withdraw(err) {
			n++
		}
	}
	return n
}

// count returns how many calls rest.
func (r *restingCalls) count() int { return len(r.timers) }
