// Package pool is multiprocessing.Pool's face on an executor: Apply, Map and
// their asynchronous forms, with the name of a task where Python has a function
// and bytes where it has objects.
//
//	err := pool.Run(ctx, executor.Config{}, func(ctx context.Context, p *pool.Pool) error {
//		if err := p.Executor().Load(tasks); err != nil {
//			return err
//		}
//		squares, err := p.Map(ctx, "square", [][]byte{[]byte("3"), []byte("4")})
//		…
//	})
//
// Timeouts are contexts; the task's error is a [*executor.TaskError]. As in
// Python, Close lets the calls that were submitted finish and Join waits for them.
//
// # Reading the source
//
//   - pool.go: Run, Pool and its methods
//   - result.go: AsyncResult, and the options of the asynchronous methods
//   - star.go: StarMap and its kin, whose tasks take several values; IMap and its kin
package pool
