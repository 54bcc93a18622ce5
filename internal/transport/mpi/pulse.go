//go:build mpi

package mpi

// #include "pulse.h"
import "C"

import (
	"errors"
	"fmt"
	"syscall"
	"time"
)

const (
	// leaveAfter is for how long a worker may clean up after the root is gone,
	// before its pulse ends the process.
	leaveAfter = 4 * time.Second

	// beats is how many pulses fit into the silence after which a peer is lost.
	beats = 8

	// longestBeat bounds the time between two pulses.
	longestBeat = time.Second
)

var errSilent = errors.New("mpi: it is silent though its connection stands: the process hangs, or the network is cut")

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
	code := C.wp_pulse_start(&sockets[0], C.int(len(sockets)), C.int(max(beat.Milliseconds(), 1)), root, C.int(leaveAfter.Milliseconds()))
	if code != 0 {
		return fmt.Errorf("mpi: starting the pulse: %w", syscall.Errno(code))
	}
	if silence > 0 {
		l.readers.Go(func() { l.listenForPulses(beat, silence) })
	}
	return nil
}

// stopPulse ends what startPulse started, but for the listening, which ends with
// the lifeline.
func stopPulse() { C.wp_pulse_stop() }

// listenForPulses looks now and then who was silent for too long. When it was
// itself kept from looking, by a stopped process or a guest, the peers are not to
// blame.
func (l *lifeline) listenForPulses(beat, silence time.Duration) {
	ticker := time.NewTicker(beat)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-l.closed:
			return
		case <-ticker.C:
		}
		now := time.Now()
		asleep := now.Sub(last) > 2*beat
		last = now
		for rank := range l.conns {
			switch heard, now := l.heard[rank].Load(), nanotime(); {
			case heard == 0: // no connection, or told of already
			case asleep:
				l.heard[rank].CompareAndSwap(heard, max(heard, now))
			case now-heard > int64(silence):
				l.end(rank, errSilent)
			}
		}
	}
}

// start is what nanotime counts from.
var start = time.Now()

// nanotime reads the monotonic clock: the other may be set, and goes on while the
// machine sleeps.
func nanotime() int64 { return int64(time.Since(start)) }
