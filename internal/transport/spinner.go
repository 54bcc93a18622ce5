package transport

import "runtime"

// A Spinner is for a goroutine that polls without sleeping. Its zero value is
// ready. It is not safe for concurrent use.
type Spinner struct{ turns uint }

// turnsEach is how often a poller turns before it lets other goroutines run:
// that costs as much as some polls.
const turnsEach = 128

// Turn ends a poll that found nothing: it lets other processes run that want
// this CPU, and now and then other goroutines.
func (s *Spinner) Turn() {
	yield()
	if s.turns++; s.turns%turnsEach == 0 {
		runtime.Gosched()
	}
}
