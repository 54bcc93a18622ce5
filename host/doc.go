// Package host runs the tasks of wasm modules: it is the worker's side of
// wasmpool. Only this package, and what lies below it, knows the wasm engine.
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
// [Serve] is the worker's loop around it.
package host
