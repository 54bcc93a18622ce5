//go:build unix

package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"sync"
	"syscall"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/memo"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// A job is one run under a launcher: calls, and what happens to the workers
// meanwhile.
type job struct {
	Calls     int           // how many there are
	Long      int           // how many of them compute for LongSteps
	Nap       time.Duration // for how long the others sleep
	LongSteps uint64
	Kill      int // workers that get Signal at random moments
	Signal    syscall.Signal
	Within    time.Duration // the moments lie in this time
	LostAfter time.Duration
	Guest     string
	Shared    int    // MiB of a shared input, of which each short call reads a part
	Memo      bool   // results are kept, too
	KillWhile string // which worker is killed while the shared input travels: see killWhile
}

// storeName is the folder of a node's shared inputs, in that for temporary files.
const storeName = "shared"

// short returns the task of the short calls.
func (j *job) short() string {
	switch {
	case j.Shared > 0:
		return "read"
	case j.Memo: // which takes no task that sees the clock
		return "compute"
	}
	return "nap"
}

// An outcome is what the root prints when it is through.
type outcome struct {
	Right, Wrong int
	Lost         int       // workers
	NoticedMS    []float64 // from each signal until the worker was lost and its calls queued again
	Seconds      float64
	Sent         float64 // how often the shared input has left the root
	First        float64 // seconds until the first short call was done
}

func (j *job) run(ctx context.Context) error {
	cfg := executor.Config{Slots: 1, LostAfter: j.LostAfter, SharedDir: filepath.Join(os.TempDir(), storeName), SharedBytes: 2 * int64(j.Shared) << 20}
	if j.short() == "nap" { // with the real clock it takes its time
		cfg.Sandbox.Grants = map[string]host.Grants{"tasks": {Clock: true}}
	}
	if j.Memo {
		cfg.Memo = memo.New(filepath.Join(os.TempDir(), "memo"), memo.Config{})
	}
	return executor.Run(ctx, cfg, func(ctx context.Context, ex *executor.Executor) error {
		m, err := wasmtasks.Build(ctx, j.Guest)
		if err != nil {
			return err
		}
		if err := errors.Join(ex.Load(m), ex.WaitReady(ctx)); err != nil {
			return err
		}
		st, err := ex.Stats(ctx)
		if err != nil {
			return err
		}
		pids := []int{os.Getpid()}
		for _, w := range st.Workers {
			pids = append(pids, w.PID)
		}
		in, err := j.share(ctx, ex)
		defer in.remove()
		if err != nil {
			return err
		}
		say("pids", pids)
		out, err := j.work(ctx, ex, pids[1:], in)
		say("outcome", out)
		if err == nil && (out.Wrong > 0 || out.Right != j.Calls) {
			err = fmt.Errorf("%d of %d results are right", out.Right, j.Calls)
		}
		return err
	})
}

// say prints a line for who started the job.
func say(what string, v any) {
	text, err := json.Marshal(v)
	if err != nil {
		text = []byte(err.Error())
	}
	fmt.Printf("%s %s\n", what, text)
}

func (j *job) work(ctx context.Context, ex *executor.Executor, workers []int, in *input) (outcome, error) {
	var out outcome
	began := time.Now()
	var killing sync.WaitGroup
	var mu sync.Mutex
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	for _, i := range rand.Perm(len(workers))[:j.Kill] {
		killing.Go(func() {
			noticed := j.kill(ctx, ex, i, workers[i])
			mu.Lock()
			defer mu.Unlock()
			if noticed > 0 {
				out.NoticedMS = append(out.NoticedMS, float64(noticed.Microseconds())/1000)
			}
		})
	}
	var killErr error
	if j.KillWhile != "" {
		killing.Go(func() { killErr = j.killWhile(ctx, ex, workers, in) })
	}
	seen := make([]int, j.Calls)
	err := j.collect(ctx, ex, in, seen, &out)
	killing.Wait()
	err = errors.Join(err, killErr)
	if st, statErr := ex.Stats(ctx); statErr == nil {
		if in != nil {
			out.Sent = float64(st.Shared) / float64(in.blob.Len())
		}
		for _, w := range st.Workers {
			if w.Lost {
				out.Lost++
			}
		}
	}
	for i, n := range seen {
		if n != 1 && err == nil {
			err = fmt.Errorf("call %d has %d results", i, n)
		}
	}
	out.Seconds = time.Since(began).Seconds()
	return out, err
}

// collect runs the long calls and, beside them, the short ones.
func (j *job) collect(ctx context.Context, ex *executor.Executor, in *input, seen []int, out *outcome) error {
	began := time.Now()
	var opts []executor.CallOption
	if in != nil {
		opts = append(opts, executor.With("in", in.blob))
	}
	if j.Memo {
		opts = append(opts, executor.Pure())
	}
	var mapOpts []executor.MapOption
	for _, o := range opts {
		mapOpts = append(mapOpts, o)
	}
	var long []*executor.Future
	for i := range j.Long {
		long = append(long, ex.Submit(ctx, "compute", argument(j.LongSteps, i), opts...))
	}
	take := func(got []byte, err error, want int, in *input) error {
		if err != nil {
			return fmt.Errorf("call %d: %w", want, err)
		}
		if !in.right(got, uint64(want)) {
			out.Wrong++
			return nil
		}
		out.Right++
		seen[want]++
		return nil
	}
	i := j.Long
	for got, err := range ex.Map(ctx, j.short(), j.naps(), mapOpts...) {
		if i == j.Long {
			out.First = time.Since(began).Seconds()
		}
		if err := take(got, err, i, in); err != nil {
			return err
		}
		i++
	}
	for i, f := range long {
		got, err := f.Result(ctx)
		if err := take(got, err, i, nil); err != nil {
			return err
		}
	}
	return nil
}

// naps are the arguments of the short calls: for how many microseconds each sleeps, or how many steps it
// computes, which takes about as long.
func (j *job) naps() iter.Seq[[]byte] {
	n := uint64(j.Nap.Microseconds())
	if j.short() != "nap" {
		n = uint64(j.Nap.Nanoseconds())
	}
	return func(yield func([]byte) bool) {
		for i := j.Long; i < j.Calls; i++ {
			if !yield(argument(n, i)) {
				return
			}
		}
	}
}

func argument(n uint64, id int) []byte {
	return binary.LittleEndian.AppendUint64(binary.LittleEndian.AppendUint64(nil, n), uint64(id))
}

// kill sends a worker the signal at a random moment, and returns how long it took
// until it was lost; 0 when the job was over before.
func (j *job) kill(ctx context.Context, ex *executor.Executor, index, pid int) time.Duration {
	time.Sleep(rand.N(j.Within))
	if ctx.Err() != nil || syscall.Kill(pid, j.Signal) != nil {
		return 0
	}
	for began := time.Now(); ; time.Sleep(time.Millisecond) {
		st, err := ex.Stats(ctx)
		if err != nil || time.Since(began) > 2*j.LostAfter+10*time.Second {
			return 0
		}
		if st.Workers[index].Lost {
			return time.Since(began)
		}
	}
}
