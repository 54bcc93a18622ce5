//go:build unix

package executor_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// mannersVar tells this test program to be a program that embeds the package, and how.
const mannersVar = "WASMPOOL_TEST_MANNERS"

// embed is that program. It says "ready" when it wants to have its signals.
func embed() int {
	how := os.Getenv(mannersVar)
	switch how {
	case "process":
		return sayWhatChanged()
	case "local":
		return waitForSignal()
	case "slots":
		return sayDefaultSlots()
	}
	signals := make(chan os.Signal, 4)
	if how == "handles" {
		signal.Notify(signals, syscall.SIGTERM, syscall.SIGUSR2)
	}
	cfg := executor.Config{RootSlots: 1, NoSignals: how != "after", Modules: []*wasmtasks.Module{tasks}}
	err := executor.Run(context.Background(), cfg, func(ctx context.Context, ex *executor.Executor) error {
		if how == "after" {
			return nil
		}
		fmt.Println("ready")
		for range 3 {
			select {
			case s := <-signals:
				fmt.Println("heard", s)
			case <-time.After(time.Minute):
				return errors.New("no signal came")
			}
		}
		out, err := ex.Call(ctx, "echo", []byte("echo"))
		fmt.Println(string(out), ctx.Err())
		return err
	})
	fmt.Println(err)
	if how == "after" {
		fmt.Println("ready")
		time.Sleep(time.Minute)
	}
	return executor.ExitCode(err)
}

// waitForSignal has an executor that is not Run's when the signal comes.
func waitForSignal() int {
	ex, err := executor.Local(executor.Config{RootSlots: 1, Modules: []*wasmtasks.Module{tasks}})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println("ready")
	time.Sleep(time.Minute)
	fmt.Println("no signal came", ex.Shutdown(context.Background()))
	return 1
}

// TestNoSignals sends signals to programs whose pool leaves them alone.
func TestNoSignals(t *testing.T) {
	term := syscall.SIGTERM
	for _, tc := range []struct {
		name, how string
		signals   []syscall.Signal
		end       syscall.Signal // that ends the program, if any does
		says      string
	}{
		{"the program handles them", "handles", []syscall.Signal{term, term, syscall.SIGUSR2}, 0, "heard terminated\nheard terminated\nheard user defined signal 2\necho <nil>\n<nil>\n"},
		{"nobody handles them", "ignorant", []syscall.Signal{term}, term, ""},
		{"there is no Run", "local", []syscall.Signal{term}, term, ""},
		{"Run has returned", "after", []syscall.Signal{term}, term, "<nil>\n"},
	} {
		t.Run(tc.name, func(t *testing.T) {
			text, state := runEmbedding(t, tc.how, nil, tc.signals)
			status := state.Sys().(syscall.WaitStatus) //nolint:forcetypeassert // on every Unix
			if text != tc.says || status.Signaled() != (tc.end != 0) || status.Signaled() && status.Signal() != tc.end {
				t.Errorf("the program ended with %v and said\n%s\nwant the signal %v and\n%s", state, text, tc.end, tc.says)
			}
		})
	}
}

// runEmbedding runs a program that embeds the package, and sends it the signals when it is
// ready. It returns what else the program said, and how it ended.
func runEmbedding(t *testing.T, how string, env []string, signals []syscall.Signal) (string, *os.ProcessState) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, os.Args[0])
	cmd.Env = append(os.Environ(), append(env, mannersVar+"="+how)...)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if lines.Text() != "ready" {
			fmt.Fprintln(&text, lines.Text())
			continue
		}
		for _, s := range signals {
			if err := cmd.Process.Signal(s); err != nil {
				t.Error(err)
			}
			time.Sleep(300 * time.Millisecond) // else two of a kind may come as one
		}
	}
	io.Copy(io.Discard, out) //nolint:errcheck // it has ended
	cmd.Wait()               //nolint:errcheck // its state says it
	return text.String(), cmd.ProcessState
}

// sayWhatChanged says what a pool has changed in this process, while it is there and after.
func sayWhatChanged() int {
	environment := os.Environ()
	fmt.Println("GOMAXPROCS", runtime.GOMAXPROCS(0))
	ex, err := executor.Local(executor.Config{RootSlots: 3, Modules: []*wasmtasks.Module{tasks}})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	out, err := ex.Call(context.Background(), "echo", []byte("echo"))
	fmt.Println(string(out), err, ex.Shutdown(context.Background()))
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	fmt.Println("GOMAXPROCS", runtime.GOMAXPROCS(0))
	fmt.Println("held", m.HeapAlloc >= 64<<20)
	fmt.Println("environment", slices.Equal(environment, os.Environ()))
	return 0
}

// sayDefaultSlots says how many slots a pool takes by itself, and a second one after it.
func sayDefaultSlots() int {
	for range 2 {
		ex, err := executor.Local(executor.Config{})
		if err == nil {
			err = ex.WaitReady(context.Background())
		}
		if err != nil {
			fmt.Println(err)
			return 1
		}
		stats, err := ex.Stats(context.Background())
		fmt.Println(stats.Workers[0].Slots, err, ex.Shutdown(context.Background()))
	}
	return 0
}

// TestDefaultSlots checks that a pool takes no more slots than GOMAXPROCS says, as Go sets it for
// a control group with a quota, too; and that a second pool is not misled by the first.
func TestDefaultSlots(t *testing.T) {
	t.Parallel()
	for _, n := range []string{"1", "3"} {
		want := strings.Repeat(n+" <nil> <nil>\n", 2)
		if text, state := runEmbedding(t, "slots", []string{"GOMAXPROCS=" + n}, nil); text != want || !state.Success() {
			t.Errorf("with GOMAXPROCS=%s the program ended with %v and said\n%swant\n%s", n, state, text, want)
		}
	}
}

// TestProcess checks what the package's doc says of the process, without MPI.
func TestProcess(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		name          string
		env           []string
		before, after int // GOMAXPROCS
		held          bool
	}{
		{"few CPUs", []string{"GOMAXPROCS=2", "GOGC=", "GOMEMLIMIT="}, 2, 5, true},
		{"many CPUs", []string{"GOMAXPROCS=9", "GOGC=", "GOMEMLIMIT="}, 9, 9, true},
		{"GOGC is set", []string{"GOMAXPROCS=2", "GOGC=100", "GOMEMLIMIT="}, 2, 5, false},
		{"GOMEMLIMIT is set", []string{"GOMAXPROCS=2", "GOGC=", "GOMEMLIMIT=3GiB"}, 2, 5, false},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			text, state := runEmbedding(t, "process", tc.env, nil)
			want := fmt.Sprintf("GOMAXPROCS %d\necho <nil> <nil>\nGOMAXPROCS %d\nheld %t\nenvironment true\n", tc.before, tc.after, tc.held)
			if text != want || !state.Success() {
				t.Errorf("the program ended with %v and said\n%swant\n%s", state, text, want)
			}
		})
	}
}
