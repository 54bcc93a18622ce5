package executor

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
)

// ErrStopped is the last thing that a map, a batch or a stream yields when a [Stopper]
// has stopped it; not a batch or a stream whose input had come to its end.
var ErrStopped = errors.New("executor: stopped")

// ErrFailures is matched by the last thing that a map yields when as many of its calls
// have failed as [MaxFailures] allows.
var ErrFailures = errors.New("executor: too many calls have failed")

// A Stopper stops maps, batches and streams from outside, without their contexts: those
// that were started with [StoppedBy]. Its zero value is ready to use, and it is
// safe for concurrent use. What is started after Stop or Kill ends at once.
type Stopper struct {
	mu      sync.Mutex
	feeders map[*feeder]struct{} // of maps, batches and streams that are bound to it
	stopped bool
	reason  *string // of the first Kill
}

// Stop ends them as the end of their contexts would: no further argument is asked for, calls that
// have not begun are cancelled, those that have go on but do not run again, and who goes through the results gets
// [ErrStopped], of a batch or a stream unless its input had come to its end. It does not block, and may be called more than once.
func (s *Stopper) Stop() {
	for _, f := range s.stop(nil) {
		f.halt()
	}
}

// Kill is Stop that ends the calls which have begun, too, as [Future.Kill] does: also those of
// maps that were stopped, or broken off, before.
func (s *Stopper) Kill(reason string) {
	for _, f := range s.stop(&reason) {
		f.halt()
		f.kill(reason)
	}
}

// stop notes that nothing is to go on, and returns what does.
func (s *Stopper) stop(reason *string) []*feeder {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stopped = true
	if s.reason == nil {
		s.reason = reason
	}
	feeders := make([]*feeder, 0, len(s.feeders))
	for f := range s.feeders {
		feeders = append(feeders, f)
	}
	return feeders
}

// add puts f under the stopper.
func (s *Stopper) add(f *feeder) {
	s.mu.Lock()
	stopped, reason := s.stopped, s.reason
	if s.feeders == nil {
		s.feeders = map[*feeder]struct{}{}
	}
	s.feeders[f] = struct{}{}
	s.mu.Unlock()
	if stopped {
		f.halt()
	}
	if reason != nil {
		f.kill(*reason)
	}
}

// forget takes f out. Nothing is left of it.
func (s *Stopper) forget(f *feeder) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.feeders, f)
}

// A tally keeps a feeder under its stopper as long as there is something to stop or to kill: it counts
// the feeder's goroutine, in a map the goroutine that takes the results, and each call without an
// outcome. The tally of a feeder without a stopper is nil.
type tally struct {
	stopper *Stopper
	feeder  *feeder
	parts   atomic.Int64
}

// bind puts f under the stopper, if there is one. Its tally has so many parts besides its calls.
func (s *mapSettings) bind(f *feeder, parts int64) {
	if s.tally == nil {
		return
	}
	s.tally.feeder = f
	s.tally.parts.Store(parts)
	s.rare().Left = s.tally.leave
	s.tally.stopper.add(f)
}

// enter counts a part in; a call before it can have an outcome.
func (t *tally) enter() {
	if t != nil {
		t.parts.Add(1)
	}
}

// leave counts one out.
func (t *tally) leave() {
	if t != nil && t.parts.Add(-1) == 0 {
		t.stopper.forget(t.feeder)
		t.feeder = nil // the futures of its calls lead here
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
		set.tally = &tally{stopper: s}
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
