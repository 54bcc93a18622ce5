// Package meter rewrites wasm modules so that they count what they execute.
//
// A rewritten module has one more global, its fuel, and imports one more
// function, the tick. The head of each loop, the entry of each function, and longer
// code behind the end of a block, where branches lead to, take
// the instructions that follow off the fuel, and when that falls below zero they
// call the tick, which returns the fuel to go on with, or does not return. So a
// guest that computes calls out now and then, after a number of instructions
// that depends on nothing but the path it took. A function with loops holds the fuel
// in a local, and brings the global up to date where anybody else may look.
//
// What is taken off is the number of instructions as written between one such
// place and the next, whichever branches are taken in between; opening and closing
// a block is none. A function that
// calls nothing, has no loop and is short takes nothing itself: a direct call of
// it takes its length with the caller's. Instructions that move many bytes or table
// entries take off more, by how many they are, and are cut into pieces.
//
// # Reading the source
//
//   - meter.go: Read and Rewrite, from the first section to the last
//   - sections.go: editor, which writes each section with what is added
//   - code.go: function bodies: where a charge stands and how much it takes
//   - opcodes.go: decoder, which reads one instruction with its immediates
//   - simple.go: which opcodes have none
//   - proposals.go: instructions and types that are off, by the name of their proposal
//   - bulk.go: memory.fill and memory.copy in pieces of a MiB
//   - remedies.go: what stands in for instructions that the engine gets wrong
//   - names.go: the section of names, for the functions that are added
package meter
