//go:build mpi

package executor_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/internal/mpitest"
	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// movesVar names the module of movePayloads.
const movesVar = "WASMPOOL_TEST_MOVES"

// movesWAT has fill, whose argument is a length and the byte of which it returns so
// many, and deaf, which does not read its argument.
const movesWAT = `(module
  (import "wasmpool" "input_read" (func $read (param i32 i32 i32) (result i32)))
  (import "wasmpool" "input_len" (func $len (result i32)))
  (import "wasmpool" "output_write" (func $write (param i32 i32)))
  (memory (export "memory") 600)
  (func (export "fill") (result i32)
    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 5)))
    (memory.fill (i32.const 64) (i32.load8_u (i32.const 4)) (i32.load (i32.const 0)))
    (call $write (i32.const 64) (i32.load (i32.const 0))) (i32.const 0))
  (func (export "deaf") (result i32) (i32.const 0)))`

// TestMessages moves payloads as between nodes, in messages of MPI, which leave before
// anybody has asked for them where they are short, and over its TCP as well.
func TestMessages(t *testing.T) {
	module, bin := unittest.AssembleFile(t, "moves", movesWAT), mpitest.Tests(t)
	for name, flags := range map[string][]string{
		"memory": nil,
		"tcp":    {"--mca", "btl", "tcp,self"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			cmd := mpitest.CommandFlags(ctx, t, 3, flags, bin)
			cmd.Env = append(cmd.Environ(), mpitest.InnerRun+"=1", movesVar+"="+module, "OMPI_MCA_btl_vader_single_copy_mechanism=none")
			began := time.Now()
			out, err := cmd.CombinedOutput()
			var failed *exec.ExitError
			if !errors.As(err, &failed) || !strings.Contains(string(out), errEnough.Error()) || strings.Contains(string(out), "signal") {
				t.Errorf("%v\n%s", err, out)
			}
			if took := time.Since(began); took > time.Minute {
				t.Errorf("it took %v", took) // MPI was waited for
			}
		})
	}
}

var errEnough = errors.New("all was right, and now the root has had enough")

// movePayloads checks results that may meet others, gives the memory of arguments
// back as soon as it may, and leaves in the middle.
func movePayloads(ctx context.Context, ex *executor.Executor) error {
	m, err := wasmtasks.LoadFile(os.Getenv(movesVar))
	if err != nil {
		return err
	}
	if err := errors.Join(ex.Load(tasks), ex.Load(m), ex.WaitReady(ctx)); err != nil {
		return err
	}
	for _, moves := range []struct{ calls, long, short int }{
		{2000, 20_000, 20_000},   // each in a message that leaves at once
		{500, 20_000, 17_000},    // of two lengths
		{20, 16_837_216, 60_000}, // a long one whose end leaves at once
		{10, 16_797_216, 16_797_216},
	} {
		if err := fill(ctx, ex, moves.calls, moves.long, moves.short); err != nil {
			return fmt.Errorf("%+v: %w", moves, err)
		}
	}
	if err := unmapArguments(ctx, ex); err != nil {
		return err
	}
	echoes := 0
	for _, err := range ex.Map(ctx, "tasks.echo", func(yield func([]byte) bool) {
		arg := make([]byte, 6<<20)
		for yield(arg) { // there is no end of them
		}
	}) {
		if err != nil {
			return err
		}
		if echoes++; echoes == 20 {
			return errEnough
		}
	}
	return nil
}

// fill checks the results of calls that have two lengths in turn.
func fill(ctx context.Context, ex *executor.Executor, calls, long, short int) error {
	length := func(i int) int { return []int{long, short}[i%2] }
	args := func(yield func([]byte) bool) {
		for i := range calls {
			if !yield(append(binary.LittleEndian.AppendUint32(nil, uint32(length(i))), byte('a'+i%26))) {
				return
			}
		}
	}
	i := 0
	for got, err := range ex.Map(ctx, "moves.fill", args) {
		if err != nil || !bytes.Equal(got, bytes.Repeat([]byte{byte('a' + i%26)}, length(i))) {
			return fmt.Errorf("result %d has %d bytes and is another's: %w", i, len(got), err)
		}
		i++
	}
	return nil
}

// unmapArguments gives the memory of arguments back to the system when their calls
// are resolved, though nobody has read them.
func unmapArguments(ctx context.Context, ex *executor.Executor) error {
	for range 100 {
		arg, err := unix.Mmap(-1, 0, 200_000, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
		if err != nil {
			return err
		}
		for i := range arg {
			arg[i] = 1
		}
		_, err = ex.Submit(ctx, "moves.deaf", arg).Result(ctx)
		if err := errors.Join(err, unix.Munmap(arg)); err != nil {
			return err
		}
	}
	return nil
}
