package executor

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// ErrStopped is the last thing that a map, a batch or a stream yields when a [Stopper]
// has stopped it.
var ErrStopped = errors.New("executor: stopped")

// ErrFailures is matched by the last thing that a map yields when as many of its calls
// have failed as [MaxFailures] allows.
var ErrFailures = errors.New("executor: too many calls have failed")

// A Stopper stops maps, batches and streams from outside, without their contexts: those
// that were started with [StoppedBy]. Its zero value is ready to use, and it is
// safe for concurrent use. What is started after Stop or Kill ends at once.
type Stopper struct {
	mu      sync.Mutex
	works   map[stoppable]struct{} // that are bound to it
	stopped bool
	reason  *string // of the first Kill
}

// A stoppable is what a Stopper stops. The methods may be called at any time, and block
// for nothing.
type stoppable interface {
	halt()
	kill(reason string)
}

// Stop ends them as the end of their contexts would: no further argument is asked for, calls that
// have not begun are cancelled, those that have go on, and who goes through the results gets
// [ErrStopped]. It does not block, and may be called more than once.
func (s *Stopper) Stop() {
	for _, w := range s.stop(nil) {
		w.halt()
	}
}

// Kill is Stop that ends the calls which have begun, too, as [Future.Kill] does: also those of
// maps that were stopped, or broken off, before.
func (s *Stopper) Kill(reason string) {
	for _, w := range s.stop(&reason) {
		w.halt()
		w.kill(reason)
	}
}

// stop notes that nothing is to go on, and returns what does.
func (s *Stopper) stop(reason *string) []stoppable {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	if s.reason == nil {
		s.reason = reason
	}
	works := make([]stoppable, 0, len(s.works))
	for w := range s.works {
		works = append(works, w)
	}
	return works
}

// add puts w, which has begun, under the stopper.
func (s *Stopper) add(w stoppable) {
	s.mu.Lock()
	stopped, reason := s.stopped, s.reason
	if s.works == nil {
		s.works = map[stoppable]struct{}{}
	}
	s.works[w] = struct{}{}
	s.mu.Unlock()
	if stopped {
		w.halt()
	}
	if reason != nil {
		w.kill(*reason)
	}
}

// forget takes w out, of which nothing is left.
func (s *Stopper) forget(w stoppable) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.works, w)
}

// A bond keeps a work under its stopper for as long as there is something to stop or to kill: it counts
// who feeds it, who takes its results, where that matters, and each call without an
// outcome. A nil one is that of a work without a stopper.
type bond struct {
	stopper *Stopper
	work    stoppable
	parts   atomic.Int64
}

// bind puts w, which has begun, under the stopper, if there is one. Its bond has so many parts
// besides its calls.
func (s *mapSettings) bind(w stoppable, parts int64) {
	if s.stopper == nil {
		return
	}
	b := &bond{stopper: s.stopper, work: w}
	b.parts.Store(parts)
	s.rare().bond = b
	s.stopper.add(w)
}

// bond returns what bind made.
func (s *mapSettings) bond() *bond {
	if s.options == nil {
		return nil
	}
	return s.options.bond
}

// enter counts a call in, before it can have an outcome.
func (b *bond) enter() {
	if b != nil {
		b.parts.Add(1)
	}
}

// leave counts one out.
func (b *bond) leave() {
	if b != nil && b.parts.Add(-1) == 0 {
		b.stopper.forget(b.work)
	}
}

// StoppedBy puts a map, a batch or a stream under a stopper, which keeps it only until all its
// calls have ended and, of a map, its results were gone through, or it was broken off, or its
// context has ended.
func StoppedBy(s *Stopper) MapOption {
	return mapOptionFunc(func(set *mapSettings) error {
		if s == nil {
			return errors.New("executor: StoppedBy of a nil Stopper")
		}
		set.stopper = s
		return nil
	})
}

// whyEnded returns why a context that a stopper may end, too, has ended, or nil.
func whyEnded(ctx context.Context) error {
	err := ctx.Err()
	if err != nil && context.Cause(ctx) == ErrStopped { //nolint:errorlint // it is the very value
		return ErrStopped
	}
	return err
}
