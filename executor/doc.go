// Package executor runs wasm tasks on a pool of workers: it submits calls by
// name, with bytes, and gets futures.
//
// [Run] is the way to start a program that works in any shape: alone, where the
// calls run in the process itself, and under mpirun or srun in a build with
// -tags mpi, where rank 0 is the root and the other ranks are workers.
//
//	func main() {
//		err := executor.Run(context.Background(), executor.Config{}, root)
//		if err != nil {
//			log.Print(err)
//		}
//		os.Exit(executor.ExitCode(err)) // every rank comes here
//	}
//
//	func root(ctx context.Context, ex *executor.Executor) error { // rank 0 only
//		tasks, err := wasmtasks.Build(ctx, "tasks")
//		if err != nil {
//			return err
//		}
//		if err := ex.Load(tasks); err != nil {
//			return err
//		}
//		out, err := ex.Call(ctx, "square", []byte("12"))
//		…
//	}
//
// A call that fails is a [*TaskError], which says what failed, how and where;
// other calls and the workers go on. Any other error means the job itself is
// broken, or that the caller's context ended.
//
// Every future is resolved exactly once, whatever happens to its worker: the
// calls of a worker that died run again elsewhere, and a pool without workers
// fails them all.
//
// # What this does to your process
//
// A program that embeds the package shares its process with it. Besides running calls the
// package does this there; each paragraph says why, and what keeps the package from it.
//
// Signals. While it lasts, [Run] catches SIGINT, SIGTERM, SIGUSR1, SIGUSR2 and, unless the
// program was started with it ignored, SIGHUP: so an interrupted job keeps what it has, and
// workers outlast a signal that a launcher sends to all ranks. Config.NoSignals leaves
// signals to the program, on all ranks. [Local] catches none.
//
// The end of the process. Run ends it upon a second signal; not with NoSignals. Under MPI
// a thread ends the process of a worker four seconds after the root is gone, where the worker
// has not left by itself; and that of any rank in which Go has stood still, as a guest may
// force it to, for four seconds longer than Config.LostAfter, unless that is negative. It
// says so on standard error. The root also kills the process of a lost worker that is still
// there on the root's host. Without MPI nothing but a second signal ends the process. When
// the root function panics, Run shuts the pool down and panics with the same value.
//
// Goroutines. The root function runs on another goroutine than Run, so that the pool is
// shut down however the function ends. Without MPI, the package's own goroutines have ended
// when Run has returned.
//
// GOMAXPROCS. Run and Local raise it to two more than the process has slots, where it is
// lower, since a guest that computes holds a processor; they do not lower it again. Go then
// no longer follows changes of the CPU limit, as after any call of [runtime.GOMAXPROCS] that
// sets it. They leave it alone when Config.Slots and RootSlots are at least two below it.
//
// Memory. A process with an [Executor] holds 64 MiB of address space, which it never touches,
// for as long as it lives, so that Go collects garbage less often: not where the environment
// has GOGC, nor with a limit by GOMEMLIMIT or [runtime/debug.SetMemoryLimit]. On Unix the
// memory of guests is outside of Go's heap, and such a limit does not count it:
// Config.Sandbox bounds it.
//
// Child processes. A module that is not in the cache folder is compiled in a child process,
// which bounds what the compiler may take; with Config.Confine another child lasts as long as
// the worker. Each is this program again, with WASMPOOL_COMPILE_CHILD or WASMPOOL_COMPILER in
// its environment: main does not run, as an init of this module takes over. Packages that Go
// initializes earlier are initialized in the child, too, and must not write to standard
// output. There is no switch; but nothing is compiled that is in the cache folder.
//
// Files. Compiled modules are kept, up to 2 GiB of them, in a folder of the user's cache, or
// the one that Config.Sandbox.CacheDir or WASMPOOL_CACHE names. Shared inputs are kept, up to Config.SharedBytes of
// them, in Config.SharedDir, on each node where a call has some.
//
// The engine. On amd64, importing the package corrects two tables in the compiler of wazero
// v1.12.0, for all of the program. Other versions are left alone.
//
// MPI. Under a launcher, in a build with -tags mpi, Run starts MPI and ends it, which can be
// done once in a process. Before, it sets OMPI_MCA_mpi_yield_when_idle and, where ranks
// cannot read each other's memory, OMPI_MCA_btl_vader_single_copy_mechanism, unless they are
// set. With Confine it sets the latter, OMPI_MCA_smsc, MPIR_CVAR_CH4_CMA_ENABLE and some that
// begin with UCX_ in any case. Programs that the process starts later have them, too.
//
// Rights. With Config.Confine a worker rank gives up most of its own, for good. The default is
// that it does not.
//
// # Reading the source
//
// This package says what a user may do. What happens to a call is decided in internal/dispatcher, on the root,
// and in internal/worker.
//
// What a user calls: run.go starts a program, as config.go says; executor.go submits a call,
// future.go is its handle and cancel.go takes it back, options.go is what it may be told (retries.go: when
// it runs again), keys.go finds the call of a key, wait.go waits for several (completions.go: in the order in
// which they end), callbacks.go runs what OnDone was given; memo.go looks for results that are kept, twice.go says which calls may run twice; typed.go encodes arguments and results, zip.go
// makes arguments of several inputs, share.go gives calls inputs that they have in common. fork.go, drain.go and shutdown.go begin and end the life of an executor, report.go
// and stats.go describe it, watch.go tells what happens in it, errors.go lists what may go wrong.
//
// Many calls at once (map.go, stream.go, batch.go) go through a feeder (feeder.go), which reads
// the input as far ahead as its look-ahead allows (lookahead.go, holding.go) and submits
// the calls; stopper.go stops them from outside. The results of maps and streams are taken through a
// delivery (delivery.go), in the order of the arguments (inorder.go) or not (anyorder.go), and what it has used is used again (spares.go).
//
// The process and its surroundings: agree.go has what all ranks must agree on; launcher.go finds out what has started it, launched.go tells
// wasmpool launch of it, signals.go does what a signal asks for (signals_unix.go and signals_other.go
// list them), confine.go bounds what a worker's process may do, reap.go ends the process of a lost worker, and
// processends.go logs how that ended; ballast.go lets the garbage collector wait.
package executor
