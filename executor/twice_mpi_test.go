//go:build mpi

package executor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/mpitest"
)

// twiceVar says what the root of TestDuplicatesOnRanks sends to workers.
const twiceVar = "WASMPOOL_TEST_TWICE"

// twiceLostAfter is longer than all maps of a test take: no stopped worker is lost before.
const twiceLostAfter = time.Minute

// mapOf is how many calls a map has.
const mapOf = 200

func init() {
	if os.Getenv(twiceVar) != "" {
		instead = mapBesideStopped
		inner = executor.Config{Slots: 1, Speculate: true, LostAfter: twiceLostAfter, Sandbox: host.Config{Isolation: host.IsolationReset}}
	}
}

// TestDuplicatesOnRanks stops a worker, that holds one of a hundred calls of a map, with SIGSTOP: the map ends within twice the
// time that it takes otherwise, each call has its result, and the job ends without waiting for that worker to be lost. Then the same, and
// another worker is killed.
func TestDuplicatesOnRanks(t *testing.T) {
	for _, signals := range []string{"stop", "stop and kill"} {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
		cmd := mpitest.CommandFlags(ctx, t, 5, []string{"--enable-recovery"}, mpitest.Tests(t))
		cmd.Env = append(cmd.Environ(), mpitest.InnerRun+"=1", twiceVar+"="+signals)
		out, err := cmd.CombinedOutput()
		took, over := 0*time.Second, time.Now()
		if i := strings.LastIndex(string(out), "all is well at "); i >= 0 {
			if at, parseErr := time.Parse(time.RFC3339Nano, strings.Fields(string(out)[i:])[4]); parseErr == nil {
				took = over.Sub(at)
			}
		}
		if err != nil || took == 0 || took > twiceLostAfter/2 {
			t.Errorf("%s: %v, the end took %v\n%s", signals, err, took, out)
		}
		t.Logf("%s: the end took %v\n%s", signals, took, out)
		cancel()
	}
}

// mapBesideStopped maps, with all workers and then with one that is stopped in the middle.
func mapBesideStopped(ctx context.Context, ex *executor.Executor) error {
	if err := errors.Join(ex.Load(tasks), ex.WaitReady(ctx)); err != nil {
		return err
	}
	st, err := ex.Stats(ctx)
	if err != nil {
		return err
	}
	stopped, killed := st.Workers[1].PID, 0
	if strings.Contains(os.Getenv(twiceVar), "kill") {
		killed = st.Workers[2].PID
	}
	if _, err := timeMap(ctx, ex, func(int) {}); err != nil { // modules are loaded, and it is known how long a call takes
		return err
	}
	best := 100.0
	for range 3 {
		without, err := timeMap(ctx, ex, func(int) {})
		if err != nil {
			return err
		}
		with, err := timeMap(ctx, ex, func(i int) {
			if i == mapOf/2 {
				syscall.Kill(stopped, syscall.SIGSTOP) //nolint:errcheck // the map shows it
			}
			if i == mapOf*3/4 && killed > 0 {
				syscall.Kill(killed, syscall.SIGKILL) //nolint:errcheck // likewise
				killed = 0
			}
		})
		if err != nil {
			return err
		}
		best = min(best, float64(with)/float64(without))
		fmt.Printf("%v without, %v with a stopped worker\n", without, with)
		if best <= 2 {
			break
		}
		syscall.Kill(stopped, syscall.SIGCONT) //nolint:errcheck // the next map shows it
	}
	st, err = ex.Stats(ctx)
	switch {
	case err != nil:
		return err
	case best > 2:
		return fmt.Errorf("with a stopped worker a map took %.1f times as long", best)
	case st.Duplicated == 0 || st.Workers[1].Lost || st.Failed > 0:
		return fmt.Errorf("%+v", st)
	}
	fmt.Printf("%d calls, %d started twice, %.2f times as long; all is well at %s\n", st.Done, st.Duplicated, best, time.Now().Format(time.RFC3339Nano))
	return nil
}

// timeMap maps mapOf calls, of which some have long arguments, and checks the results. It calls at before each argument.
func timeMap(ctx context.Context, ex *executor.Executor, at func(int)) (time.Duration, error) {
	begin := time.Now()
	arg := func(i int) []byte {
		if i%20 == 7 {
			return append(number(5_000), bytes.Repeat([]byte{byte(i)}, 100<<10)...)
		}
		return append(number(5_000), byte(i), byte(i>>8))
	}
	args := func(yield func([]byte) bool) {
		for i := range mapOf {
			at(i)
			if !yield(arg(i)) {
				return
			}
		}
	}
	i := 0
	for got, err := range ex.Map(ctx, "burn", args) {
		if err != nil || !bytes.Equal(got, arg(i)) {
			return 0, fmt.Errorf("element %d: %d bytes, %w", i, len(got), err)
		}
		i++
	}
	if i != mapOf {
		return 0, fmt.Errorf("%d results", i)
	}
	return time.Since(begin), nil
}
