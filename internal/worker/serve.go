package worker

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/blob"
	"github.com/wasmpool/wasmpool/internal/lines"
	"github.com/wasmpool/wasmpool/internal/memory"
	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/wire"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// ErrRootLost is returned by [Serve] when the root died or was cut off.
var ErrRootLost = errors.New("worker: the root is lost")

// errStopped ends what still runs when the root stopped the pool.
var errStopped = errors.New("worker: the pool is shut down")

// Config says how a worker serves. The zero value serves one slot.
type Config struct {
	// Slots is how many calls run at once. Defaults to 1.
	Slots int

	// Rank is what a task is told about its worker. It is the endpoint's rank
	// but for the root's own slots, which are rank 0.
	Rank int

	// LaunchRank is the rank that the launcher gave this process. Defaults to 0.
	LaunchRank int

	// Agreed has a digest of each setting that must be the root's, too, by its name. The
	// root breaks the pool where one differs.
	//
	// Defaults to none.
	Agreed map[string]string

	// OnNode is how many workers share this one's node. Beyond its share of the memory
	// each leaves a quarter of it to the others. Defaults to 1.
	OnNode int

	// Modules are compiled at once, while the transport starts, and need not
	// be sent by the root. Others arrive when a call first needs them.
	Modules []*wasmtasks.Module

	// Blobs is the node's store of blobs. Defaults to none: shared inputs are in the
	// memory of this process.
	Blobs *blob.Store

	// Local returns a blob that this process has in any case, and keeps; nil for another one.
	// Defaults to none.
	Local func(blob.Digest) *blob.Blob

	// Logger receives what the worker has to say. Defaults to discarding.
	Logger *slog.Logger
}

func (c Config) withDefaults() Config {
	c.Slots, c.OnNode = max(c.Slots, 1), max(c.OnNode, 1)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	return c
}

// Serve runs calls for the root, in slots of h, until the root stops the pool, then
// returns nil. It owns ep until it returns and does not close it. It blocks; ctx ends
// it early with ctx's error; calls still running are ended within milliseconds. The rank's
// other goroutines keep going. The error is [ErrRootLost] when the root is gone; any
// other means that the transport failed, or that a frame of the root made no sense.
func Serve(ctx context.Context, h *host.Host, ep transport.Endpoint, cfg Config) error {
	s := &server{
		cfg: cfg.withDefaults(), host: h, ep: ep,
		backlog: newBacklog(), modules: map[uint32]*servedModule{},
	}
	s.borrower, _ = transport.As[transport.Borrower](ep)
	s.waker, _ = transport.As[transport.Waker](ep)
	memory.Process().Share(s.cfg.OnNode)
	s.watchdog.init(s)
	s.shared.s = s
	s.pulls.Reset(wire.TypePull)
	for id := range uint32(transport.MaxPayloads) {
		s.payloads = append(s.payloads, id)
	}
	return s.run(ctx)
}

// A server is a worker. Its runners take turns at the transport: one that has no call to
// run watches for frames itself, so that a call is received, run and answered by one
// goroutine without a hand-over; the watchdog does it while all slots compute. See
// RATIONALE.md, "Why do a worker's slots do their own receiving?".
type server struct {
	cfg     Config
	host    *host.Host
	backlog *backlog

	borrower transport.Borrower // nil where the root lends nothing
	waker    transport.Waker    // nil where ranks wake at once

	ctx    context.Context //nolint:containedctx // it bounds the server, which lives inside Serve
	cancel context.CancelCauseFunc

	watching  sync.Mutex     // held by the goroutine that waits for frames
	sleptLong bool           // that goroutine's last sleep was long; guarded by watching
	watchdog  watchdog       // watches while every slot computes
	runners   []*runner      // one for each slot; set before anything runs
	loads     sync.WaitGroup // goroutines that load modules and shared inputs
	shared    sharedInputs

	watched atomic.Bool // somebody watches the pool

	io       sync.Mutex // guards what follows, and every use of ep
	ep       transport.Endpoint
	modules  map[uint32]*servedModule
	tasks    []*servedTask
	asleep   bool                          // the goroutine that watches waits for the bell, or will soon
	payloads []uint32                      // free payload ids
	lines    lines.Limiter                 // of the log
	pulls    wire.Writer                   // of arguments to be asked for
	buffers  [][]byte                      // for payloads, free
	fetches  []*fetch                      // free
	posts    []*post                       // free
	offers   map[uint32]func(refused bool) // results that the root has to take, by payload; nil before the first
	pieces   map[uint32]*pieceWanted       // of blobs, that the root was asked for, by payload; nil before the first
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
	for i := range s.cfg.Slots {
		s.runners = append(s.runners, newRunner(s, i))
	}
	if err := s.sayHello(); err != nil {
		for _, r := range s.runners {
			r.close()
		}
		return err
	}
	stopRinging := context.AfterFunc(s.ctx, s.ep.Bell().Ring)
	defer stopRinging()

	if v, ok := transport.As[transport.Voucher](s.ep); ok && !s.host.Config().NoMeter { // else a guest may rightly take long without a tick
		v.Vouch(s.suspect)
		defer v.Vouch(nil)
	}
	s.runAll()
	err := context.Cause(s.ctx)
	if errors.Is(err, errStopped) {
		err = nil
	}
	s.cancel(nil) // loads that nobody waits for any more
	if s.loadsEnd() {
		s.shared.close()
	}
	if err == nil {
		s.io.Lock()
		defer s.io.Unlock()
		err = s.flush()
	}
	return err
}

// loadsPatience is for how long a worker waits, at its end, for a load that hangs in a disk: the
// root does not wait for it, and a rank that is there some seconds after the root counts as one that hangs. Tests change it.
var loadsPatience = 2 * time.Second

// loadsEnd waits for the loads, which were told to end, and reports whether all have. One that has not does nothing
// any more but end, when its disk lets it.
func (s *server) loadsEnd() bool {
	ended := make(chan struct{})
	go func() { // ends with the loads
		defer close(ended)
		s.loads.Wait()
	}()
	select {
	case <-ended:
		return true
	case <-time.After(loadsPatience):
		s.cfg.Logger.Warn("the worker ends while a module or a shared input is still being loaded: the disk does not answer", "rank", s.cfg.Rank)
		return false
	}
}

// runAll runs the runners and the watchdog until the server ends.
func (s *server) runAll() {
	var slots sync.WaitGroup
	for _, r := range s.runners {
		slots.Go(r.run)
	}
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		s.watchdog.run()
	}()
	slots.Wait()
	s.watchdog.end()
	<-watched
}

// sayHello tells the root of the worker.
func (s *server) sayHello() error {
	name, err := os.Hostname()
	if err != nil {
		name = "unknown"
	}
	frame, err := wire.Control(wire.TypeHello, wire.Hello{Host: name, PID: os.Getpid(), Slots: s.cfg.Slots, LaunchRank: s.cfg.LaunchRank, Agreed: s.cfg.Agreed})
	if err != nil {
		return err
	}
	s.io.Lock()
	defer s.io.Unlock()
	return s.ep.Send(0, frame)
}

// ended reports whether the server has ended, so that the runners return.
func (s *server) ended() bool { return s.backlog.closed.Load() }

// stop makes the runners return; run then returns err, or nil for errStopped.
func (s *server) stop(err error) {
	s.cancel(err)
	s.backlog.close()
	s.ep.Bell().Ring()
}

// fail is stop for an error of the worker, or of the root, in what the format says.
func (s *server) fail(format string, args ...any) {
	s.stop(fmt.Errorf("worker: "+format, args...))
}

// Lost implements [transport.Handler]: the root is lost.
func (s *server) Lost(rank int, err error) {
	if rank == 0 {
		s.stop(fmt.Errorf("%w: %w", ErrRootLost, err))
	}
}
