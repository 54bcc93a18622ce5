package main

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"iter"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/internal/bench"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// joinTimeout bounds the wait for workers that are slower than the first.
const joinTimeout = 30 * time.Second

// A measurement is what is measured, and how often.
type measurement struct {
	module      string
	calls, runs int
	report      func(bench.Result) error
}

func (m measurement) run(ctx context.Context, ex *executor.Executor) error {
	guest, err := wasmtasks.Open(ctx, m.module)
	if err != nil {
		return err
	}
	if err := ex.Load(guest); err != nil {
		return err
	}
	task := guest.Name() + ".echo"
	if err := mapNumbers(ctx, ex, task, 10_000); err != nil { // all is compiled and warm
		return err
	}
	workers, err := processes(ctx, ex)
	if err != nil {
		return err
	}
	var root, worker []float64
	for range m.runs {
		r, w, err := m.once(ctx, ex, task, workers)
		if err != nil {
			return err
		}
		root, worker = append(root, r), append(worker, w)
	}
	ranks := len(workers) + 1
	return errors.Join(m.report(m.result("cpu_root", ranks, root)), m.report(m.result("cpu_worker", ranks, worker)))
}

// once returns how many nanoseconds of the root's CPU a call takes, and of the workers'.
func (m measurement) once(ctx context.Context, ex *executor.Executor, task string, workers []int) (root, worker float64, err error) {
	runtime.GC() // of what the run before has left
	self := []int{os.Getpid()}
	rootBefore, err := cpuTime(self)
	if err != nil {
		return 0, 0, err
	}
	workersBefore, err := cpuTime(workers)
	if err != nil {
		return 0, 0, err
	}
	if err := mapNumbers(ctx, ex, task, m.calls); err != nil {
		return 0, 0, err
	}
	rootAfter, err := cpuTime(self)
	if err != nil {
		return 0, 0, err
	}
	workersAfter, err := cpuTime(workers)
	perCall := func(d time.Duration) float64 { return float64(d.Nanoseconds()) / float64(m.calls) }
	return perCall(rootAfter - rootBefore), perCall(workersAfter - workersBefore), err
}

func (m measurement) result(name string, ranks int, values []float64) bench.Result {
	return bench.Result{
		Case: name, Ranks: ranks, Value: bench.Median(values), Unit: "ns", N: m.calls, Runs: len(values),
		Min: slices.Min(values), Max: slices.Max(values),
	}
}

// processes waits until all workers are there, and returns their processes, which must be others
// than the root's and on its node.
func processes(ctx context.Context, ex *executor.Executor) ([]int, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, joinTimeout, errors.New("not all ranks have joined"))
	defer cancel()
	for {
		stats, err := ex.Stats(ctx)
		if err != nil {
			return nil, context.Cause(ctx)
		}
		if len(stats.Workers) == ex.NumWorkers() {
			return here(stats)
		}
		time.Sleep(time.Millisecond)
	}
}

func here(stats executor.Stats) ([]int, error) {
	node, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	var pids []int
	for _, w := range stats.Workers {
		if w.Host != node || w.PID == os.Getpid() {
			return nil, errors.New("start it under mpirun, on at least two ranks of one machine")
		}
		pids = append(pids, w.PID)
	}
	return pids, nil
}

// mapNumbers maps n numbers and checks the results.
func mapNumbers(ctx context.Context, ex *executor.Executor, task string, n int) error {
	i := 0
	for out, err := range ex.Map(ctx, task, numbers(n)) {
		if err != nil {
			return fmt.Errorf("call %d: %w", i, err)
		}
		if len(out) != 8 || binary.LittleEndian.Uint64(out) != uint64(i) {
			return fmt.Errorf("call %d returned % x", i, out)
		}
		i++
	}
	if i != n {
		return fmt.Errorf("%d results of %d calls", i, n)
	}
	return nil
}

// numbers yields the numbers below n, many in one allocation: the caller's part is small.
func numbers(n int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		var slab []byte
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
