//go:build mpi

package mpi

import (
	"errors"
	"runtime"
	"time"

	"github.com/wasmpool/wasmpool/internal/monotime"
)

var errSilent = errors.New("mpi: it is silent though its connection stands: the process hangs, or the network is cut")

// listenForPulses looks now and then which peers were silent for too long. When the
// goroutine itself was kept from looking, by a stopped process or a guest, the peers are not
// to blame.
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
		l.goOn()
		now := time.Now()
		asleep := now.Sub(last) > 2*beat
		last = now
		for rank := range l.conns {
			switch heard, now := l.heard[rank].Load(), monotime.Now(); {
			case heard == 0: // no connection, or told of already
			case asleep:
				l.heard[rank].CompareAndSwap(heard, max(heard, now))
			case now-heard > int64(silence):
				l.end(rank, errSilent)
			}
		}
	}
}

// goOn shows that this rank goes on: that this goroutine runs, and, where a guest has
// not been heard of since the last time, that the guest lets Go stop it. One that does
// not would do no harm until the next garbage collection, which may be far; so it is
// found out now, and everything that follows in this process is over anyway.
func (l *lifeline) goOn() {
	if suspect := l.suspect.Load(); suspect != nil {
		if call, found := (*suspect)(); found {
			suspected().Store(call)
			stopTheWorld()
			suspected().Store(0)
		}
	}
	signs().Add(1)
}

// stopTheWorld returns when every goroutine has stopped once: some 50 µs, where none keeps
// it from that. Reading the statistics does it.
func stopTheWorld() {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
}
