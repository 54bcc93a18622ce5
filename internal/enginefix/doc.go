// Package enginefix corrects a table of the engine's compiler, in the one version
// where it is wrong.
//
// wazero v1.12.0 forgets on amd64 that a conditional move of floats reads its
// destination (its issue 2534), so that a select of floats or vectors may give what
// some register last held. The entry of that instruction is made the same as that of
// the move of integers, as the engine's authors did afterwards. A program that selects
// a later version of wazero has their correction: there the table is left alone, as
// it is where anything in it is not as it was in v1.12.0.
//
// Importing the package is all: the table is corrected when it is initialized, which
// is before any package that imports it. Package host besides tries the engine out
// before it compiles, and refuses to run modules with one that gets selects wrong.
package enginefix
