package bench

import (
	"context"
	"encoding/binary"
	"fmt"
	"iter"
	"time"

	"github.com/wasmpool/wasmpool/executor"
)

// The task of the throughput cases takes and gives eight bytes, a different
// number in each call. Every result is checked.

// measureSubmit submits n calls, then takes all results: calls a second.
func measureSubmit(ctx context.Context, p *pool, n int) ([]float64, error) {
	task, futures := p.task("echo"), make([]*executor.Future, 0, n)
	args := make([][]byte, 0, n)
	for arg := range numbers(n) {
		args = append(args, arg)
	}
	start := time.Now()
	for _, arg := range args {
		futures = append(futures, p.ex.Submit(ctx, task, arg))
	}
	for i, f := range futures {
		out, err := f.Result(ctx)
		if err := checkNumber(i, out, err); err != nil {
			return nil, err
		}
	}
	return perSecond(n, time.Since(start)), nil
}

// measureMap maps n arguments: calls a second.
func measureMap(ctx context.Context, p *pool, n int) ([]float64, error) {
	start := time.Now()
	if err := p.mapNumbers(ctx, n); err != nil {
		return nil, err
	}
	return perSecond(n, time.Since(start)), nil
}

// mapNumbers maps n numbers and checks the results.
func (p *pool) mapNumbers(ctx context.Context, n int) error {
	i := 0
	for out, err := range p.ex.Map(ctx, p.task("echo"), numbers(n)) {
		if err := checkNumber(i, out, err); err != nil {
			return err
		}
		i++
	}
	if i != n {
		return fmt.Errorf("%d results of %d calls", i, n)
	}
	return nil
}

// numbers yields the numbers below n as arguments of eight bytes each.
func numbers(n int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		var slab []byte // one allocation for many arguments
		for i := range n {
			if len(slab) == 0 {
				slab = make([]byte, 8<<10)
			}
			arg := slab[:8:8]
			slab = slab[8:]
			binary.LittleEndian.PutUint64(arg, uint64(i))
			if !yield(arg) {
				return
			}
		}
	}
}

// checkNumber checks the result of the call number i.
func checkNumber(i int, out []byte, err error) error {
	if err != nil {
		return fmt.Errorf("call %d: %w", i, err)
	}
	if len(out) != 8 || binary.LittleEndian.Uint64(out) != uint64(i) {
		return fmt.Errorf("call %d returned % x", i, out)
	}
	return nil
}

func perSecond(n int, d time.Duration) []float64 { return []float64{float64(n) / d.Seconds()} }
