// Package doctest runs what README.md and other documents show. It consists of
// tests with the build tag mpi, as some of the commands need MPI.
//
// A block of code says in its first line what becomes of it:
//
//	sh           is run by bash, in a copy of the project, after those before it
//	sh slurm     likewise, in an allocation of a Slurm of the test's own
//	sh rustc     likewise, where that compiler is installed; so with asc
//	output       is what the block before it must have printed
//	go FILE      is written to FILE in the copy
//	c FILE       likewise; so with rust and ts
//	text         is only shown
//
// Other tests hold what documents say to the code: the tests, files and exported names that
// they name exist, links and citations lead somewhere, words that were given up do not come
// back, and each larger package's doc.go names its files.
package doctest
