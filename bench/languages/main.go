//go:build unix

// Command languages measures how fast equal loops are in the languages that wasmpool compiles: the table of
// docs/languages.md. Run it at the root of the source tree, with the compilers of make languages:
//
//	scripts/languages go run ./bench/languages
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
	"text/tabwriter"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

const (
	guests = "bench/languages/guests"
	rounds = 5
)

// A language is a folder of guests. Python makes fewer turns, since it is slower by far.
type language struct {
	name, folder string
	python       bool
}

// The first is what the others are compared with.
var languages = []language{
	{"C", "c", false},
	{"Rust", "rust/tasks.rs", false},
	{"Zig", "zig", false},
	{"AssemblyScript", "assemblyscript", false},
	{"Go", "golang", false},
	{"Python", "python/tasks.py", true},
}

// A loop is a task that all languages have: how many turns it makes where it is fast, and in Python.
type loop struct {
	task       string
	fast, slow int
	does       string
}

var loops = []loop{
	{"primes", 20_000_000, 200_000, "counts primes with a sieve in memory"},
	{"series", 50_000_000, 500_000, "sums 1/n², one division a turn"},
	{"mix", 100_000_000, 300_000, "a generator of random numbers, 64 bits"},
}

func main() {
	if err := run(context.Background()); err != nil {
		fmt.Fprintln(os.Stderr, "languages:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	table := tabwriter.NewWriter(os.Stdout, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "language\tmodule, KiB")
	for _, l := range loops {
		fmt.Fprintf(table, "\t%s, ns a turn\tto C", l.task)
	}
	fmt.Fprintln(table)
	var first []float64
	for _, l := range languages {
		size, turns, err := measure(ctx, l)
		if err != nil {
			return fmt.Errorf("%s: %w", l.name, err)
		}
		if first == nil {
			first = turns
		}
		fmt.Fprintf(table, "%s\t%d", l.name, size/1024)
		for i, ns := range turns {
			fmt.Fprintf(table, "\t%.2f\t%.2f", ns, ns/first[i])
		}
		fmt.Fprintln(table)
	}
	return table.Flush()
}

// measure returns the bytes of the language's module, and the CPU time of one turn of each loop, in nanoseconds.
func measure(ctx context.Context, l language) (size int, turns []float64, err error) {
	for _, loop := range loops {
		m, err := open(ctx, l, loop.task)
		if err != nil {
			return 0, nil, err
		}
		n := loop.fast
		if l.python {
			n = loop.slow
		}
		best, err := fastest(ctx, m, loop.task, n)
		if err != nil {
			return 0, nil, fmt.Errorf("%s: %w", loop.task, err)
		}
		size, turns = len(m.Bytes()), append(turns, float64(best.Nanoseconds())/float64(n))
	}
	return size, turns, nil
}

func open(ctx context.Context, l language, task string) (*wasmtasks.Module, error) {
	path := filepath.Join(guests, l.folder)
	if !l.python {
		return wasmtasks.Build(ctx, path)
	}
	script, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	interpreter, err := wasmtasks.LoadFile(os.Getenv("WASMPOOL_PYTHON"))
	if err != nil {
		return nil, err
	}
	return wasmtasks.Script(interpreter, path, script, task)
}

// fastest returns the CPU time of the fastest of some calls.
func fastest(ctx context.Context, m *wasmtasks.Module, task string, n int) (time.Duration, error) {
	ex, err := executor.Local(executor.Config{RootSlots: 1})
	if err != nil {
		return 0, err
	}
	defer ex.Shutdown(ctx) //nolint:errcheck // it has no calls left
	if err := ex.Load(m); err != nil {
		return 0, err
	}
	best := time.Duration(1<<63 - 1)
	for range rounds {
		before := cpuTime()
		if _, err := ex.Call(ctx, task, []byte(strconv.Itoa(n))); err != nil {
			return 0, err
		}
		best = min(best, cpuTime()-before)
	}
	return best, nil
}

// cpuTime is what this process has computed so far.
func cpuTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}
