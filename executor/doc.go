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
// # Reading the source
//
// A call goes from Submit (executor.go) through the intake (intake.go) to the
// loop (loop.go), which owns all state, and whose place a caller takes while it
// sleeps (helm.go); the scheduler (scheduler.go) picks the
// worker, worker.go holds what the root knows of it, receive.go takes the
// answer and future.go resolves. map.go feeds many calls through the same way.
// run.go and launcher.go start it all.
package executor
