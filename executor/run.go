package executor

import (
	"context"
	"errors"
	"fmt"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/transport/mpi"
	"github.com/wasmpool/wasmpool/internal/transport/seal"
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
// that are still under way are waited for; when it returns an error or ctx ends,
// they are dropped. Run is called once in a program's life under MPI.
//
// After SIGINT, SIGTERM or SIGUSR1 on the root no call is begun any more: those
// that wait end with a [SignalError], those that run have Config.Grace to end, then
// they are killed; then root's ctx ends. What root yields meanwhile is whole, so
// that it can write it down. Run returns the SignalError, for which [ExitCode] has
// the code. A second signal ends the process at once. SIGUSR2 logs a [Report].
// Workers ignore the first of these signals: launchers send them to all ranks.
//
// A worker whose root is gone returns [host.ErrRootLost] within seconds; should it
// still be there after four more, its process is ended.
//
// A launcher that does not fit the program is an error that says what to do.
func Run(ctx context.Context, cfg Config, root func(ctx context.Context, ex *Executor) error) error {
	if err := cfg.validate(); err != nil {
		return err
	}
	cfg = cfg.withDefaults()
	bell := transport.NewBell()
	launched, err := detectLauncher()
	if err != nil {
		return err
	}
	if !launched.present {
		sayStarted(cfg.Logger, 0)
		return runRoot(ctx, cfg, nil, bell, root)
	}
	h, err := host.New(cfg.host())
	if err != nil {
		return err
	}
	stopWarming := warm(ctx, h, cfg, launched)
	world, err := openWorld(ctx, cfg, launched, bell)
	if err != nil {
		stopWarming()
		return errors.Join(err, h.Close())
	}
	if world.Size() == 0 { // not one of Config.Ranks
		stopWarming()
		return errors.Join(world.Close(), h.Close())
	}
	if world.Rank() > 0 {
		err := serve(ctx, cfg, h, world)
		stopWarming()
		return errors.Join(err, world.Close(), h.Close())
	}
	stopWarming()
	sayStarted(cfg.Logger, launched.rank)
	makeRoom(0)
	return errors.Join(runRoot(ctx, cfg, seal.New(world), bell, root), h.Close())
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

// openWorld starts MPI and checks that it agrees with the launcher.
func openWorld(ctx context.Context, cfg Config, l launcher, bell *transport.Bell) (mpi.World, error) {
	world, err := mpi.Open(ctx, bell, cfg.Ranks, max(cfg.LostAfter, 0))
	if err != nil {
		return nil, fmt.Errorf("executor: starting MPI: %w", err)
	}
	if world.Size() == 1 && l.size > 1 && len(cfg.Ranks) == 0 {
		return nil, errors.Join(fmt.Errorf("%w: %s started %d processes, but in each %s sees only itself: use the launcher that belongs to the MPI library this program is linked with",
			ErrLaunch, l.name, l.size, mpi.Version()), world.Close())
	}
	return world, nil
}

// serve is what a worker rank does.
func serve(ctx context.Context, cfg Config, h *host.Host, world mpi.World) error {
	slots := cfg.Slots
	if slots == 0 {
		slots = min(ownCPUs(world.LocalWorkers()), MostSlots)
	}
	makeRoom(slots)
	defer ignoreStop()()
	// The root decides when it is over, also when all ranks get a signal.
	err := host.Serve(context.WithoutCancel(ctx), h, seal.New(world), host.ServeConfig{
		Slots: slots, Rank: world.Rank(), Modules: cfg.Modules, Logger: cfg.Logger,
	})
	if err != nil {
		world.Leave()
	}
	return err
}

// runRoot is what the root does.
func runRoot(ctx context.Context, cfg Config, world transport.Endpoint, bell *transport.Bell, root func(context.Context, *Executor) error) error {
	ex, err := open(cfg, world, bell)
	if err != nil {
		if world != nil {
			err = errors.Join(err, dismiss(world, cfg))
		}
		return err
	}
	ctx, stopHeeding := ex.heed(ctx)
	err = root(ctx, ex)
	ended := ctx.Err() != nil
	if signalled := stopHeeding(); signalled != nil && !errors.Is(err, ErrInterrupted) {
		err = errors.Join(signalled, err)
	}
	if err != nil || ended {
		ex.abandon()
	}
	shutdownErr := ex.Shutdown(context.WithoutCancel(ctx))
	ex.calls.wait()
	if err != nil && (errors.Is(shutdownErr, ErrClosed) || errors.Is(err, shutdownErr)) {
		shutdownErr = nil // it is what abandon asked for, or was said
	}
	return errors.Join(err, shutdownErr)
}

// dismiss ends a world whose pool cannot begin. The workers are told, as MPI waits
// for them at the end.
func dismiss(world transport.Endpoint, cfg Config) error {
	l := newLoop(&intake{}, world.Bell(), cfg.Logger)
	l.addFabric(world, false)
	l.stopWorkers()
	return world.Close()
}
