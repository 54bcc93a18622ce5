package host

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"time"

	"github.com/wasmpool/wasmpool/internal/lines"
	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/wire"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// ErrRootLost is returned by [Serve] when the root died or was cut off.
var ErrRootLost = errors.New("host: the root is lost")

// ServeConfig says how a worker serves. The zero value serves one slot.
type ServeConfig struct {
	// Slots is how many calls run at once. Defaults to 1.
	Slots int

	// Rank is what a task is told about its worker. It is the endpoint's rank
	// but for the root's own slots, which are rank 0.
	Rank int

	// OnNode is how many workers share this one's node. Beyond its share of the memory
	// each leaves a quarter of it to the others. Defaults to 1.
	OnNode int

	// Modules are compiled at once, while the transport starts, and need not
	// be sent by the root. Others arrive when a call first needs them.
	Modules []*wasmtasks.Module

	// Logger receives what the worker has to say. Defaults to discarding.
	Logger *slog.Logger
}

func (c ServeConfig) withDefaults() ServeConfig {
	c.Slots, c.OnNode = max(c.Slots, 1), max(c.OnNode, 1)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// How a worker waits.
const (
	// spin is how long a slot without work polls before it sleeps.
	spin = 100 * time.Microsecond

	// longRest is from when a sleep was long: the system may have put this worker on
	// the root's CPU, and takes its time to part the two.
	longRest = time.Millisecond

	// sendNap is how long a worker sleeps while something it sends is under way.
	sendNap = 50 * time.Microsecond
)

// safety bounds a sleep, should a ring ever be lost. Tests change it.
var safety = 5 * time.Second

// Serve runs calls for the root until the root stops the pool, then returns
// nil. It owns ep until it returns and does not close it. It blocks; ctx ends
// it early with ctx's error; calls still running are ended within milliseconds. The rank's
// other goroutines keep going.
func Serve(ctx context.Context, h *Host, ep transport.Endpoint, cfg ServeConfig) error {
	s := &server{
		cfg: cfg.withDefaults(), host: h, ep: ep,
		desk: newDesk(), modules: map[uint32]*servedModule{},
	}
	s.borrower, _ = transport.As[transport.Borrower](ep)
	s.waker, _ = transport.As[transport.Waker](ep)
	h.memory.Share(s.cfg.OnNode)
	s.standby.init(s)
	s.pulls.Reset(wire.KindPull)
	for id := range uint32(transport.MaxPayloads) {
		s.payloads = append(s.payloads, id)
	}
	return s.run(ctx)
}

// A server is a worker. Its slots take turns at the transport: a slot that has
// no call to run watches for frames itself, so that a call is received, run and
// answered by one goroutine without a hand-over; the standby does it while all
// slots compute. See RATIONALE.md, "Why do a worker's slots do their own
// receiving?".
type server struct {
	cfg  ServeConfig
	host *Host
	desk *desk

	borrower transport.Borrower // nil where the root lends nothing
	waker    transport.Waker    // nil where ranks wake at once

	ctx    context.Context //nolint:containedctx // it bounds the server, which lives inside Serve
	cancel context.CancelCauseFunc

	watching sync.Mutex     // held by the goroutine that waits for frames
	rested   bool           // the last sleep was long; watching is held
	standby  standby        // watches while every slot computes
	runners  []*runner      // the slots; set before anything runs
	loads    sync.WaitGroup // goroutines that load modules

	io       sync.Mutex // guards what follows, and every use of ep
	ep       transport.Endpoint
	modules  map[uint32]*servedModule
	tasks    []*servedTask
	asleep   bool                          // who watches is at the bell, or soon will be
	payloads []uint32                      // free payload ids
	lines    lines.Gate                    // of the log
	pulls    wire.Writer                   // of arguments to be asked for
	buffers  [][]byte                      // for payloads, free
	fetches  []*fetch                      // free
	posts    []*post                       // free
	offers   map[uint32]func(refused bool) // results that the root has to take, by payload; nil before the first
	fetched  int64                         // bytes of arguments in buffers
	posted   int64                         // bytes of results in buffers
	left     int64                         // bytes of results that have left buffers
}

// run serves until the end and waits for every goroutine it started.
func (s *server) run(ctx context.Context) error {
	s.ctx, s.cancel = context.WithCancelCause(ctx)
	defer s.cancel(nil)
	for _, m := range s.cfg.Modules {
		s.preload(m)
	}
	for range s.cfg.Slots {
		s.runners = append(s.runners, newRunner(s))
	}
	if err := s.hello(); err != nil {
		for _, r := range s.runners {
			r.close()
		}
		return err
	}
	stopWatch := context.AfterFunc(s.ctx, s.ep.Bell().Ring)
	defer stopWatch()

	if v, ok := transport.As[transport.Voucher](s.ep); ok && !s.host.cfg.NoMeter { // else a guest may rightly take long without a tick
		v.Vouch(s.suspect)
		defer v.Vouch(nil)
	}
	var slots sync.WaitGroup
	for _, r := range s.runners {
		slots.Go(r.run)
	}
	standing := make(chan struct{})
	go func() {
		defer close(standing)
		s.standby.run()
	}()
	slots.Wait()
	s.standby.end()
	<-standing
	err := context.Cause(s.ctx)
	if errors.Is(err, errStopped) {
		err = nil
	}
	s.cancel(nil) // loads that nobody waits for any more
	s.loads.Wait()
	if err == nil {
		s.io.Lock()
		defer s.io.Unlock()
		err = s.flush()
	}
	return err
}

func (s *server) hello() error {
	name, err := os.Hostname()
	if err != nil {
		name = "unknown"
	}
	frame, err := wire.Control(wire.KindHello, wire.Hello{Host: name, PID: os.Getpid(), Slots: s.cfg.Slots})
	if err != nil {
		return err
	}
	s.io.Lock()
	defer s.io.Unlock()
	return s.ep.Send(0, frame)
}

// done reports whether the slots should leave.
func (s *server) done() bool { return s.desk.closed.Load() }

// fail ends the server with err.
func (s *server) fail(err error) {
	s.cancel(err)
	s.desk.close()
	s.ep.Bell().Ring()
}

// step sends what the slots have finished and takes in what has arrived. It
// reports whether anything happened.
func (s *server) step() bool {
	s.io.Lock()
	defer s.io.Unlock()
	err := s.flush()
	var n int
	if err == nil {
		n, err = s.ep.Poll(s)
	}
	if err != nil {
		s.fail(fmt.Errorf("host: %w", err))
	}
	s.stir()
	return n > 0
}

// stir wakes who sleeps at the bell if something needs polling, since the caller may be
// about to compute, or to park. io is held.
func (s *server) stir() {
	if s.asleep && s.ep.Pending() {
		s.asleep = false
		s.ep.Bell().Ring()
	}
}

// flush sends finished results. io is held.
func (s *server) flush() error {
	for {
		frame := s.desk.takeFrame()
		if frame == nil {
			return nil
		}
		err := s.ep.Send(0, frame)
		s.desk.giveFrame(frame)
		if err != nil {
			return err
		}
	}
}

// send sends one control frame. io is held.
func (s *server) send(kind wire.Kind, v any) {
	frame, err := wire.Control(kind, v)
	if err == nil {
		err = s.ep.Send(0, frame)
	}
	if err != nil {
		s.fail(fmt.Errorf("host: sending a %s frame: %w", kind, err))
	}
}

// watch waits for frames until a call is queued or the server ends. The caller
// holds watching.
func (s *server) watch() {
	since := time.Now()
	if s.rested && s.waker != nil && s.waker.Beside(0) {
		since = since.Add(-spin) // it waits for the answer that was just sent
	}
	s.rested = false
	var spinner transport.Spinner
	for !s.done() {
		if s.step() {
			since = time.Now()
		}
		if s.desk.waiting() {
			return
		}
		if s.ctx.Err() != nil {
			s.desk.close()
			return
		}
		if time.Since(since) < spin {
			spinner.Turn()
			continue
		}
		if s.settle() {
			s.sleep()
		}
		since = time.Now()
	}
}

// sleep waits for the bell, after settle.
func (s *server) sleep() {
	if s.desk.waiting() || s.done() {
		return
	}
	since := time.Now()
	s.wait()
	s.rested = time.Since(since) > longRest
}

// settle makes what arrives from now on ring the bell. It reports whether
// nothing has arrived until then and nothing needs polling to move, so that
// the caller, who holds watching, may wait for the bell.
func (s *server) settle() bool {
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

// wait waits for the bell, once: what makes others ring it must be settled again.
func (s *server) wait() {
	s.ep.Bell().Wait(safety)
	s.io.Lock()
	defer s.io.Unlock()
	s.asleep = false
}

// Lost implements [transport.Handler].
func (s *server) Lost(rank int, err error) {
	if rank == 0 {
		s.fail(fmt.Errorf("%w: %w", ErrRootLost, err))
	}
}
