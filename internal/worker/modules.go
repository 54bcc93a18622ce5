package worker

import (
	"fmt"
	"sync/atomic"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
	"github.com/wasmpool/wasmpool/internal/wire"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// A servedModule is a module that the root announced. mod or err is set when ready is
// closed.
type servedModule struct {
	shown atomic.Pointer[string] // its name in what is said while it loads
	ready chan struct{}
	mod   *host.Module
	err   error
}

// isReady reports whether the module is loaded, or cannot be.
func (m *servedModule) isReady() bool {
	select {
	case <-m.ready:
		return true
	default:
		return false
	}
}

// A servedTask is a task that the root gave a number. Each slot looks it up in its module
// when it first runs it: see runner.bind.
type servedTask struct {
	module *servedModule
	export string
	number uint32
}

// find returns the task, once its module is ready.
func (t *servedTask) find() (*host.Task, error) {
	if t.module.err != nil {
		return nil, t.module.err
	}
	return t.module.mod.Task(t.export)
}

// preload starts compiling a module before the root asks for it.
func (s *server) preload(m *wasmtasks.Module) {
	s.loads.Go(func() {
		s.host.Load(s.ctx, m) //nolint:errcheck // it is kept by the host; an error comes again with the first call
	})
}

// handleModule takes in that there is a module, and loads it: its bytes come from
// Config.Modules, or from the root. io is held.
func (s *server) handleModule(body []byte) error {
	var offer wire.Module
	if err := wire.Decode(wire.TypeModule, body, &offer); err != nil {
		return err
	}
	if offer.Size < 0 || s.modules[offer.Index] != nil {
		return fmt.Errorf("module %s is offered twice or has a bad size", offer.Name)
	}
	if err := wasmbin.CheckSize(offer.Size); err != nil {
		return fmt.Errorf("module %s: %w", offer.Name, err)
	}
	m := &servedModule{ready: make(chan struct{})}
	m.shown.Store(&offer.Name)
	s.modules[offer.Index] = m
	for _, known := range s.cfg.Modules {
		if known.Digest().String() == offer.Digest {
			s.loads.Go(func() { s.load(m, known.WithName(offer.Name)) }) // what it is granted goes by the name
			return nil
		}
	}
	return s.fetchModule(m, offer)
}

// fetchModule asks the root for a module's bytes and loads them when they are here. io
// is held.
func (s *server) fetchModule(m *servedModule, offer wire.Module) error {
	id, ok := s.takePayload()
	if !ok {
		return fmt.Errorf("no payload id is free for module %s", offer.Name)
	}
	data := make([]byte, offer.Size)
	s.ep.RecvPayload(0, id, data, func(err error) {
		s.payloads = append(s.payloads, id)
		if err != nil {
			m.fail(fmt.Errorf("worker: receiving module %s: %w", offer.Name, err))
			return
		}
		s.loads.Go(func() { s.parse(m, offer, data) })
	})
	s.send(wire.TypeNeed, wire.Need{Index: offer.Index, Payload: id})
	return nil
}

// parse loads a module of which the bytes are here, if they are those that were offered.
func (s *server) parse(m *servedModule, offer wire.Module, data []byte) {
	parsed, err := wasmtasks.Load(offer.Name, data)
	if err == nil && parsed.Digest().String() != offer.Digest {
		err = fmt.Errorf("worker: module %s arrived damaged: its digest is %s, not %s", offer.Name, parsed.Digest(), offer.Digest)
	}
	if err != nil {
		m.fail(err)
		return
	}
	s.load(m, parsed)
}

// load compiles a module and lets the calls that wait for it go on.
func (s *server) load(m *servedModule, parsed *wasmtasks.Module) {
	if line, _ := parsed.CommandLine(); line.Program != "" {
		m.shown.Store(&line.Program)
	}
	m.mod, m.err = s.host.Load(s.ctx, parsed)
	close(m.ready)
}

// fail ends the calls that wait for the module with err.
func (m *servedModule) fail(err error) {
	m.err = err
	close(m.ready)
}

// handleTasks takes in the numbers of tasks. io is held.
func (s *server) handleTasks(body []byte) error {
	var list wire.Tasks
	if err := wire.Decode(wire.TypeTasks, body, &list); err != nil {
		return err
	}
	for _, t := range list.Tasks {
		m := s.modules[t.Module]
		if m == nil || t.Task > wire.MaxTask {
			return fmt.Errorf("task %d (%s) of module %d, which was not offered", t.Task, t.Export, t.Module)
		}
		for int(t.Task) >= len(s.tasks) {
			s.tasks = append(s.tasks, nil)
		}
		s.tasks[t.Task] = &servedTask{module: m, export: t.Export, number: t.Task}
	}
	return nil
}
