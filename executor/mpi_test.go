//go:build mpi

package executor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/mpitest"
)

func init() {
	switch {
	case os.Getenv("WASMPOOL_TEST_KILL") != "":
		instead = mapAndKill
	case os.Getenv("WASMPOOL_TEST_SOME") != "":
		instead, inner.Ranks, inner.Sandbox.Grants = sayWhoIsThere, []int{2, 0}, grantsByName
	case os.Getenv(differsVar) != "":
		instead, inner.Sandbox.Initializer = callOnce, "init"
		switch rank, _ := executor.LaunchRank(); {
		case rank > 0:
		case os.Getenv(differsVar) == "Ranks":
			inner.Ranks = []int{0, 1}
		default:
			inner.Sandbox.InitArg = []byte("for the root alone")
		}
	case os.Getenv(rootVar) != "":
		instead = endRoot
	case os.Getenv(movesVar) != "":
		instead, inner.Slots, inner.ResultBytes = movePayloads, 4, 24<<20
	case os.Getenv(shareVar) != "":
		instead, inner.Slots, inner.SharedDir = readOnRanks, 2, os.Getenv(shareDirVar)
	case os.Getenv(inputsVar) != "":
		inner.Memo, inner.VerifyMemo = &mapMemo{results: map[[32]byte][]byte{}}, 1
		inner.Sandbox.Isolation = host.IsolationReset
		inner.Shared = map[string]executor.Source{"everywhere": executor.FromBytes(make([]byte, 5<<20))}
	case os.Getenv(pausesVar) != "":
		instead, inner.Slots = pauseBetweenCalls, 2
	}
}

// TestRanks runs the contract's tests again on the root of 1, 2 and 4 ranks: on two with a shared input in each call and a memo, against
// which each result that was there before is verified.
func TestRanks(t *testing.T) {
	mpitest.Again(t, []int{1, 4}, "shape", "sound")
	t.Setenv(inputsVar, "1")
	mpitest.Again(t, []int{2}, "shape", "sound")
}

// TestWorkerKilled kills a worker rank with SIGKILL, under an mpirun that lets
// the others go on: all calls are answered and the job ends.
func TestWorkerKilled(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := mpitest.CommandFlags(ctx, t, 4, []string{"--enable-recovery"}, mpitest.Tests(t))
	cmd.Env = append(cmd.Environ(), mpitest.InnerRun+"=1", "WASMPOOL_TEST_KILL=1")
	out, err := cmd.CombinedOutput()
	if err != nil || !strings.Contains(string(out), "20000 answered, worker lost: true") {
		t.Errorf("%v\n%s", err, out)
	}
}

// rootVar says how the root function of TestRootEndsOnRanks ends.
const rootVar = "WASMPOOL_TEST_ROOT"

// endRoot ends in a way that is not a return, with a call under way that never ends.
func endRoot(ctx context.Context, ex *executor.Executor) error {
	if err := ex.Load(tasks); err != nil {
		return err
	}
	f := ex.Submit(ctx, "forever", nil)
	for f.State() != executor.Running && ctx.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	if os.Getenv(rootVar) == "exit" {
		runtime.Goexit()
	}
	panic("a bad root")
}

// TestRootEndsOnRanks checks that a job ends when its root function panics or ends its
// goroutine.
func TestRootEndsOnRanks(t *testing.T) {
	bin := mpitest.Tests(t)
	for end, want := range map[string]string{"panic": "panic: a bad root", "exit": "the root function ended its goroutine"} {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
		cmd := mpitest.Command(ctx, t, 3, bin)
		cmd.Env = append(cmd.Environ(), mpitest.InnerRun+"=1", rootVar+"="+end)
		out, err := cmd.CombinedOutput()
		if err == nil || ctx.Err() != nil || !strings.Contains(string(out), want) || strings.Contains(string(out), "the root is lost") {
			t.Errorf("%s: %v\n%s", end, err, out)
		}
		cancel()
	}
}

// differsVar gives the root of TestDifferentConfigOnRanks another Config than the worker.
const differsVar = "WASMPOOL_TEST_DIFFERS"

// callOnce makes a call.
func callOnce(ctx context.Context, ex *executor.Executor) error {
	if err := ex.Load(tasks); err != nil {
		return err
	}
	_, err := ex.Call(ctx, "echo", nil)
	return err
}

// TestDifferentConfigOnRanks gives a setting to the root alone: the job ends, and says which.
func TestDifferentConfigOnRanks(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	bin := mpitest.Tests(t)
	for field, want := range map[string]string{
		"InitArg": "executor: Config.Sandbox.InitArg of rank 1 on ",
		"Ranks":   "give all of them the same Config, with the same Ranks",
	} {
		cmd := mpitest.Command(ctx, t, 2, bin)
		cmd.Env = append(cmd.Environ(), mpitest.InnerRun+"=1", differsVar+"="+field)
		out, err := cmd.CombinedOutput()
		if err == nil || ctx.Err() != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: %v\n%s\nwant %q", field, err, out, want)
		}
	}
}

// TestSomeRanks has two of four ranks take part, and not rank 0 as the root.
func TestSomeRanks(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := mpitest.Command(ctx, t, 4, mpitest.Tests(t))
	cmd.Env = append(cmd.Environ(), mpitest.InnerRun+"=1", "WASMPOOL_TEST_SOME=1")
	out, err := cmd.CombinedOutput()
	const want = "the root was started as rank 2 and has 1 worker: 144"
	if err != nil || strings.Count(string(out), want) != 1 {
		t.Errorf("got %v and %q, want %q once", err, out, want)
	}
}

func sayWhoIsThere(ctx context.Context, ex *executor.Executor) error {
	if err := ex.Load(tasks); err != nil {
		return err
	}
	out, err := ex.Call(ctx, "echo", []byte("144"))
	if err != nil {
		return err
	}
	if err := callByName(ctx, ex); err != nil {
		return err
	}
	rank, _ := executor.LaunchRank()
	fmt.Printf("the root was started as rank %d and has %d worker: %s\n", rank, ex.NumWorkers(), out)
	return nil
}

// someLong returns an argument of its own for each number: one in 20 is a payload.
func someLong(n int) []byte {
	if n%20 == 0 {
		return bytes.Repeat(number(n), 10<<10)
	}
	return number(n)
}

// mapAndKill kills one of the workers while it maps, and checks every result.
func mapAndKill(ctx context.Context, ex *executor.Executor) error {
	if err := errors.Join(ex.Load(tasks), ex.WaitReady(ctx)); err != nil {
		return err
	}
	i := 0
	args := func(yield func([]byte) bool) {
		for i := range 20_000 {
			if i == 5_000 {
				st, err := ex.Stats(ctx)
				if err == nil {
					err = syscall.Kill(st.Workers[1].PID, syscall.SIGKILL)
				}
				if err != nil {
					panic(err)
				}
			}
			if !yield(someLong(i)) {
				return
			}
		}
	}
	for got, err := range ex.Map(ctx, "echo", args) {
		if err != nil || !bytes.Equal(got, someLong(i)) {
			return fmt.Errorf("element %d: %d bytes, %w", i, len(got), err)
		}
		i++
	}
	st, err := ex.Stats(ctx)
	if err != nil {
		return err
	}
	fmt.Printf("%d answered, worker lost: %t\n", i, st.Workers[1].Lost)
	return nil
}
