//go:build mpi

package executor_test

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/internal/mpitest"
)

// handlesVar makes the ranks a program that handles signals by itself.
const handlesVar = "WASMPOOL_TEST_HANDLES"

func init() {
	if os.Getenv(handlesVar) == "" {
		return
	}
	instead, inner.NoSignals = signalAll, true
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, syscall.SIGTERM)
	go func() {
		for range signals {
			fmt.Println("the program heard it")
		}
	}()
}

// environment is what the process was started with.
var environment = os.Environ()

// changed returns the names of the variables that are not as they were at the start.
func changed() []string {
	var names []string
	for _, v := range os.Environ() {
		if name, _, _ := strings.Cut(v, "="); !slices.Contains(environment, v) {
			names = append(names, name)
		}
	}
	return names
}

// signalAll sends each worker, and the root, two signals of which the second would end it.
func signalAll(ctx context.Context, ex *executor.Executor) error {
	if err := ex.Load(tasks); err != nil {
		return err
	}
	if err := ex.WaitReady(ctx); err != nil {
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
	for range 2 {
		for _, pid := range pids {
			if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
				return err
			}
		}
		time.Sleep(time.Second) // else two of a kind may come as one
	}
	answered := 0
	for _, err := range ex.Map(ctx, "echo", numbers(100)) {
		if err != nil {
			return err
		}
		answered++
	}
	fmt.Printf("%d calls are answered by %d workers\n", answered, ex.NumWorkers())
	for _, name := range changed() {
		fmt.Println("changed", name)
	}
	return nil
}

// TestNoSignalsOnRanks checks that Config.NoSignals leaves the signals of all ranks to the
// program; and that Run changes no variables but those that the package's doc names.
func TestNoSignalsOnRanks(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := mpitest.Command(ctx, t, 3, mpitest.Tests(t))
	cmd.Env = append(cmd.Environ(), mpitest.InnerRun+"=1", handlesVar+"=1")
	out, err := cmd.CombinedOutput()
	if heard := strings.Count(string(out), "the program heard it"); err != nil || heard != 6 || !strings.Contains(string(out), "100 calls are answered by 2 workers") {
		t.Errorf("%v, and the programs heard %d signals, want 6\n%s", err, heard, out)
	}
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		if name, is := strings.CutPrefix(strings.TrimSpace(line), "changed "); is && !strings.Contains(string(doc), name) {
			t.Errorf("Run sets %s, which doc.go does not say", name)
		}
	}
}
