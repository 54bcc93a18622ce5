package bench

import (
	"context"
	"slices"
	"time"
)

// idleTime is for how long the pool idles before a call of latency_idle.
const idleTime = time.Second

// measureStart returns what newPool saw: milliseconds from the start of this
// process to the first result.
func measureStart(_ context.Context, p *pool, _ int) ([]float64, error) {
	return []float64{p.started.Seconds() * 1e3}, nil
}

// measureBusy makes n calls, each after the result of the one before, and
// returns the median and the 99th percentile of their round trips in
// microseconds.
func measureBusy(ctx context.Context, p *pool, n int) ([]float64, error) {
	trips, err := p.roundTrips(ctx, n, 0)
	if err != nil {
		return nil, err
	}
	slices.Sort(trips)
	return []float64{Median(trips), Quantile(trips, 0.99)}, nil
}

// measureIdle makes n calls, each after a second without any, and returns the
// median of their round trips in microseconds.
func measureIdle(ctx context.Context, p *pool, n int) ([]float64, error) {
	trips, err := p.roundTrips(ctx, n, idleTime)
	if err != nil {
		return nil, err
	}
	return []float64{Median(trips)}, nil
}

// roundTrips returns how many microseconds each of n calls takes.
func (p *pool) roundTrips(ctx context.Context, n int, pause time.Duration) ([]float64, error) {
	task, arg := p.task("echo"), make([]byte, 8)
	trips := make([]float64, 0, n)
	for range n {
		time.Sleep(pause)
		start := time.Now()
		out, err := p.ex.Call(ctx, task, arg)
		trip := time.Since(start)
		if err := checkNumber(0, out, err); err != nil {
			return nil, err
		}
		trips = append(trips, float64(trip.Nanoseconds())/1e3)
	}
	return trips, nil
}
