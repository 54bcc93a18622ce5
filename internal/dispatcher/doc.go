// Package dispatcher is the root's engine: it decides on rank 0 what happens to each call. Package
// executor is its public face, which says what a user may do, and internal/worker its counterpart on
// the other ranks.
//
// # Who may call what
//
// The goroutine that opens a pool makes a [Dispatcher] with [New] and calls AddWorkers for each endpoint. Run
// then needs a goroutine of its own: it ends when Close and [Loop.Stop] were called and nothing is left, or when
// the pool breaks.
//
// Any goroutine may prepare a [Call], hand it in with Add, TryAdd or AddAfter, wait for it, cancel or kill
// it. After Add it calls Serve, or Attend, which does the loop's work itself while the loop's goroutine
// sleeps. A Call has one [Owner], and shares its [Options] with others. Until it is handed in it belongs to the
// caller, then to the dispatcher, and once it is resolved to the caller again, who may use it for
// another call.
//
// One goroutine at a time runs the [Loop], which owns all state, and holds the loop's lock. The one way to a
// *Loop is Request, which has the loop run a function. [Probe] is another, for tests.
//
// The dispatcher calls back, on the goroutine that runs the loop or that resolves a call, and never blocks
// for it:
//
//   - Config.Fail makes the error that callers see of a task's [Failure], Config.KindOf knows it again
//   - Config.Lost is told of a lost worker, whose process may have to be ended
//   - Config.Describe writes the report that the log gets of a quiet pool
//   - Owner.Left and Options.Left count calls that have an outcome
//   - Options.Settling is told before a call gets its outcome, so that its key is free when it has
//   - Options.Results counts the results that wait to be taken
//   - a [BlockSink] is told that calls of a block are done
//   - a [Listener] is told that a call is resolved
//
// # Reading the source
//
// A call (call.go) has an owner (owner.go) and options (options.go), and ends with a result or an error
// (errors.go). waiter.go wakes those that wait for it, and sequel.go gives its result to another
// call. tasks.go knows the tasks.
//
// Many short calls of one task form a block (block.go), which may grow until the loop has use for it. What goes the same way of
// a block is a stretch (stretch.go): a call, its head, stands for it where calls are kept, so that what is done for a call is done for
// all of them. rows.go takes the results of a stretch. A call of it with which something is the matter goes its own way, as any other call.
//
// A call goes through the intake (intake.go) to the loop (loop.go), which one goroutine at a time
// runs: that of the dispatcher as a rule, and a caller's while that sleeps (dispatcher.go). The loop's
// parts own their state, and each has its file:
//
//   - scheduler.go picks the worker for a call of the queue (queue.go), and demand.go tells when workers have
//     room and no call waits
//   - worker.go is what the root knows of a worker (numbers.go: which tasks that was told of); agree.go
//     compares its settings with the root's
//   - outbox.go makes the frames; fabric.go is the way to the workers; receive.go takes their answers
//   - shared.go knows the shared inputs of calls; give.go sends pieces of them to the workers that ask
//   - longresults.go bounds the long results that are on their way, for which memory.go and
//     huge_linux.go (elsewhere huge_other.go) get memory
//   - retry.go says which calls run again, after a failure or a loss; resting.go holds those that wait for it
//   - duplicates.go starts calls a second time that take unusually long, and sees to it that one answer counts; spotcheck.go
//     has calls run twice, one run behind the other, and compares the results
//   - suspects.go says what a lost worker ran, and start.go whether a module can be started
//   - kill.go ends calls that workers have; ending.go those that wait, and the loop itself
//   - idler.go decides how the loop waits when nothing moves
//   - watch.go gathers what happens for those who watch
//   - counts.go counts outcomes; snapshot.go says what the root knows; reporter.go asks the workers what they
//     do, and says when that is due
//   - latelog.go keeps the loop's log lines while a caller runs it
//   - probe.go lets tests of other packages run the loop by hand and look inside
package dispatcher
