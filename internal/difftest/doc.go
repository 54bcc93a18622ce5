// Package difftest looks for faults of the engine and of the rewriting: it makes
// random modules, and mutates those of the WebAssembly specification, and runs each
// by wazero's interpreter and its compiler, as it is and as package compile rewrites it.
//
// All must agree: on whether the module is valid, on results (any NaN is as good as
// another), traps, memories and globals. The rewritten ones must count the same
// instructions, and no fewer than a truth that knows nothing of package meter: the
// module with an addition before each of its instructions.
//
// A module follows from its seed alone, so that each find can be had again by it. A
// find is shrunk and written to a file. As a faulty engine may end the process, the
// modules are run by a child.
//
// The fences that keep known holes shut can be left out, one by one: a bench that
// does not find the hole then is worth nothing.
//
// # Reading the source
//
//   - parent.go: Run: starts children, hears their finds, shrinks and writes them
//   - child.go: Child, which runs the modules it is told to
//   - announce.go: modules whose sections announce more than they hold
//   - cases.go: which modules follow from a seed
//   - check.go: what is compared of one module, and Fences
//   - run.go: a module in both engines: calls, results, counts
//   - truth.go: the module with an addition before each instruction
//   - known.go: what takes the place of instructions in the truth that the engine gets wrong
//   - generate.go: random modules that always end
//   - statement.go, expression.go: random code
//   - press.go: functions with more values than registers
//   - ops.go: the instructions that the generator knows
//   - tree.go, leb.go: a module as a tree, and its bytes
//   - mutate.go: a small change that makes a module invalid
//   - proposals.go: modules by hand of what is off
//   - specification.go: the modules of the WebAssembly specification's tests
//   - shrink.go: a smaller module that fails in the same way
//   - tables.go: the tables of the engine that package enginefix corrects
//   - memory.go: memories with nothing around them
//   - names.go: fences and parts by name, for flags
//   - platform_linux.go, platform_other.go: address space and CPU time
package difftest
