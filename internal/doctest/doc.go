// Package doctest runs what README.md shows. It consists of a test, which has
// the build tag mpi, as some of the commands need MPI.
//
// A block of code says in its first line what becomes of it:
//
//	sh           is run by bash, in a copy of the project, after those before it
//	sh slurm     likewise, with a stand-in for srun that checks its flags and
//	             runs the rest once
//	output       is what the block before it must have printed
//	go FILE      is written to FILE in the copy
//	text         is only shown
package doctest
