//go:build mpi

package mpi

// #include "pulse.h"
import "C"

import (
	"fmt"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

// stillByte is what a rank sends that stands still, before the number of a call.
const stillByte = C.STILL

const (
	// leaveAfter is for how long a worker may clean up after the root is gone,
	// before its pulse ends the process.
	leaveAfter = 4 * time.Second

	// beats is how many pulses fit into the silence after which a peer is lost. A guest
	// that keeps Go from going on is found out within two, after which the pulse gives
	// Go four, so that all is over within the eight.
	beats = 8

	// longestBeat bounds the time between two pulses.
	longestBeat = time.Second
)

// startPulse starts to send pulses and to listen for those of the peers. A peer
// that is silent for longer than silence is lost; with 0 none is.
func (l *lifeline) startPulse(rank int, silence time.Duration) error {
	beat := longestBeat
	if silence > 0 {
		beat = min(beat, silence/beats)
	}
	sockets := make([]C.int, 0, len(l.conns))
	for _, conn := range l.conns {
		if conn == nil {
			continue
		}
		if err := conn.Control(func(fd uintptr) { sockets = append(sockets, C.int(fd)) }); err != nil {
			return fmt.Errorf("mpi: starting the pulse: %w", err)
		}
	}
	root := C.int(-1)
	if rank != 0 {
		root = sockets[0]
		if heard := l.heard[0].Load(); heard != 0 { // its pulse begins when all workers have connected
			l.heard[0].CompareAndSwap(heard, heard+int64(startTimeout))
		}
	}
	code := C.wp_pulse_start(&sockets[0], C.int(len(sockets)), C.int(max(beat.Milliseconds(), 1)), C.int(silence.Milliseconds()), root, C.int(leaveAfter.Milliseconds()))
	if code != 0 {
		return fmt.Errorf("mpi: starting the pulse: %w", syscall.Errno(code))
	}
	if silence > 0 {
		l.readers.Go(func() { l.listenForPulses(beat, silence) })
	}
	return nil
}

// signs and suspected are what Go shows to the thread.
func signs() *atomic.Uint64     { return (*atomic.Uint64)(unsafe.Pointer(&C.wp_signs)) }
func suspected() *atomic.Uint64 { return (*atomic.Uint64)(unsafe.Pointer(&C.wp_suspect)) }

// stopPulse ends what startPulse started, but for the listening, which ends with
// the lifeline.
func stopPulse() { C.wp_pulse_stop() }
