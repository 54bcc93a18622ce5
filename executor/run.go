package executor

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"time"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/dispatcher"
	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/transport/mpi"
	"github.com/wasmpool/wasmpool/internal/transport/seal"
	"github.com/wasmpool/wasmpool/internal/worker"
)

// Run runs root on the root with an executor, in whatever shape the program was
// started:
//
//   - alone: the calls run on Config.RootSlots slots of this process;
//   - under an MPI launcher, in a program built with -tags mpi: rank 0 is the
//     root, or the first of Config.Ranks; on every other rank Run does not call
//     root but serves calls until the root has finished.
//
// Run returns on all ranks when root has returned and the pool is shut down:
// nil on the workers, root's error on the root. On the workers ctx only bounds
// the start: the root decides when it is over. When root returns nil, calls
// that are still under way are waited for, and callbacks; when it returns an error or ctx
// ends, also while they are waited for, they are dropped. For ctx's end Run returns its error only
// where calls were dropped. Run is called once in a program's life under MPI.
//
// Unless Config.NoSignals is set, Run handles signals while it lasts.
// After SIGINT, SIGTERM, SIGUSR1 or SIGHUP on the root no call is begun any more: those
// that wait end with a [SignalError], those that run have Config.Grace to end, then
// they are killed; then root's ctx ends. What root yields meanwhile is whole, so
// that it can write it down. Run returns the SignalError, for which [ExitCode] has
// the code. A second signal, but for SIGHUP, ends the process at once. A program
// that was started with SIGHUP ignored, as nohup does, ignores it. SIGUSR2 logs a
// [Report].
// Workers ignore the first of these signals: launchers send them to all ranks.
//
// A worker whose root is gone returns [ErrRootLost] within seconds; should it
// still be there after four more, its process is ended.
//
// When root panics, the pool is shut down, as after an error, and Run panics with the
// same value; the stack of root is in the log. A root that ends its goroutine, by
// runtime.Goexit or a test's FailNow, is an error: root runs on a goroutine of its own.
//
// A launcher that does not fit the program is an error that says what to do.
func Run(ctx context.Context, cfg Config, root func(ctx context.Context, ex *Executor) error) error {
	err := run(ctx, cfg, root)
	if p := (*rootPanic)(nil); errors.As(err, &p) {
		panic(p.value) //nolint:forbidigo // it is the caller's own panic, after everything was shut down
	}
	return err
}

func run(ctx context.Context, cfg Config, root func(ctx context.Context, ex *Executor) error) error {
	if root == nil {
		return errors.New("executor: Run was given no root function")
	}
	if err := cfg.validate(); err != nil {
		return err
	}
	cfg = cfg.withDefaults()
	bell := transport.NewBell()
	launched, err := detectLauncher()
	if err != nil {
		return err
	}
	if err := cfg.checkConfine(launched); err != nil {
		return err
	}
	if !launched.present {
		return runRoot(ctx, cfg, nil, bell, beginning(cfg, 0, 0, root))
	}
	h, closeHost, err := newHost(cfg, cfg.works(launched.rank))
	if err != nil {
		return err
	}
	stopWarming := warm(ctx, h, cfg, launched)
	endpoint, err := openMPI(ctx, cfg, launched, bell)
	if err != nil {
		stopWarming()
		return errors.Join(err, closeHost())
	}
	if endpoint.Size() == 0 { // not one of Config.Ranks
		stopWarming()
		return errors.Join(endpoint.Close(), closeHost())
	}
	if endpoint.Rank() > 0 {
		err := serve(ctx, cfg, h, endpoint)
		stopWarming()
		return errors.Join(err, endpoint.Close(), closeHost())
	}
	stopWarming()
	if cfg.Confine && endpoint.Size() == 1 {
		return errors.Join(fmt.Errorf("%w: %s started one rank only", ErrNotConfined, launched.name), endpoint.Close(), closeHost())
	}
	patience := max(cfg.LostAfter, 0)
	if endpoint.Size() == 1 {
		patience = 0 // nobody waits
	} else if cfg.RootSlots == 0 {
		cfg.RootSlots = cfg.lent(endpoint.LocalWorkers(), mayUse)
	}
	makeRoom(0)
	root = beginning(cfg, launched.rank, patience, root)
	return errors.Join(runRoot(ctx, cfg, seal.New(endpoint), bell, root), closeHost())
}

// beginning is root, after wasmpool launch was told of it: from then on the root gets
// the signals.
func beginning(cfg Config, rank int, patience time.Duration, root func(context.Context, *Executor) error) func(context.Context, *Executor) error {
	return func(ctx context.Context, ex *Executor) error {
		if err := begin(cfg.Logger, rank, patience); err != nil {
			return err
		}
		return root(ctx, ex)
	}
}

// warm compiles the modules while MPI starts, on ranks that will be workers. It
// returns a function that stops and waits.
func warm(ctx context.Context, h *host.Host, cfg Config, l launcher) func() {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for _, m := range cfg.Modules {
			if !cfg.works(l.rank) || ctx.Err() != nil {
				return
			}
			h.Load(ctx, m) //nolint:errcheck // an error comes again with the first call
		}
	}()
	return func() {
		cancel()
		<-done
	}
}

// openMPI starts MPI and checks that it agrees with the launcher.
func openMPI(ctx context.Context, cfg Config, l launcher, bell *transport.Bell) (mpi.Endpoint, error) {
	if cfg.Confine {
		if err := copyByMessages(); err != nil {
			return nil, fmt.Errorf("executor: preparing MPI for confined workers: %w", err)
		}
	}
	endpoint, err := mpi.Open(ctx, bell, cfg.Ranks, max(cfg.LostAfter, 0))
	if err != nil {
		return nil, fmt.Errorf("executor: starting MPI: %w", err)
	}
	if endpoint.Size() == 1 && l.size > 1 && len(cfg.Ranks) == 0 {
		return nil, errors.Join(fmt.Errorf("%w: %s started %d processes, but in each %s sees only itself: use the launcher that belongs to the MPI library this program is linked with",
			ErrLaunch, l.name, l.size, mpi.Version()), endpoint.Close())
	}
	return endpoint, nil
}

// serve is what a worker rank does.
func serve(ctx context.Context, cfg Config, h *host.Host, endpoint mpi.Endpoint) error {
	slots := cfg.Slots
	if slots == 0 {
		slots = min(ownCPUs(endpoint.LocalWorkers()), MostSlots)
	}
	makeRoom(slots)
	if !cfg.NoSignals {
		defer ignoreStop()()
	}
	ep := seal.New(endpoint)
	if cfg.Confine {
		ep = confined(ep, cfg, h.Config().CacheDir)
	}
	// The root decides when it is over, also when all ranks get a signal.
	launchRank, _ := LaunchRank()
	err := worker.Serve(context.WithoutCancel(ctx), h, ep, worker.Config{
		Slots: slots, Rank: endpoint.Rank(), LaunchRank: launchRank, OnNode: endpoint.LocalWorkers(), Agreed: cfg.agreed(), Modules: cfg.Modules, Blobs: cfg.blobStore(), Logger: cfg.Logger,
	})
	if err != nil {
		endpoint.Leave()
	}
	return err
}

// runRoot is what the root does.
func runRoot(ctx context.Context, cfg Config, endpoint transport.Endpoint, bell *transport.Bell, root func(context.Context, *Executor) error) error {
	ex, err := open(cfg, endpoint, bell)
	if err != nil {
		if endpoint != nil {
			err = errors.Join(err, dismiss(endpoint, cfg))
		}
		return err
	}
	ctx, stopWatching := ex.untilSignal(ctx)
	if err = ex.shareConfig(ctx); err == nil {
		err = apart(ctx, cfg.Logger, ex, root)
	}
	if err != nil {
		ex.abandon()
	}
	shutdownErr := ex.Shutdown(ctx)
	dropped := ctx.Err()
	if dropped != nil { // then that was all it did
		shutdownErr = ex.Shutdown(context.WithoutCancel(ctx))
	}
	ex.calls.wait()
	signalled := stopWatching()
	if signalled == nil && ex.drained.Load() {
		signalled = ErrDrained
	}
	if signalled != nil && !errors.Is(err, ErrInterrupted) {
		if err == context.Canceled { //nolint:errorlint // just what the signal does; more than that is kept
			err = nil
		}
		err = join(signalled, err)
	}
	switch {
	case errors.Is(shutdownErr, ErrClosed) && err == nil && dropped != nil:
		return dropped
	case err != nil && (errors.Is(shutdownErr, ErrClosed) || errors.Is(err, shutdownErr)):
		return err // that is what abandon asked for, or was said
	}
	return errors.Join(err, shutdownErr)
}

// errRootExited is what Run returns for a root function that ended its goroutine.
var errRootExited = errors.New("executor: the root function ended its goroutine, by runtime.Goexit or a test's FailNow, and did not return")

// A rootPanic is what the root function panicked with.
type rootPanic struct{ value any }

// Error implements error. Nobody sees it.
func (p *rootPanic) Error() string {
	return fmt.Sprintf("executor: the root function panicked: %v", p.value)
}

// apart calls root on a goroutine of its own, so that it comes back however root ends.
func apart(ctx context.Context, log *slog.Logger, ex *Executor, root func(context.Context, *Executor) error) error {
	ended := make(chan error, 1)
	go func() {
		err := errRootExited
		defer func() {
			if v := recover(); v != nil {
				err = &rootPanic{v}
				log.Error("the root function panicked", "panic", fmt.Sprint(v), "stack", string(debug.Stack()))
			}
			ended <- err
		}()
		err = root(ctx, ex)
	}()
	return <-ended
}

// dismiss ends the workers of a pool that cannot begin. The workers are told, as MPI waits
// for them at the end.
func dismiss(endpoint transport.Endpoint, cfg Config) error {
	d := dispatcher.New(dispatcher.Config{
		Bell: endpoint.Bell(), Logger: cfg.Logger,
		Lost: func(l *dispatcher.Loop, w dispatcher.Lost) { reap(w, l.Log()) },
	})
	d.AddWorkers(endpoint, false)
	d.Dismiss()
	return endpoint.Close()
}
