// Package mpi is the fabric for ranks that are MPI processes. It needs the
// build tag mpi, cgo, and Open MPI's development files; without the tag it
// compiles to an [Open] that says so.
//
// The package github.com/emer/empi starts and stops MPI and tells rank and
// size. It has no probe and no nonblocking calls, so fabric.c adds those: all
// that MPI does for a Poll happens in one crossing into C.
//
// One goroutine at a time calls MPI (thread level SERIALIZED). After Open there
// is no collective and no call that waits for a peer, since MPI reports nothing
// when a peer dies: that is what the lifeline is for, one connection from
// each worker to the root. Its end tells of a death; a byte on it is the
// doorbell that wakes a rank that sleeps.
package mpi
