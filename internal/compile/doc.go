// Package compile turns the bytes of a wasm module into native code. Package host makes
// instances of that code and runs them.
//
// A [Pipeline] takes a module through these steps, each of which may refuse it with a
// [BadModuleError]:
//
//   - [Gate] parses the module and looks at its imports, exports and memory.
//   - [Rewrite] bounds the sizes of its parts, adds the ticks and the counting, and joins data segments;
//     [ExportGlobals] also exports its globals where instances are put back after a call.
//   - [Validate] has the engine check the module as it came.
//   - The engine compiles what Rewrite made, in a child process, into the cache folder,
//     and loads the code from there.
//
// All processes of a machine share the cache folder: one compiles a module while the
// others wait for it.
//
// # Importing this package may take the process over
//
// The child processes are the same program, started again. Two init functions, in
// child.go and compiler_process.go, look at the environment: where the variable
// WASMPOOL_COMPILE_CHILD or WASMPOOL_COMPILER is set, they do the child's work and end the
// process, before main begins and before the packages that import this one are
// initialized. Package enginefix, which corrects the engine, is imported here, so that it
// was initialized by then.
//
// # Reading the source
//
//   - pipeline.go: Config, Pipeline, the order of the steps, BadModuleError
//   - check.go, sizes.go, imports.go: what is refused before the engine sees the module; origin.go says of
//     one that was built to run elsewhere what it is
//   - stubs.go: functions that nobody offers, where they are let through
//   - rewrite.go: the ticks, and the folder that keeps rewritten modules
//   - data.go: joining data segments
//   - globals.go: exporting globals
//   - sections.go: putting others in the place of a module's sections
//   - validate.go: the engine's validation of the module as it came
//   - engine.go: the engine's settings; Code, and how the engine makes or loads it
//   - compile.go: by way of the cache folder and of a child process, or without them
//   - skeleton.go: what the engine is given in place of a module whose code is in the folder
//   - child.go, child_linux.go, child_other.go: the child process that compiles one
//     module, and its limits
//   - compiler.go, compiler_process.go: the process that compiles for confined hosts
//   - cache.go, cache_trim.go: a module's entry in the cache folder; removing old entries
//   - race_on.go, race_off.go: how much slower the race detector makes the compiler
//
// To refuse more modules, see check.go and sizes.go. RATIONALE.md, "Why is a module
// compiled in a child process?", "Why is a module validated as it came?" and "Why does the engine look up a module's
// skeleton?", says why.
package compile
