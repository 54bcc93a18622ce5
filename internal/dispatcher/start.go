package dispatcher

import "github.com/wasmpool/wasmpool/host"

// A start says whether a module can be started. It belongs to the loop.
type start struct {
	started bool                 // a call of it has had a result
	stuck   map[*worker]struct{} // those on which it did not start
}

// cannotStart takes in a failure of a call of m on w, and reports whether no call of m can run: it has
// never run, and did not start on any worker. One worker says little of the others: it may lack what they
// have, such as files or time to compile.
func (l *Loop) cannotStart(m *module, w *worker, e *Failure) bool {
	if m.started || !e.ofModule() || w == nil {
		return false
	}
	if m.stuck == nil {
		m.stuck = map[*worker]struct{}{}
	}
	m.stuck[w] = struct{}{}
	if l.awaited > 0 || len(m.stuck) < l.sched.alive {
		return false
	}
	for _, w := range l.sched.workers {
		if _, stuck := m.stuck[w]; !stuck && !w.lost {
			return false
		}
	}
	return true
}

// ofModule reports whether a module is to blame, not its call: other calls would meet the same on that worker. What
// lacks for a while, or is bounded for the call, is not the module's fault.
func (e *Failure) ofModule() bool {
	switch e.Kind {
	case host.KindBadModule:
		return true
	case host.KindTrap, host.KindExit, host.KindPanic:
		return e.NoStart
	default:
		return false
	}
}
