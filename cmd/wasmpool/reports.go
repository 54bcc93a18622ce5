package main

import (
	"context"
	"sync"
	"time"
)

// reports writes the file of --report now and then while a job runs, so that one is left of a job that was killed.
type reports struct {
	cancel context.CancelFunc // nil before start
	done   sync.WaitGroup
}

// The time from one report to the next doubles up to that.
const (
	firstReport = time.Second
	mostBetween = 30 * time.Second
)

// start has write be called on a goroutine of its own until stop.
func (r *reports) start(write func()) {
	ctx, cancel := context.WithCancel(context.Background())
	r.cancel = cancel
	r.done.Go(func() {
		for pause := firstReport; ; pause = min(2*pause, mostBetween) {
			select {
			case <-time.After(pause):
				write()
			case <-ctx.Done():
				return
			}
		}
	})
}

// stop waits until none is written any more.
func (r *reports) stop() {
	if r.cancel != nil {
		r.cancel()
		r.done.Wait()
	}
}
