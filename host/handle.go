package host

import (
	"context"
	"fmt"

	"github.com/wasmpool/wasmpool/internal/wasmbin"
	"github.com/wasmpool/wasmpool/internal/wire"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// A servedModule is a module that the root offered. It is ready, with mod or
// err set, when ready is closed.
type servedModule struct {
	name  string
	ready chan struct{}
	mod   *Module
	err   error
}

// A servedTask is a task number of the root. The slots bind it to the module's
// export when they first run it.
type servedTask struct {
	module *servedModule
	export string
	number uint32
}

// bind waits for the module and returns the task. It returns no task and no
// error when the call that needs it is to end first.
func (t *servedTask) bind(ctx context.Context, slot *Slot, call uint64) (*Task, *abort, error) {
	for waiting := true; waiting; {
		select {
		case <-t.module.ready:
			waiting = false
		case <-ctx.Done():
			return nil, nil, ctx.Err()
		case <-slot.orders.wake:
			if a := slot.orders.take(call); a != nil {
				return nil, a, nil
			}
		}
	}
	if t.module.err != nil {
		return nil, nil, t.module.err
	}
	task, err := t.module.mod.Task(t.export)
	return task, nil, err
}

// preload starts compiling a module before the root asks for it.
func (s *server) preload(m *wasmtasks.Module) {
	s.loads.Go(func() {
		s.host.Load(s.ctx, m) //nolint:errcheck // it is kept by the host; an error comes again with the first call
	})
}

// Frame implements [transport.Handler]: it takes in one frame of the root. The
// caller of Poll holds io.
func (s *server) Frame(_ int, frame []byte) {
	if err := s.handle(frame); err != nil {
		s.fail(fmt.Errorf("host: a frame of the root: %w", err))
	}
}

func (s *server) handle(frame []byte) error {
	kind, count, body, err := wire.Header(frame)
	if err != nil {
		return err
	}
	switch kind {
	case wire.KindCalls:
		err := s.desk.add(s.tasks, count, body, s.fetchArg)
		s.sendPulls()
		return err
	case wire.KindModule:
		return s.handleModule(body)
	case wire.KindTasks:
		return s.handleTasks(body)
	case wire.KindTakeBack:
		return s.handleTakeBack(body)
	case wire.KindKill:
		return s.handleKill(body)
	case wire.KindTake:
		return s.handleTake(body)
	case wire.KindAsk:
		s.send(wire.KindStatus, s.status())
		return nil
	case wire.KindStop:
		s.cancel(errStopped)
		s.desk.close()
		s.ep.Bell().Ring()
		return nil
	default:
		return fmt.Errorf("a worker does not expect a %s frame", kind)
	}
}

func (s *server) handleModule(body []byte) error {
	var offer wire.Module
	if err := wire.Decode(wire.KindModule, body, &offer); err != nil {
		return err
	}
	if offer.Size < 0 || s.modules[offer.Index] != nil {
		return fmt.Errorf("module %s is offered twice or has a bad size", offer.Name)
	}
	if err := wasmbin.CheckSize(offer.Size); err != nil {
		return fmt.Errorf("module %s: %w", offer.Name, err)
	}
	m := &servedModule{name: offer.Name, ready: make(chan struct{})}
	s.modules[offer.Index] = m
	for _, known := range s.cfg.Modules {
		if known.Digest().String() == offer.Digest {
			s.loads.Go(func() { s.load(m, known.WithName(offer.Name)) }) // what it is granted goes by the name
			return nil
		}
	}
	return s.fetch(m, offer)
}

// fetch asks the root for a module's bytes and loads them when they are here.
func (s *server) fetch(m *servedModule, offer wire.Module) error {
	id, ok := s.takePayload()
	if !ok {
		return fmt.Errorf("no payload id is free for module %s", offer.Name)
	}
	data := make([]byte, offer.Size)
	s.ep.RecvPayload(0, id, data, func(err error) {
		s.payloads = append(s.payloads, id)
		if err != nil {
			m.fail(fmt.Errorf("host: receiving module %s: %w", offer.Name, err))
			return
		}
		s.loads.Go(func() { s.parse(m, offer, data) })
	})
	s.send(wire.KindNeed, wire.Need{Index: offer.Index, Payload: id})
	return nil
}

func (s *server) parse(m *servedModule, offer wire.Module, data []byte) {
	parsed, err := wasmtasks.Load(offer.Name, data)
	if err == nil && parsed.Digest().String() != offer.Digest {
		err = fmt.Errorf("host: module %s arrived damaged: its digest is %s, not %s", offer.Name, parsed.Digest(), offer.Digest)
	}
	if err != nil {
		m.fail(err)
		return
	}
	s.load(m, parsed)
}

// load compiles a module and lets the calls that wait for it go on.
func (s *server) load(m *servedModule, parsed *wasmtasks.Module) {
	m.mod, m.err = s.host.Load(s.ctx, parsed)
	close(m.ready)
}

func (m *servedModule) fail(err error) {
	m.err = err
	close(m.ready)
}

func (s *server) handleTasks(body []byte) error {
	var list wire.Tasks
	if err := wire.Decode(wire.KindTasks, body, &list); err != nil {
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

// handleTakeBack returns calls that no slot has started, newest first.
func (s *server) handleTakeBack(body []byte) error {
	var ask wire.TakeBack
	if err := wire.Decode(wire.KindTakeBack, body, &ask); err != nil {
		return err
	}
	var w wire.Writer
	w.Reset(wire.KindReturned)
	for range min(ask.Max, wire.MaxReturned) {
		c, ok := s.desk.takeBack()
		if !ok {
			break
		}
		s.dropFetch(c.fetch)
		w.AddTicket(c.ticket, uint32(c.number))
	}
	return s.ep.Send(0, w.Frame())
}
