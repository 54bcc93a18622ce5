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
package difftest
