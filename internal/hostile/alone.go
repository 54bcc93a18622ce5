package hostile

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"time"

	"github.com/wasmpool/wasmpool/executor"
)

const (
	// mostCPU is how much CPU time all ranks together may use for one hostile call beyond
	// its limit on time, with what they do besides. All but milliseconds of it are for
	// machines that are slow.
	mostCPU = 10 * time.Second

	// mostPeak is how much more memory a rank may have in RAM while a hostile call, and
	// the good ones after it, run.
	mostPeak = 512 << 20
)

// Alone makes the hostile calls one at a time, each of a kind, and after each so many good
// ones. It checks the outcomes, and what the calls cost the ranks in CPU time and memory:
// on Linux, where all ranks are on this machine.
func (at *Attack) Alone(ctx context.Context, good int) (*Report, error) {
	r, ex := newReport(), at.ex
	random := rand.New(rand.NewPCG(3, 4))
	for _, a := range at.attacks {
		ranks, err := ranksOf(ctx, ex)
		if err != nil {
			return r, fmt.Errorf("before %v: %w", &a, err)
		}
		if err := ranks.attack(ctx, at, r, &a); err != nil {
			return r, err
		}
		calls := make([]goodCall, good)
		for i := range calls {
			calls[i] = at.submitGood(ctx, i, random)
		}
		for i := range calls {
			if err := calls[i].await(ctx, r); err != nil {
				return r, fmt.Errorf("after %v: %w", &a, err)
			}
		}
		if err := ranks.compare(r, &a); err != nil {
			return r, err
		}
	}
	_, err := ranksOf(ctx, ex)
	return r, err
}

// processes are the ranks, by number.
type processes map[int]*process

// A process is a rank, as it was.
type process struct {
	pid      int
	resident int64
}

// ranksOf looks at the ranks of a pool. That one is lost is an error.
func ranksOf(ctx context.Context, ex *executor.Executor) (processes, error) {
	s, err := ex.Stats(ctx)
	if err != nil {
		return nil, err
	}
	ranks := processes{0: {pid: os.Getpid()}}
	for _, w := range s.Workers {
		if w.Lost {
			return nil, fmt.Errorf("rank %d is lost", w.Rank)
		}
		ranks[w.Rank] = &process{pid: w.PID}
	}
	for _, p := range ranks {
		if p.resident, err = beginPeak(p.pid); err != nil {
			return nil, err
		}
	}
	return ranks, nil
}

// attack makes one hostile call and measures it.
func (ps processes) attack(ctx context.Context, at *Attack, r *Report, a *attack) error {
	before, err := ps.cpu()
	if err != nil {
		return err
	}
	call := at.submit(ctx, a)
	kind, err := call.await(ctx, r)
	if err != nil {
		return err
	}
	after, err := ps.cpu()
	if err != nil {
		return err
	}
	took := after - before - a.limits.Time
	if kind != 0 {
		r.worst(kind).took(took, a.String())
	}
	if took > mostCPU {
		r.wrong("%v: it took %v of CPU time beyond its limit of %v", a, took, a.limits.Time)
	}
	return nil
}

// cpu returns the CPU time of all ranks.
func (ps processes) cpu() (sum time.Duration, err error) {
	for _, p := range ps {
		t, err := cpuTime(p.pid)
		if err != nil {
			return 0, err
		}
		sum += t
	}
	return sum, nil
}

// compare says which rank had much more memory since ranksOf.
func (ps processes) compare(r *Report, a *attack) error {
	for rank, p := range ps {
		peak, err := peakMemory(p.pid)
		if err != nil {
			return err
		}
		if peak > p.resident+mostPeak {
			r.wrong("%v: rank %d had %d MiB and then %d MiB", a, rank, p.resident>>20, peak>>20)
		}
	}
	return nil
}

// Resident returns the bytes that each rank has in RAM. That a rank is lost is an error.
func Resident(ctx context.Context, ex *executor.Executor) (map[int]int64, error) {
	ps, err := ranksOf(ctx, ex)
	bytes := map[int]int64{}
	for rank, p := range ps {
		bytes[rank] = p.resident
	}
	return bytes, err
}
