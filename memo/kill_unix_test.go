//go:build unix

package memo_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/memo"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

const (
	// killedVar has the folder of a root that is to be killed.
	killedVar = "WASMPOOL_TEST_MEMO_ROOT"

	// killsVar says how often it is, 6 times by default.
	killsVar = "WASMPOOL_MEMO_KILLS"

	killedCalls = 1000
)

func init() {
	if dir := os.Getenv(killedVar); dir != "" {
		rootToKill = func() error { return killedRoot(dir) }
	}
}

// slowWAT has a task that takes a while and gives 40 bytes for each byte of its argument, so that some results have files of their own.
const slowWAT = `(module
	(import "wasmpool" "input_len" (func $len (result i32)))
	(import "wasmpool" "input_read" (func $read (param i32 i32 i32) (result i32)))
	(import "wasmpool" "output_write" (func $write (param i32 i32)))
	(memory (export "memory") 2)
	(func (export "slow") (result i32) (local $i i32)
	  (drop (call $read (i32.const 0) (i32.const 0) (call $len)))
	  (loop $on
	    (local.set $i (i32.add (local.get $i) (i32.const 1)))
	    (br_if $on (i32.lt_u (local.get $i) (i32.const 400000))))
	  (call $write (i32.const 0) (i32.mul (i32.const 40) (call $len))) (i32.const 0)))`

// killedArg is the i-th argument.
func killedArg(i int) []byte { return bytes.Repeat(strconv.AppendInt(nil, int64(i), 10), 1+i%5) }

// killedRoot is the root that is killed: it maps, and after each fifty results says in a file which are on the disk. It fails where one of those that an
// earlier one has said so of runs again.
func killedRoot(dir string) error {
	text, err := os.ReadFile(filepath.Join(dir, "acknowledged"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	durable := map[int]bool{}
	for word := range strings.FieldsSeq(string(text)) {
		i, err := strconv.Atoi(word)
		if err != nil {
			return err
		}
		durable[i] = true
	}
	said, err := os.OpenFile(filepath.Join(dir, "acknowledged"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer said.Close()
	wasm, err := os.ReadFile(filepath.Join(dir, "slow.wasm"))
	if err != nil {
		return err
	}
	m, err := wasmtasks.Load("m", wasm)
	if err != nil {
		return err
	}
	ctx := context.Background()
	store := memo.New(filepath.Join(dir, "memo"), memo.Config{Large: 500, Logger: slog.New(slog.DiscardHandler)})
	cfg := executor.Config{Modules: []*wasmtasks.Module{m}, Memo: store, RootSlots: 2, Sandbox: host.Config{Isolation: host.IsolationReset, CacheDir: filepath.Join(dir, "cache")}}
	return executor.Run(ctx, cfg, func(ctx context.Context, ex *executor.Executor) error {
		results := make([][]byte, killedCalls)
		var fresh []byte
		n := 0
		args := func(yield func([]byte) bool) {
			for i := range killedCalls {
				if !yield(killedArg(i)) {
					return
				}
			}
		}
		for i, o := range ex.MapIndexed(ctx, "slow", args) {
			if o.Err != nil {
				return o.Err
			}
			results[i] = o.Result
			if !o.Info.Found && durable[int(i)] {
				return fmt.Errorf("call %d ran again, which was on the disk", i)
			}
			fresh = append(strconv.AppendInt(fresh, i, 10), '\n')
			if n++; n%50 != 0 {
				continue
			}
			if err := store.Sync(ctx); err != nil {
				return err
			}
			if _, err := said.Write(fresh); err != nil {
				return err
			}
			fresh = fresh[:0]
		}
		return os.WriteFile(filepath.Join(dir, "results"), bytes.Join(results, []byte("\n")), 0o600)
	})
}

// killAtWork kills a root at some moment after it has written to the file, or, sometimes, after its start. It returns when that was, or the root has ended.
func killAtWork(root *os.Process, file string, ended <-chan struct{}) {
	size := func() int64 {
		info, err := os.Stat(file)
		if err != nil {
			return 0
		}
		return info.Size()
	}
	for before, waits := size(), rand.N(4) > 0; waits && size() == before; {
		select {
		case <-ended:
			return
		case <-time.After(time.Millisecond):
		}
	}
	select {
	case <-ended:
	case <-time.After(rand.N(500 * time.Millisecond)):
		root.Kill() //nolint:errcheck // it may have ended
	}
}

// A root is killed at random moments, and started again as it is until it is done: its results are those of one that nobody has
// disturbed, and nothing runs again that was on the disk.
func TestKilled(t *testing.T) {
	t.Parallel()
	kills := 6
	if text := os.Getenv(killsVar); text != "" {
		var err error
		if kills, err = strconv.Atoi(text); err != nil {
			t.Fatal(err)
		}
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "slow.wasm"), unittest.Assemble(t, slowWAT), 0o600); err != nil {
		t.Fatal(err)
	}
	killed, began := 0, time.Now()
	for done, round := false, 0; killed < kills || !done; round++ {
		if done { // too fast: once more, from the beginning
			for _, name := range []string{"acknowledged", "results", "memo"} {
				if err := os.RemoveAll(filepath.Join(dir, name)); err != nil {
					t.Fatal(err)
				}
			}
		}
		if round > 40*kills {
			t.Fatalf("%d kills in %d rounds", killed, round)
		}
		cmd := exec.Command(os.Args[0]) //nolint:gosec // this very program
		cmd.Env = append(os.Environ(), killedVar+"="+dir)
		var said bytes.Buffer
		cmd.Stderr = &said
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan struct{})
		if killed < kills {
			go killAtWork(cmd.Process, filepath.Join(dir, "acknowledged"), ended)
		}
		err := cmd.Wait()
		close(ended)
		done = err == nil
		if exit := new(exec.ExitError); errors.As(err, &exit) && exit.ExitCode() >= 0 || err != nil && exit == nil {
			t.Fatalf("round %d: %v: %s", round, err, &said)
		} else if err != nil {
			killed++
		}
	}
	var want [][]byte
	for i := range killedCalls {
		out := make([]byte, 40*len(killedArg(i)))
		copy(out, killedArg(i))
		want = append(want, out)
	}
	got, err := os.ReadFile(filepath.Join(dir, "results"))
	if err != nil || !bytes.Equal(got, bytes.Join(want, []byte("\n"))) {
		t.Errorf("after %d kills the results are others: %v", killed, err)
	}
	f, err := memo.Read(filepath.Join(dir, "memo"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if damaged, err := f.Damaged(t.Context()); err != nil || len(damaged) > 0 || f.Len() != killedCalls {
		t.Errorf("%d entries, damaged are %v, %v", f.Len(), damaged, err)
	}
	t.Logf("%d kills in %v", killed, time.Since(began).Round(time.Second))
}
