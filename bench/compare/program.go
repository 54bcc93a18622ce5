package main

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/wasmpool/wasmpool/internal/bench"
)

// The tools. Those in Python are named by their files in bench/peers.
const (
	ours        = "wasmpool"
	floor       = "echo"
	futex       = "futex"
	mpi4py      = "mpi4py_futures.py"
	schwimmbad  = "schwimmbad_pool.py"
	processPool = "process_pool.py"
)

// programTimeout bounds one run of a program.
const programTimeout = 5 * time.Minute

// A program is one of those that take turns. It prints lines of JSON as
// wasmpool bench does.
type program struct {
	subject string // what its figures are listed under
	tool    string
	ranks   int // 0 starts it without MPI
	copies  int // how many run at once, their figures added up; 0 is one
	args    []string
	env     []string

	// timed makes its only figure the milliseconds to its first output.
	timed bool
}

// run runs the program and returns its figures.
func (p program) run(ctx context.Context, t *tools) ([]bench.Result, error) {
	copies := max(p.copies, 1)
	outputs, errs := make([]output, copies), make([]error, copies)
	var all sync.WaitGroup
	for i := range copies {
		all.Go(func() { outputs[i], errs[i] = p.runOnce(ctx, t) })
	}
	all.Wait()
	var sum []bench.Result
	for i, out := range outputs {
		if errs[i] != nil {
			return nil, errs[i]
		}
		if p.timed {
			return []bench.Result{{Case: "start", Value: float64(out.first.Microseconds()) / 1e3, Unit: "ms", Ranks: p.ranks}}, nil
		}
		results, err := parse(out.text)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.subject, err)
		}
		if sum == nil {
			sum = results
			continue
		}
		for j := range sum {
			sum[j].Value += results[j].Value
		}
	}
	return sum, nil
}

// output is what a program wrote.
type output struct {
	text  []byte
	first time.Duration // when its first byte came
}

func (p program) runOnce(ctx context.Context, t *tools) (output, error) {
	ctx, cancel := context.WithTimeout(ctx, programTimeout)
	defer cancel()
	line := t.command(p)
	cmd := exec.CommandContext(ctx, line[0], line[1:]...)
	cmd.Env = append(os.Environ(), p.env...)
	cmd.WaitDelay = 5 * time.Second
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) } // mpirun then ends the ranks
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return output{}, err
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return output{}, err
	}
	reader := bufio.NewReader(stdout)
	reader.Peek(1) //nolint:errcheck // ReadAll will say it
	out := output{first: time.Since(start)}
	out.text, err = io.ReadAll(reader)
	if waitErr := cmd.Wait(); waitErr != nil {
		if ctx.Err() != nil {
			waitErr = ctx.Err()
		}
		const most = 500 // mpirun adds a page of its own
		return out, fmt.Errorf("%s: %w\n%.*s", strings.Join(line, " "), waitErr, most, stderr.Bytes())
	}
	return out, err
}

// parse reads lines of JSON.
func parse(text []byte) ([]bench.Result, error) {
	var results []bench.Result
	dec := json.NewDecoder(bytes.NewReader(text))
	for dec.More() {
		var r bench.Result
		if err := dec.Decode(&r); err != nil {
			return nil, err
		}
		results = append(results, r)
	}
	if len(results) == 0 {
		return nil, fmt.Errorf("no results in %q", text)
	}
	return results, nil
}
