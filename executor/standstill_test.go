//go:build mpi && linux

package executor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/mpitest"
	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// standsVar says what standStill does, and its modules.
const standsVar = "WASMPOOL_TEST_STANDS"

// standsAfter is the LostAfter of standStill.
const standsAfter = 2 * time.Second

func init() {
	switch os.Getenv(standsVar) {
	case "":
		return
	case "a worker":
		debug.SetGCPercent(-1) // no collection finds the guest
	case "a worker at a collection":
		go func() {
			for {
				runtime.GC()
				time.Sleep(10 * time.Millisecond)
			}
		}()
	case "the root":
		inner.RootSlots = 1
	}
	instead, inner.Slots, inner.LostAfter = standStill, 2, standsAfter
	inner.Sandbox.Grants = map[string]host.Grants{"waits": {Clock: true}}
}

// spinsWAT computes without an end, and "rootspin" on the root only; the program is built
// so that it gets no ticks.
const spinsWAT = `(module
	(import "wasmpool" "call_meta" (func $meta (param i32) (result i64)))
	(func $spin (export "spin") (loop (br 0)))
	(func (export "rootspin") (if (i64.eqz (call $meta (i32.const 2))) (then (call $spin)))))`

// waitsWAT sleeps for so many nanoseconds, by a real clock.
const waitsWAT = `(module
	(import "wasi_snapshot_preview1" "poll_oneoff" (func $poll (param i32 i32 i32 i32) (result i32)))
	(memory (export "memory") 1)
	(func (export "wait") (param i64) (result i32)
		(i32.store (i32.const 16) (i32.const 1))
		(i64.store (i32.const 24) (local.get 0))
		(call $poll (i32.const 0) (i32.const 64) (i32.const 1) (i32.const 128))))`

// TestStandstill has a guest that computes without a tick, in a worker and in the root.
// A worker is lost with it, whether a garbage collection waits for the guest or not: its
// other calls run elsewhere. A root ends, and its workers leave. Nobody is lost before,
// over calls that wait, CPUs that are busy, or a job that was stopped as a whole.
func TestStandstill(t *testing.T) {
	bin := mpitest.BuildTest(t, "-ldflags=-X github.com/wasmpool/wasmpool/internal/compile.letThrough=spins")
	spins, waits := unittest.AssembleFile(t, "spins", spinsWAT), unittest.AssembleFile(t, "waits", waitsWAT)
	for _, tt := range []struct {
		name  string
		ranks int
		says  []string
	}{
		{"a worker", 3, []string{"all is well", `running="call `, "of spins.spin", "a guest does not let it go on"}},
		{"a worker at a collection", 3, []string{"all is well", `running="call `, "of spins.spin", "a guest does not let it go on"}},
		{"the root", 2, []string{"this rank stands still for too long; it is ended now", "the root is lost"}},
	} {
		if testing.Short() && tt.name != "a worker" {
			continue
		}
		t.Run(tt.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			cmd := mpitest.CommandFlags(ctx, t, tt.ranks, []string{"--enable-recovery"}, bin)
			cmd.Env = append(cmd.Environ(), mpitest.InnerRun+"=1", standsVar+"="+tt.name, "SPINS="+spins, "WAITS="+waits)
			out, err := cmd.CombinedOutput()
			if ctx.Err() != nil || tt.name != "the root" && err != nil {
				t.Errorf("%v\n%s", err, out)
			}
			for _, want := range tt.says {
				if !bytes.Contains(out, []byte(want)) {
					t.Errorf("%q is not in\n%s", want, out)
				}
			}
			for line := range strings.Lines(string(out)) {
				if strings.Contains(line, "after the guest began") {
					t.Log(strings.TrimSpace(line))
				}
			}
		})
	}
}

// standStill is what the root of TestStandstill does.
func standStill(ctx context.Context, ex *executor.Executor) error {
	for _, name := range []string{"SPINS", "WAITS"} {
		m, err := wasmtasks.LoadFile(os.Getenv(name))
		if err == nil {
			err = ex.Load(m)
		}
		if err != nil {
			return err
		}
	}
	if err := errors.Join(ex.Load(tasks), ex.WaitReady(ctx)); err != nil {
		return err
	}
	if os.Getenv(standsVar) == "a worker" {
		if err := loseNobody(ctx, ex); err != nil {
			return err
		}
	}
	for inner.RootSlots > 0 { // until the root runs one
		if _, err := ex.Call(ctx, "spins.rootspin", nil); err != nil {
			return err
		}
	}
	var others []*executor.Future
	for range 300 {
		others = append(others, ex.Submit(ctx, "burn", number(3_000)))
	}
	began := time.Now()
	spin := ex.Submit(ctx, "spins.spin", nil, executor.Retries(executor.RetryPolicy{Workers: 1}), executor.Priority(1))
	_, err := spin.Result(ctx)
	took := time.Since(began).Round(time.Millisecond)
	fmt.Printf("lost %v after the guest began, LostAfter is %v\n", took, standsAfter)
	if !errors.Is(err, executor.ErrWorkerLost) || took > 15*standsAfter {
		return fmt.Errorf("the call that stands still ended after %v with %w", took, err)
	}
	for _, f := range others {
		if got, err := f.Result(ctx); err != nil || !bytes.Equal(got, number(3_000)) {
			return fmt.Errorf("another call: %x, %w", got, err)
		}
	}
	st, err := ex.Stats(ctx)
	if err != nil {
		return err
	}
	for _, w := range st.Workers {
		for end := time.Now().Add(20 * time.Second); w.Lost && syscall.Kill(w.PID, 0) == nil; time.Sleep(10 * time.Millisecond) {
			if time.Now().After(end) {
				return fmt.Errorf("the process of rank %d is still there", w.Rank)
			}
		}
	}
	fmt.Println("all is well")
	return nil
}

// loseNobody does what must not lose a worker.
func loseNobody(ctx context.Context, ex *executor.Executor) error {
	waits := ex.Submit(ctx, "waits.wait", fmt.Appendf(nil, "%d", 3*standsAfter/2))
	burn := ex.Submit(ctx, "burn", number(500_000))
	if err := stopJob(ctx, ex); err != nil {
		return err
	}
	out, err := waits.Result(ctx)
	if _, burnErr := burn.Result(ctx); err != nil || burnErr != nil || string(out) != "0" {
		return fmt.Errorf("a call that sleeps: %q, %w", out, errors.Join(err, burnErr))
	}
	st, err := ex.Stats(ctx)
	for _, w := range st.Workers {
		if w.Lost {
			err = errors.Join(err, fmt.Errorf("rank %d is lost", w.Rank))
		}
	}
	return err
}

// stopJob stops all processes of the job, the root's included, for longer than
// LostAfter.
func stopJob(ctx context.Context, ex *executor.Executor) error {
	st, err := ex.Stats(ctx)
	if err != nil {
		return err
	}
	pids := fmt.Sprint(os.Getpid())
	for _, w := range st.Workers {
		if w.PID != os.Getpid() {
			pids += fmt.Sprint(" ", w.PID)
		}
	}
	script := fmt.Sprintf("kill -STOP %s; sleep %f; kill -CONT %s", pids, (3 * standsAfter / 2).Seconds(), pids)
	return exec.CommandContext(ctx, "sh", "-c", script).Run()
}
