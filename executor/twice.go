package executor

import (
	"errors"
	"fmt"
	"sync"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/dispatcher"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// Speculate says whether a call that takes unusually long may be started a second time, on another worker, in place of what
// Config.Speculate says of all calls.
func Speculate(on bool) CallOption {
	return optionFunc(func(s *settings) error {
		s.speculate = &on
		return nil
	})
}

// SpotCheck is the share of calls, from 0 to 1, that run twice so that their results can be compared, in place of what
// Config.SpotCheck says of all calls. With a share of 1 a call is checked in any case.
func SpotCheck(share float64) CallOption {
	return optionFunc(func(s *settings) error {
		if err := checkShare(share); err != nil {
			return fmt.Errorf("executor: SpotCheck: %w", err)
		}
		s.spotCheck = &share
		return nil
	})
}

// checkShare refuses what is no share.
func checkShare(p float64) error {
	if !(p >= 0 && p <= 1) {
		return fmt.Errorf("a share of %v, must be from 0 to 1", p)
	}
	return nil
}

// A repeats is what a pool knows of calls that may run more than once. It is safe for concurrent use.
type repeats struct {
	speculating sync.Once // the dispatcher was told
	allowed     sync.Map  // of repeatable: tasks that see nothing but their argument
}

// A repeatable is a task that may run more than once for one call, and whether it is declared pure.
type repeatable struct {
	task *dispatcher.Task
	pure bool
}

// repeat adds whether calls of a task run more than once. The error says what the task may see.
func (s *settings) repeat(p *pool, t *dispatcher.Task) error {
	speculate, share := p.cfg.Speculate, p.cfg.SpotCheck
	if s.speculate != nil {
		speculate = *s.speculate
	}
	if s.spotCheck != nil {
		share = *s.spotCheck
	}
	if !speculate && share == 0 {
		return nil
	}
	if _, allowed := p.repeats.allowed.Load(repeatable{t, s.pure}); !allowed {
		why := needsPure{"Speculate", "Speculate(false)"}
		if !speculate {
			why = needsPure{"SpotCheck", "SpotCheck(0)"}
		}
		if err := p.cfg.refuses(why, t.Module(), s.pure); err != nil {
			return err
		}
		p.repeats.allowed.Store(repeatable{t, s.pure}, true)
	}
	if speculate {
		p.repeats.speculating.Do(p.dispatcher.AllowDuplicates)
	}
	o := s.rare()
	o.Duplicate, o.SpotCheck = speculate, share
	return nil
}

// A needsPure is what is only for calls whose results are of their arguments alone.
type needsPure struct {
	field  string // of Config
	exempt string // the option of a call that does without it
}

// refuses returns why a module's calls are not such ones, or nil.
func (c Config) refuses(what needsPure, module *wasmtasks.Module, pure bool) error {
	g, err := c.Sandbox.GrantsOf(module)
	grant := ""
	switch {
	case err != nil:
		return err
	case g.Clock:
		grant = "Clock"
	case g.Random:
		grant = "Random"
	case len(g.Env) > 0:
		grant = "Env"
	case len(g.Folders) > 0:
		grant = "Folders"
	case c.Sandbox.Isolation == host.IsolationReuse && !pure:
		return errors.New("executor: Config." + what.field + ": with isolation reuse a call may find what others have left behind, so that its result is not of its argument alone: set Config.Sandbox.Isolation to IsolationReset or IsolationFresh, or declare the call Pure, or " + what.exempt)
	default:
		return nil
	}
	return fmt.Errorf("executor: Config.%s: module %s has the grant %s, so that its results are not of their arguments alone: take the grant away, or make the calls %s", what.field, module.Name(), grant, what.exempt)
}
