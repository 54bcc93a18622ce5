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
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// signalVar tells this test program to be the program that gets signals. It holds
// how long each of its first two calls computes, in thousand steps, and the grace.
const signalVar = "WASMPOOL_TEST_SIGNAL"

// handleSignals is that program: two calls run, ten wait.
func handleSignals() int {
	var steps int
	var text string
	_, err := fmt.Sscan(os.Getenv(signalVar), &steps, &text)
	grace, parseErr := time.ParseDuration(text)
	if err = errors.Join(err, parseErr); err != nil {
		fmt.Println(err)
		return 99
	}
	cfg := executor.Config{RootSlots: 2, Grace: grace, Modules: []*wasmtasks.Module{tasks}}
	err = executor.Run(context.Background(), cfg, func(ctx context.Context, ex *executor.Executor) error {
		if err := ex.WaitReady(ctx); err != nil {
			return err
		}
		var futures []*executor.Future
		for range 2 {
			futures = append(futures, ex.Submit(ctx, "burn", number(steps)))
		}
		for futures[1].State() != executor.Running {
			time.Sleep(time.Millisecond)
		}
		time.Sleep(50 * time.Millisecond) // they compute
		for range 4000 {
			futures = append(futures, ex.Submit(ctx, "burn", number(1_000_000)))
		}
		fmt.Println("ready")
		counts := map[string]int{}
		for _, f := range futures {
			_, err := f.Result(context.WithoutCancel(ctx))
			switch {
			case err == nil:
				counts["finished"]++
			case errors.Is(err, executor.ErrInterrupted) && errors.Is(err, executor.ErrClosed):
				counts["interrupted"]++
			case errors.Is(err, executor.ErrKilled):
				counts["killed"]++
			default:
				return err
			}
		}
		<-ctx.Done()
		fmt.Println("first", futures[0].State(), counts["finished"] > 0, counts["killed"] > 0, counts["interrupted"] > 3000, counts["finished"]+counts["killed"]+counts["interrupted"] == 4002)
		return ctx.Err()
	})
	fmt.Println(err)
	return executor.ExitCode(err)
}

// TestSignals checks what a program does that gets signals: its output and its
// exit code.
func TestSignals(t *testing.T) {
	hangups := make(chan os.Signal, 1) // the programs get them even if this one was started to ignore them
	signal.Notify(hangups, syscall.SIGHUP)
	t.Cleanup(func() { signal.Stop(hangups) }) // when the programs have ended
	for _, tc := range []struct {
		name, program string
		wrapper       []string // starts the program
		signals       []syscall.Signal
		code          int
		says          []string
	}{
		{
			name: "what runs may end", program: "300000 1m", signals: []syscall.Signal{syscall.SIGTERM}, code: 143,
			says: []string{"first finished true false true true"},
		},
		{
			name: "what runs too long is killed", program: "100000000 200ms", signals: []syscall.Signal{syscall.SIGUSR1}, code: 138,
			says: []string{"first killed false true true true"},
		},
		{name: "a second signal ends all", program: "100000000 1h", signals: []syscall.Signal{syscall.SIGINT, syscall.SIGINT}, code: 130},
		{
			name: "a terminal that is gone", program: "300000 1m", signals: []syscall.Signal{syscall.SIGHUP, syscall.SIGHUP}, code: 129,
			says: []string{"first finished true false true true"},
		},
		{
			name: "a terminal that is gone, under nohup", program: "300000 1m", wrapper: []string{"nohup"},
			signals: []syscall.Signal{syscall.SIGHUP, syscall.SIGTERM}, code: 143,
			says: []string{"first finished true false true true"},
		},
		{
			name: "a report", program: "300000 1m", signals: []syscall.Signal{syscall.SIGUSR2, syscall.SIGTERM}, code: 143,
			says: []string{"a report was asked for", "of burn [], for "},
		},
	} {
		t.Run(tc.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
			defer cancel()
			words := append(tc.wrapper, os.Args[0])
			cmd := exec.CommandContext(ctx, words[0], words[1:]...)
			cmd.Env = append(os.Environ(), signalVar+"="+tc.program)
			out, err := cmd.StdoutPipe()
			if err != nil {
				t.Fatal(err)
			}
			var log lockedBuffer
			cmd.Stderr = &log
			if err := cmd.Start(); err != nil {
				t.Fatal(err)
			}
			text, began := "", time.Now()
			for lines := bufio.NewScanner(out); lines.Scan(); {
				if lines.Text() != "ready" {
					text += lines.Text() + "\n"
					continue
				}
				for _, s := range tc.signals {
					if err := cmd.Process.Signal(s); err != nil {
						t.Error(err)
					}
					if s == syscall.SIGUSR2 {
						eventually(t, "the report", func() bool { return strings.Contains(log.String(), "a report was asked for") })
					}
					time.Sleep(300 * time.Millisecond)
				}
			}
			io.Copy(io.Discard, out) //nolint:errcheck // it has ended
			cmd.Wait()               //nolint:errcheck // its state says it
			if code := cmd.ProcessState.ExitCode(); code != tc.code {
				t.Errorf("exit code %d after %v, want %d", code, time.Since(began), tc.code)
			}
			if strings.Contains(text, context.Canceled.Error()) {
				t.Errorf("Run says what the signal did beside the signal:\n%s", text)
			}
			for _, want := range tc.says {
				if !strings.Contains(text+log.String(), want) {
					t.Errorf("%q is not in\n%s%s", want, text, &log)
				}
			}
		})
	}
}
