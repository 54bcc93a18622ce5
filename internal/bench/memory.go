package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"runtime"
	"runtime/debug"
	"time"

	"github.com/wasmpool/wasmpool/executor"
)

// measureMapRSS maps n arguments and returns the most memory that the root had
// in RAM meanwhile, in MiB.
func measureMapRSS(ctx context.Context, p *pool, n int) ([]float64, error) {
	debug.FreeOSMemory()
	stop := watchMemory()
	err := p.mapNumbers(ctx, n)
	peak, watchErr := stop()
	if err != nil {
		return nil, err
	}
	return []float64{float64(peak) / (1 << 20)}, watchErr
}

// watchMemory looks at this process's memory now and then until the function
// that it returns is called, which says what the most was.
func watchMemory() (stop func() (int64, error)) {
	var peak int64
	var failed error
	look := func() {
		now, err := residentBytes()
		if err != nil {
			failed = err
		}
		peak = max(peak, now)
	}
	quit, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		tick := time.NewTicker(5 * time.Millisecond)
		defer tick.Stop()
		for {
			look()
			select {
			case <-tick.C:
			case <-quit:
				return
			}
		}
	}()
	return func() (int64, error) {
		close(quit)
		<-done
		look()
		return peak, failed
	}
}

// measureFutures returns how many bytes of heap one of n pending futures takes,
// without its argument and the caller's pointer to it.
func measureFutures(ctx context.Context, p *pool, n int) ([]float64, error) {
	for calls := 64; ; calls *= 2 {
		bytes, ok, err := p.weighFutures(ctx, n, calls)
		if err != nil || ok {
			return []float64{bytes}, err
		}
		if calls > 1<<20 {
			return nil, fmt.Errorf("the workers could not be kept busy for as long as %d submits take", n)
		}
	}
}

// burnSteps makes a call of burn take about 20 ms.
const burnSteps = 15_000_000

// weighFutures keeps the workers busy with so many calls of burn and queues n
// calls behind them. It reports false when the workers came to those before
// they were weighed.
func (p *pool) weighFutures(ctx context.Context, n, burns int) (bytes float64, ok bool, err error) {
	burning := p.submitAll(ctx, make([]*executor.Future, 0, burns), "burn", binary.LittleEndian.AppendUint64(nil, burnSteps))
	defer drop(burning)
	queued, arg := make([]*executor.Future, 0, n), make([]byte, 8)
	before := heapBytes()
	queued = p.submitAll(ctx, queued, "echo", arg)
	defer drop(queued)
	after := heapBytes()
	last := burning[len(burning)-1]
	if last.State() != executor.Pending {
		_, err := last.Result(ctx)
		return 0, false, err
	}
	return float64(after-before) / float64(n), true, nil
}

// submitAll fills futures up with calls that share an argument.
func (p *pool) submitAll(ctx context.Context, futures []*executor.Future, export string, arg []byte) []*executor.Future {
	task := p.task(export)
	for len(futures) < cap(futures) {
		futures = append(futures, p.ex.Submit(ctx, task, arg))
	}
	return futures
}

// drop cancels what is pending and waits for the rest.
func drop(futures []*executor.Future) {
	for _, f := range futures {
		f.Cancel()
	}
	for _, f := range futures {
		<-f.Done()
	}
}

// heapBytes returns the size of all that is reachable on the heap.
func heapBytes() int64 {
	runtime.GC()
	runtime.GC() // what the first one only marked as free
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}
