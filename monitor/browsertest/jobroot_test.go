package browsertest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/monitor"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// jobEnv is set in the environment of ranks, which run a job in place of tests. It has the name of the report's file.
const jobEnv = "WASMPOOL_TEST_JOB"

// runJob is what a rank does. It returns the code to exit with.
func runJob() int {
	cfg := executor.Config{Slots: 4, Sandbox: host.Config{Grants: map[string]host.Grants{host.EveryModule: {Clock: true}}}}
	err := executor.Run(context.Background(), cfg, func(ctx context.Context, ex *executor.Executor) error {
		j := job{ex: ex}
		j.total.Store(-1)
		return j.run(ctx)
	})
	if err != nil && !errors.Is(err, executor.ErrDrained) {
		fmt.Fprintln(os.Stderr, err)
		return executor.ExitCode(err)
	}
	return 0
}

// A job makes calls as standard input says, a line at a time:
//
//	total N             says how many there will be
//	TASK N MS [FAIL]    submits N calls, which take about so many milliseconds
//	kill                kills what runs
type job struct {
	ex           *executor.Executor
	total        atomic.Int64
	done, failed atomic.Uint64
	pending      sync.WaitGroup
	field        int
}

// run prints the link to the page, does what it is told, and leaves a report.
func (j *job) run(ctx context.Context) error {
	tasks, err := wasmtasks.Build(ctx, "testdata/tasks")
	if err == nil {
		err = j.ex.Load(tasks)
	}
	if err != nil {
		return err
	}
	seen := context.WithoutCancel(ctx) // ctx ends when a drained pool has
	m, err := monitor.New(seen, j.ex, monitor.Config{
		Title: "galaxies: sample, simulate, fit", Progress: j.progress, Drain: func(string) { j.ex.Drain() },
		Name: func(call uint64) string { return fmt.Sprintf("fields/%04d.fits", call) },
	})
	if err != nil {
		return err
	}
	server, err := monitor.Serve(seen, "", m)
	if err != nil {
		return errors.Join(err, m.Close())
	}
	fmt.Println(server.URL())
	err = j.obey(ctx)
	m.End("it is done, as far as it was not drained")
	return errors.Join(err, m.Close(), j.report(m), server.Close())
}

// report leaves the report.
func (j *job) report(m *monitor.Monitor) error {
	f, err := os.Create(os.Getenv(jobEnv))
	if err != nil {
		return err
	}
	return errors.Join(m.WriteReport(f), f.Close())
}

func (j *job) progress() monitor.Progress {
	return monitor.Progress{Total: j.total.Load(), Done: j.done.Load(), Failed: j.failed.Load()}
}

// obey does what standard input says, and waits until all calls have ended.
func (j *job) obey(ctx context.Context) error {
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		var what, fail string
		var n, ms int
		fmt.Sscan(in.Text(), &what, &n, &ms, &fail) //nolint:errcheck // the last ones may be missing
		switch what {
		case "total":
			j.total.Store(int64(n))
		case "kill":
			if _, err := j.ex.KillAll(ctx, "the job is over"); err != nil {
				return err
			}
		default:
			j.submit(ctx, what, n, ms, fail)
		}
	}
	j.pending.Wait()
	return nil
}

// submit makes calls.
func (j *job) submit(ctx context.Context, task string, n, ms int, fail string) {
	for range n {
		j.field++
		arg, err := json.Marshal(map[string]any{"Field": j.field, "Sleep": ms * (50 + j.field*37%100) / 100, "Fail": fail})
		if err != nil {
			continue // it has nothing that cannot be JSON
		}
		j.pending.Add(1)
		j.ex.Submit(ctx, task, arg, executor.Tags("plate-"+strconv.Itoa(j.field%7))).OnDone(func(f *executor.Future) {
			defer j.pending.Done()
			switch err := f.Err(context.Background()); {
			case err == nil:
				j.done.Add(1)
			case errors.As(err, new(*executor.TaskError)):
				j.failed.Add(1)
			}
		})
	}
}
