//go:build mpi && linux

package executor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/mpitest"
)

// confineVar names a folder to grant to the tasks of confined workers.
const confineVar = "WASMPOOL_TEST_CONFINE"

func init() {
	if granted := os.Getenv(confineVar); granted != "" {
		instead, inner.Confine = callConfined, true
		inner.Sandbox.Grants = map[string]host.Grants{host.EveryModule: {Folders: map[string]string{"/data": granted}}}
		inner.Sandbox.CacheDir = filepath.Join(filepath.Dir(granted), "cache") // so that all is compiled anew
	}
}

// TestConfine runs a job on confined workers, each of which also attacks as native code
// in its process: all calls are right, and nothing of the attack works.
func TestConfine(t *testing.T) {
	dir := t.TempDir()
	secret, granted := filepath.Join(dir, "secret"), filepath.Join(dir, "granted")
	err := errors.Join(os.WriteFile(secret, []byte("s"), 0o600), os.Mkdir(granted, 0o700), os.WriteFile(filepath.Join(granted, "file"), []byte("words"), 0o600))
	if err != nil {
		t.Fatal(err)
	}
	bin := mpitest.Tests(t)
	for name, flags := range map[string][]string{"memory": nil, "tcp": {"--mca", "btl", "tcp,self"}} {
		t.Run(name, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
			defer cancel()
			cmd := mpitest.CommandFlags(ctx, t, 4, flags, bin)
			cmd.Env = append(cmd.Environ(), mpitest.InnerRun+"=1", confineVar+"="+granted, "WASMPOOL_TEST_SECRET="+secret)
			out, err := cmd.CombinedOutput()
			text := string(out)
			if err != nil || strings.Count(text, "all attacks refused") != 3 || strings.Count(text, "2000 right") != 1 {
				t.Errorf("%v\n%s", err, text)
			}
		})
	}
	t.Run("one rank", func(t *testing.T) {
		cmd := mpitest.Command(t.Context(), t, 1, bin)
		cmd.Env = append(cmd.Environ(), mpitest.InnerRun+"=1", confineVar+"="+granted)
		var failed *exec.ExitError
		if out, err := cmd.CombinedOutput(); !errors.As(err, &failed) || !strings.Contains(string(out), executor.ErrNotConfined.Error()) {
			t.Errorf("%v\n%s", err, out)
		}
	})
}

// callConfined loads modules when the workers are confined, and runs calls of all
// sizes, some of which fail.
func callConfined(ctx context.Context, ex *executor.Executor) error {
	if err := errors.Join(ex.WaitReady(ctx), ex.Load(tasks)); err != nil {
		return err
	}
	i := 0
	for got, err := range ex.Map(ctx, "echo", numbered(2000)) {
		if err != nil || !bytes.Equal(got, someLong(i)) {
			return fmt.Errorf("element %d: %d bytes, %w", i, len(got), err)
		}
		i++
	}
	fmt.Printf("%d right\n", i)
	return nil
}

// numbered yields n arguments of all sizes.
func numbered(n int) func(yield func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for i := range n {
			if !yield(someLong(i)) {
				return
			}
		}
	}
}

// Without worker ranks nothing can be confined, which is an error and not a job in
// which nothing is.
func TestConfineAlone(t *testing.T) {
	_, err := executor.Local(executor.Config{Confine: true})
	if !errors.Is(err, executor.ErrNotConfined) {
		t.Errorf("Local: got %v, want %v", err, executor.ErrNotConfined)
	}
}
