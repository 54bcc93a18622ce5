package bench

import (
	"context"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/internal/executorhook"
	"github.com/wasmpool/wasmpool/internal/transport"
)

// measureScheduler returns how much longer a root takes for n calls with 4096
// workers than with 4. The workers answer at once, so that only the root's own
// work counts: queue, scheduler, frames, futures.
func measureScheduler(ctx context.Context, p *pool, n int) ([]float64, error) {
	few, err := p.rootTime(ctx, 4, n)
	if err != nil {
		return nil, err
	}
	many, err := p.rootTime(ctx, 4096, n)
	if err != nil {
		return nil, err
	}
	return []float64{many.Seconds() / few.Seconds()}, nil
}

// rootTime returns how long a root with so many instant workers takes for n
// calls.
func (p *pool) rootTime(ctx context.Context, workers, n int) (d time.Duration, err error) {
	bell := transport.NewBell()
	opened, err := executorhook.OpenOn(executor.Config{RootSlots: -1}, newInstantEndpoint(workers, bell), bell)
	if err != nil {
		return 0, err
	}
	ex := opened.(*executor.Executor)
	defer func() {
		if shutdownErr := ex.Shutdown(ctx); err == nil {
			err = shutdownErr
		}
	}()
	if err := ex.Load(p.guest); err != nil {
		return 0, err
	}
	instant := &pool{ex: ex, guest: p.guest}
	if err := instant.join(ctx); err != nil { // every worker has seen a call
		return 0, err
	}
	start := time.Now()
	err = instant.mapNumbers(ctx, n)
	return time.Since(start), err
}
