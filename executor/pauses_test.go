//go:build mpi

package executor_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/internal/mpitest"
	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// pausesVar names the module of pauseBetweenCalls.
const pausesVar = "WASMPOOL_TEST_PAUSES"

// TestPauses makes calls to a worker of two slots, one of which may fall asleep at
// any moment: it must be woken for what the other one began.
func TestPauses(t *testing.T) {
	module, bin := unittest.AssembleFile(t, "moves", movesWAT), mpitest.Tests(t)
	for name, flags := range map[string][]string{
		"lent":     nil,
		"messages": {"--mca", "btl_vader_single_copy_mechanism", "none"},
		"tcp":      {"--mca", "btl", "tcp,self"},
	} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			cmd := mpitest.CommandFlags(ctx, t, 2, flags, bin)
			cmd.Env = append(cmd.Environ(), mpitest.InnerRun+"=1", pausesVar+"="+module)
			if out, err := cmd.CombinedOutput(); err != nil {
				t.Errorf("%v\n%s", err, out)
			}
		})
	}
}

// pauseBetweenCalls makes long and short calls, and some of modules that the worker
// does not know, at random moments. A rank that is not woken looks by itself after 5 s.
func pauseBetweenCalls(ctx context.Context, ex *executor.Executor) error {
	wasm, err := os.ReadFile(os.Getenv(pausesVar))
	if err != nil {
		return err
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for i := range 240 {
		name := fmt.Sprintf("moves%d", i/20)
		if i%20 == 0 {
			// A custom section makes it another module, which is a payload.
			section := append([]byte{1, 'x'}, bytes.Repeat([]byte{byte(i / 20)}, 100_000)...)
			variant := append(binary.AppendUvarint(append(bytes.Clone(wasm), 0), uint64(len(section))), section...)
			m, err := wasmtasks.Load(name, variant)
			if err == nil {
				err = ex.Load(m)
			}
			if err != nil {
				return err
			}
		}
		long := []int{8, 100_000, 500_000}[rnd.IntN(3)]
		arg := append(binary.LittleEndian.AppendUint32(nil, uint32(long)), 'a')
		began := time.Now()
		got, err := ex.Call(ctx, name+".fill", append(arg, make([]byte, rnd.IntN(2)*100_000)...))
		if err != nil || !bytes.Equal(got, bytes.Repeat([]byte{'a'}, long)) {
			return fmt.Errorf("call %d of %s: %d bytes, %w", i, name, len(got), err)
		}
		if took := time.Since(began); took > 4*time.Second {
			return fmt.Errorf("call %d of %s, a result of %d bytes, took %v", i, name, long, took)
		}
		time.Sleep(time.Duration(rnd.IntN(3_000)) * time.Microsecond)
	}
	return nil
}
