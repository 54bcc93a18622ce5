// Package host runs the tasks of wasm modules in this process: a worker of a pool is
// built on it, and a program may use it alone. Only this package, and what lies below it,
// knows the wasm engine.
//
// A [Host] loads modules: it checks, compiles and keeps them in a cache folder
// that all processes of a machine share. A [Slot] is a place where calls run,
// one at a time, in warm instances, so that calling a small task costs little
// more than the task itself. A failure of a guest, whatever it is, is the
// failure of its call alone: the slot goes on with the next.
//
// A module is compiled in a child process, which is this program again: an init function
// of package internal/compile does the child's work, and main never begins there.
//
// A guest sees nothing of the world outside: no files, no environment, no
// network, no arguments but its own. Its clock and its random numbers are made
// from the call, so that a task that keeps nothing between calls, and any task where
// [Isolation] lets it keep nothing, gives the same bytes on every run and rank. [Grants]
// let it see more.
//
//	h, err := host.New(host.Config{})
//	mod, err := h.Load(ctx, m) // m comes from package wasmtasks
//	task, err := mod.Task("upper")
//	slot := h.NewSlot()
//	result, err := slot.Run(ctx, task, &host.Call{Arg: []byte("hello")})
//
// A call is ended by its context, by [Limits], or by its number with [Slot.Stop]. A caller
// with more to do than to wait finds the rest in [Call] and [Slot]: an argument that comes
// while the call runs (Call.ReadArg, [Slot.Err], [Slot.Keep]), a sign of life (Call.Heartbeat,
// [Slot.Ticks]), and what a call waits for before it can run ([Slot.Wait]).
//
// # Reading the source
//
// A module becomes code in package internal/compile. Here it is loaded:
//
//   - host.go: Config and Host: each module is loaded once, and freed with the last slot
//   - module.go: Module and Task, what is loaded
//   - version.go: what of the host and its settings a result may depend on
//   - compiler.go: the process that compiles for confined hosts
//
// A call runs:
//
//   - slot.go: Call and Slot: the path of a call, and the instances that are kept warm
//   - stop.go: how a call is ended from outside, and heard of while it runs
//   - instance.go: one copy of a module: how it starts, and how a call enters and leaves it
//   - raw.go, command.go: calls that take numbers, and WASI commands; kept.go: commands that go on
//     between calls; rewind.go: how one is put back to its first read
//   - tick.go: instructions and time of a call are counted, and bounded; stopwatch.go is the clock
//     for that, which stands still while the process is stopped
//   - limits.go, errors.go: Limits and Usage; Error and its Kinds
//   - isolation.go: what a call finds of those before it; watch_linux.go
//     and watch_other.go: which pages of memory were written
//   - stack.go: the stacks that a slot keeps
//
// What a guest has:
//
//   - memory.go, block.go: linear memory; long results and arguments; both outside of Go's
//     heap, by memory_unix.go, memory_linux.go, memory_copy.go and memory_other.go
//   - imports.go, wasi.go: the functions that a guest may import
//   - clock.go, seed.go, output.go, log.go: its clock, its random numbers, what it prints and
//     logs
//   - scratch.go, scratchfile.go: the files that a command has in memory
//   - grants.go: Grants, what a module may see of the world outside
//   - folder.go, folder_unix.go, folder_other.go, openfile.go: the folders that it was
//     granted, and files in them
//   - shared.go, sharedfs.go, tree.go: the shared inputs of its call, by imports, as files, and as what a zip or
//     tar file holds
package host
