package worker

import (
	"time"

	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/wire"
)

const (
	// spin is how long a runner without work polls before it sleeps.
	spin = 100 * time.Microsecond

	// longSleep is from when a sleep is long: the system may have put this worker on
	// the root's CPU, and takes its time to part the two.
	longSleep = time.Millisecond

	// sendNap is how long a worker sleeps while something it sends is under way.
	sendNap = 50 * time.Microsecond
)

// safety bounds a sleep, should a ring of the bell ever be lost. Tests change it.
var safety = 5 * time.Second

// step sends the results in the backlog and takes in the frames that have arrived. It
// reports whether there were any.
func (s *server) step() bool {
	s.io.Lock()
	defer s.io.Unlock()
	err := s.flush()
	var n int
	if err == nil {
		n, err = s.ep.Poll(s)
	}
	if err != nil {
		s.fail("%w", err)
	}
	s.wakeSleeper()
	return n > 0
}

// wakeSleeper wakes the goroutine that sleeps at the bell if something needs polling,
// since the caller may be about to compute, or to park. io is held.
func (s *server) wakeSleeper() {
	if s.asleep && s.ep.Pending() {
		s.asleep = false
		s.ep.Bell().Ring()
	}
}

// flush sends finished results. io is held.
func (s *server) flush() error {
	for {
		frame := s.backlog.takeFrame()
		if frame == nil {
			return nil
		}
		err := s.ep.Send(0, frame)
		s.backlog.giveFrame()
		if err != nil {
			return err
		}
	}
}

// send sends one control frame. io is held.
func (s *server) send(typ wire.Type, v any) {
	frame, err := wire.Control(typ, v)
	if err == nil {
		err = s.ep.Send(0, frame)
	}
	if err != nil {
		s.fail("sending a %s frame: %w", typ, err)
	}
}

// watch waits for frames until a call is queued or the server ends. The caller
// holds watching.
func (s *server) watch() {
	since := time.Now()
	if s.sleptLong && s.waker != nil && s.waker.Beside(0) {
		since = since.Add(-spin) // the root may share this CPU, and now takes in the answer: make way
	}
	s.sleptLong = false
	var spinner transport.Spinner
	for !s.ended() {
		if s.step() {
			since = time.Now()
		}
		if s.backlog.waiting() {
			return
		}
		if s.ctx.Err() != nil {
			s.backlog.close()
			return
		}
		if time.Since(since) < spin {
			spinner.Turn()
			continue
		}
		if s.setBell() {
			s.sleep()
		}
		since = time.Now()
	}
}

// sleep waits for the bell, after setBell.
func (s *server) sleep() {
	if s.backlog.waiting() || s.ended() {
		return
	}
	since := time.Now()
	s.wait()
	s.sleptLong = time.Since(since) > longSleep
}

// setBell makes what arrives from now on ring the bell. It reports whether nothing has
// arrived until then and nothing needs polling to move: then the caller, who holds
// watching, may wait for the bell.
func (s *server) setBell() bool {
	s.io.Lock()
	pending := s.ep.Pending()
	if !pending {
		s.ep.Doze()
	}
	s.io.Unlock()
	if s.step() {
		return false
	}
	if pending {
		transport.Nap(sendNap)
		return false
	}
	s.io.Lock()
	defer s.io.Unlock()
	s.asleep = !s.ep.Pending() // another slot may have begun something
	return s.asleep
}

// wait waits for the bell, which rings once: setBell comes before the next wait.
func (s *server) wait() {
	s.ep.Bell().Wait(safety)
	s.io.Lock()
	defer s.io.Unlock()
	s.asleep = false
}

// handOverWatch wakes a runner to watch for frames if no goroutine does.
func (s *server) handOverWatch() {
	if s.watching.TryLock() {
		s.watching.Unlock()
		s.backlog.wakeOne()
	}
}
