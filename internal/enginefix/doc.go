// Package enginefix corrects two tables of the engine's compiler, in the one version
// where they are known to be wrong.
//
// wazero v1.12.0 forgets on amd64 that a conditional move of floats reads its
// destination (its issue 2534), so that a select of floats or vectors may give what
// some register last held. The entry of that instruction is made the same as that of
// the move of integers, as the engine's authors did afterwards.
//
// It also merges the and of two integers with a comparison of its result with zero, and
// does not turn the comparison round where the zero stands on the left: a branch upon
// 0 < (x & y) is one upon 0 > (x & y). The entry of and says afterwards that it has an
// effect, behind which nothing is merged with it. That costs an instruction in branches
// upon bits.
//
// A program that selects another version of wazero has other tables: they are left alone
// when anything in them is not as it was in v1.12.0.
//
// Importing the package is all: the tables are corrected when it is initialized, which
// is before any package that imports it. Package host besides tries the engine out
// before it compiles ([Check]), and refuses to run modules with one that gets this wrong.
package enginefix
