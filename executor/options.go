package executor

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/dispatcher"
)

// A CallOption sets something for one call, or, where many are made at once, for
// each of them.
type CallOption interface {
	MapOption
	apply(*callSettings) error
}

// A MapOption sets something for Map, MapUnordered or SubmitBatch. Every
// CallOption is one.
type MapOption interface{ applyMap(*mapSettings) error }

type optionFunc func(*settings) error

func (fn optionFunc) apply(s *callSettings) error   { return fn(&s.settings) }
func (fn optionFunc) applyMap(s *mapSettings) error { return fn(&s.settings) }

type mapOptionFunc func(*mapSettings) error

func (fn mapOptionFunc) applyMap(s *mapSettings) error { return fn(s) }

// mapSettings are what the options of many calls say.
type mapSettings struct {
	settings
	buffer, chunk int    // 0 where they are automatic
	failures      int    // after which it ends; 0 is never
	tally         *tally // of the stopper; nil without
}

func mapSettingsOf(opts []MapOption) (mapSettings, error) {
	var s mapSettings
	for i, o := range opts {
		if o == nil {
			return s, errNilOption(i)
		}
		if err := o.applyMap(&s); err != nil {
			return s, err
		}
	}
	if s.keyed {
		return s, errors.New("executor: a key names one call, not those of a map")
	}
	return s, nil
}

// mapOnly refuses what only a map can do.
func (s *mapSettings) mapOnly() error {
	if s.failures > 0 {
		return errors.New("executor: MaxFailures is for maps only, not for batches and streams")
	}
	return nil
}

// Buffer makes Map read its input at most n calls ahead of the results that were
// taken, and SubmitBatch at most n ahead of those that are finished. By default
// Map reads as far ahead as keeps the workers busy, and SubmitBatch all.
func Buffer(n int) MapOption {
	return mapOptionFunc(func(s *mapSettings) error {
		if n < 1 {
			return fmt.Errorf("executor: a buffer of %d calls, must be at least 1", n)
		}
		s.buffer = n
		return nil
	})
}

// MaxFailures makes Map, in each of its forms, end at the n-th call that fails: its
// error is yielded as any other, and after it, as the last thing, one that matches
// [ErrFailures]; the calls that have not begun are cancelled. Map counts in the order of
// the arguments, so what it yields does not depend on which call was faster. A cancelled call has not
// failed. It is an error for SubmitBatch and Stream.
func MaxFailures(n int) MapOption {
	return mapOptionFunc(func(s *mapSettings) error {
		if n < 1 {
			return fmt.Errorf("executor: a limit of %d failures, must be at least 1", n)
		}
		s.failures = n
		return nil
	})
}

// Chunk makes Map hand over its input n calls at a time. It is rarely of use:
// small calls travel by the hundred in one frame in any case, as many as suit
// their measured run time. What is set here only keeps the workers from being
// sent the start of a chunk before its end was read. It is at most 65,536. SubmitBatch takes
// no note of it.
func Chunk(n int) MapOption {
	return mapOptionFunc(func(s *mapSettings) error {
		if n < 1 {
			return fmt.Errorf("executor: a chunk of %d calls, must be at least 1", n)
		}
		s.chunk = n
		return nil
	})
}

// settings are what options say of a call, and of each of many.
type settings struct {
	priority int8
	keyed    bool                // the call has a key
	pure     bool                // its result depends on its argument alone
	unkept   bool                // the memo is not for it
	options  *dispatcher.Options // the rarer ones; nil when there are none

	speculate *bool    // nil for what the pool's setting is
	spotCheck *float64 // likewise
}

// callSettings are what the options of one call say.
type callSettings struct {
	settings
	key string
}

func settingsOf(opts []CallOption) (callSettings, error) {
	if len(opts) == 0 {
		return callSettings{}, nil // as most calls: what follows has memory of its own, since options may keep it
	}
	var s callSettings
	for i, o := range opts {
		if o == nil {
			return s, errNilOption(i)
		}
		if err := o.apply(&s); err != nil {
			return s, err
		}
	}
	return s, nil
}

func errNilOption(i int) error { return fmt.Errorf("executor: option %d is nil", i) }

// rare returns the options to set a rarer one in.
func (s *settings) rare() *dispatcher.Options {
	if s.options == nil {
		s.options = new(dispatcher.Options)
	}
	return s.options
}

// Priorities run from MinPriority to MaxPriority; higher goes first.
const (
	MinPriority = -8
	MaxPriority = 7
)

// Priority makes a call overtake those of lower priority that wait; calls of one
// priority go in the order in which they were submitted. It is from MinPriority
// to MaxPriority and 0 by default.
func Priority(n int) CallOption {
	return optionFunc(func(s *settings) error {
		if n < MinPriority || n > MaxPriority {
			return fmt.Errorf("executor: priority %d is not between %d and %d", n, MinPriority, MaxPriority)
		}
		s.priority = int8(n)
		return nil
	})
}

// Timeout bounds how long one run of the call may take on its worker. A call that
// is stopped so fails with kind timeout: errors.Is matches it with [ErrTimeout], which no
// error of the caller's own context does, and with [context.DeadlineExceeded], which
// both do. It is short for [WithLimits] with Time, but
// that a d of 0 or less, such as the time left until a deadline that has passed, is
// an error of the call. WithLimits spells no limit: a negative Time.
func Timeout(d time.Duration) CallOption {
	return optionFunc(func(s *settings) error {
		if d <= 0 {
			return fmt.Errorf("executor: a timeout of %v, must be more than 0", d)
		}
		return limit(s, &Limits{Time: d})
	})
}

// WithLimits bounds what one run of the call may use. Zero fields keep what an
// earlier option or the pool says.
func WithLimits(l Limits) CallOption {
	return optionFunc(func(s *settings) error { return limit(s, &l) })
}

// limit sets limits, over those of earlier options. They do not change: an option may be that of many calls.
func limit(s *settings, limits *Limits) error {
	if old := s.rare().Limits; old != nil {
		all := limits.Over(*old)
		limits = &all
	}
	s.options.Limits = limits
	return nil
}

// Retries says when a call that failed is run again. Without it only the loss of
// a worker is a reason.
func Retries(p RetryPolicy) CallOption {
	p.Kinds = slices.Clone(p.Kinds)
	return optionFunc(func(s *settings) error {
		if err := p.validate(); err != nil {
			return err
		}
		s.rare().Retry = (*dispatcher.RetryPolicy)(&p)
		return nil
	})
}

// Key names a piece of work: while a call with the same key has no outcome yet,
// Submit returns that call's future and runs nothing more. It must be a call of
// the same task with the same argument. Once it is resolved the key
// is free. Only Submit and Call take it.
func Key(key string) CallOption {
	return keyOption(key)
}

// A keyOption is what Key returns.
type keyOption string

func (k keyOption) apply(s *callSettings) error {
	s.key, s.keyed = string(k), k != ""
	return nil
}

func (k keyOption) applyMap(s *mapSettings) error {
	s.keyed = k != ""
	return nil
}

// Tags are words of the caller's own that stand in the future's Info and in the
// log lines about the call. [Executor.KillTag] kills by them.
func Tags(tags ...string) CallOption {
	tags = slices.Clone(tags)
	return optionFunc(func(s *settings) error {
		s.rare().Tags = tags
		return nil
	})
}

// Attach gives the call a value of the caller's own, which stands in the records of its runs that [Executor.Watch]
// yields. Of several the last one counts.
func Attach(v any) CallOption {
	return optionFunc(func(s *settings) error {
		s.rare().Attached = v
		return nil
	})
}

// within adds what the pool says of each call of a task. It comes last: where the call has no other options they
// are the pool's, which must not be changed.
// The error says that calls have had too many different shared inputs, or that the task's calls must not run more than once.
func (s *settings) within(p *pool, t *dispatcher.Task) error {
	if p.cfg.Speculate || p.cfg.SpotCheck > 0 || s.speculate != nil || s.spotCheck != nil {
		if err := s.repeat(p, t); err != nil {
			return err
		}
	}
	switch base := p.shared; {
	case base != nil && s.options == nil:
		s.options = base
		return nil
	case base != nil:
		s.options.Shared = s.options.Shared.Over(base.Shared)
		if n := len(s.options.Shared.List()); n > host.MostShared {
			return fmt.Errorf("executor: a call with %d shared inputs, those of Config.Shared among them, may have at most %d", n, host.MostShared)
		}
	case s.options == nil:
		return nil
	}
	if set := s.options.Shared; set != nil {
		return p.dispatcher.Admit(set)
	}
	return nil
}

// prepare makes a zero call ready to be submitted.
func (s *settings) prepare(c *dispatcher.Call, ex *Executor, t *dispatcher.Task, arg []byte) {
	c.Prepare(&ex.owner, t, arg, s.priority, s.options)
}
