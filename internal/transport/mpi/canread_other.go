//go:build mpi && !linux

package mpi

// canRead leaves the choice to Open MPI.
func canRead() bool { return true }
