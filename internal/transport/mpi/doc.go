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
// doorbell that wakes a rank that sleeps, or the pulse of one that goes on: see pulse.h.
//
// # Strangers
//
// While the ranks meet, and only then, the root listens: on a socket without a file when
// all share its node, else with TCP on the networks it shares with the other nodes, or
// that WASMPOOL_INTERFACES names. The job's secret comes to the workers over MPI. Root and
// worker prove to each other that they know it and do not tell it; a stranger gets five
// seconds for each step, at most 69 bytes are read of him, and of too many strangers one
// is put out by lot, so that the workers get through. A root that has no files left for
// connections waits for some.
//
// A stranger who reaches the root can take it some CPU, and hold up the start for a minute at
// most. An attacker who can change the traffic between two nodes can cut the connection, which
// loses that worker; ring, which wakes a rank for nothing; and send pulses for a rank that is
// silent, whose loss then shows later, or not at all. He cannot put in a frame, for frames go
// through MPI. MPI itself has neither proofs nor secrets: an attacker who can read or change
// its traffic has the job. Seals on frames are against mistakes, not against him.
//
// # Reading the source
//
//   - mpi.go: Open, and the endpoint: start of MPI, Send, Poll, Close
//   - stub.go: Open in a build without the tag
//   - fabric.c, fabric.h: all calls of MPI that travel: send, probe, receive, test
//   - payload.go: payloads as messages of MPI, in chunks
//   - loan.go: payloads between ranks of a node, read from and written to the root's memory
//   - lend.go: arguments that a worker reads there by an address in their call
//   - memory_linux.go, memory_other.go: the system calls that move memory between processes
//   - canread_linux.go, canread_other.go: whether they are allowed, before MPI starts
//   - lifeline.go: the connections beside MPI: their end tells of a death, bytes on them ring
//   - greet.go: root and worker prove to each other that they know the job's secret
//   - interfaces.go: the networks on which the root listens
//   - bells_linux.go, bells_other.go: bells in memory that the ranks of a node share
//   - pulse.go: starts and stops the thread that sends this rank's signs of life
//   - silence.go: finds a rank whose signs of life stay away, and shows that this one's Go goes on
//   - pulse.c, pulse.h: the thread that sends them, which needs nothing of Go
package mpi
