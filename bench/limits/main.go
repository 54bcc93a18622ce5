// Command limits measures what containing a task costs and how fast it is: the
// tables of docs/limits.md. Run it at the root of the source tree:
//
//	go run ./bench/limits [overhead] [kill] [fair]
//
// The guests in C and Rust are kept assembled beside their sources:
//
//	clang --target=wasm32 -O2 -nostdlib -Wl,--no-entry -Wl,-z,stack-size=65536 limits.c -o c.wasm
//	rustc --crate-type cdylib --target wasm32-unknown-unknown -O -C strip=symbols limits.rs -o rust.wasm
package main

import (
	"context"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

var (
	//go:embed guests/c.wasm
	guestC []byte
	//go:embed guests/rust.wasm
	guestRust []byte
)

func main() {
	if err := run(context.Background(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "limits:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, names []string) error {
	modules, err := load(ctx)
	if err != nil {
		return err
	}
	all := []struct {
		name    string
		measure func(context.Context, []*wasmtasks.Module) error
	}{{"overhead", overhead}, {"kill", kill}, {"fair", fair}}
	for _, m := range all {
		if len(names) == 0 || slices.Contains(names, m.name) {
			if err := m.measure(ctx, modules); err != nil {
				return fmt.Errorf("%s: %w", m.name, err)
			}
		}
	}
	return nil
}

func load(ctx context.Context) ([]*wasmtasks.Module, error) {
	golang, err := wasmtasks.Build(ctx, "bench/limits/guest")
	if err != nil {
		return nil, err
	}
	c, err := wasmtasks.Load("c", guestC)
	if err != nil {
		return nil, err
	}
	rust, err := wasmtasks.Load("rust", guestRust)
	if err != nil {
		return nil, err
	}
	return []*wasmtasks.Module{golang.WithName("go"), c, rust}, nil
}

// A bench is a slot of a host with some configuration.
type bench struct {
	name   string
	host   *host.Host
	slot   *host.Slot
	limits *host.Limits
}

// overhead measures tasks with limits on and off, in turns, so that other load on
// the machine falls on all alike.
func overhead(ctx context.Context, modules []*wasmtasks.Module) error {
	var benches []*bench
	for _, b := range []struct {
		name   string
		cfg    host.Config
		limits *host.Limits
	}{
		{"nothing", host.Config{NoMeter: true}, nil},
		{"the tick", host.Config{}, nil},
		{"and all limits", host.Config{Limits: host.Limits{Time: time.Hour, Memory: 1 << 30, Output: 1 << 20, Log: 1 << 20, Instructions: 1 << 60}}, nil},
		{"limits of the call", host.Config{}, &host.Limits{Time: time.Hour, Memory: 1 << 30, Output: 1 << 20, Log: 1 << 20, Instructions: 1 << 60}},
		{"reset", host.Config{Isolation: host.IsolationReset}, nil},
	} {
		h, err := host.New(b.cfg)
		if err != nil {
			return err
		}
		benches = append(benches, &bench{b.name, h, h.NewSlot(), b.limits})
	}
	defer func() {
		for _, b := range benches {
			b.slot.Close() //nolint:errcheck // the program ends
			b.host.Close() //nolint:errcheck // the program ends
		}
	}()
	fmt.Printf("| guest | task | %s |", benches[0].name)
	for _, b := range benches[1:] {
		fmt.Printf(" %s |", b.name)
	}
	fmt.Println()
	for _, m := range modules {
		for _, w := range []struct {
			task   string
			n      uint64
			rounds int
		}{{"none", 0, 2000}, {"loop", 5000, 1}, {"recursion", 27, 1}, {"sorting", 100, 1}, {"calls", 2000, 1}} {
			if err := compare(ctx, benches, m, w.task, w.n, w.rounds); err != nil {
				return fmt.Errorf("%s.%s: %w", m.Name(), w.task, err)
			}
		}
	}
	return nil
}

const turns = 15

func compare(ctx context.Context, benches []*bench, m *wasmtasks.Module, name string, n uint64, rounds int) error {
	arg := binary.LittleEndian.AppendUint64(nil, n)
	times := make([][]float64, len(benches))
	for turn := range turns + 2 {
		for i, b := range benches {
			mod, err := b.host.Load(ctx, m)
			if err != nil {
				return err
			}
			task, err := mod.Task(name)
			if err != nil {
				return err
			}
			c := host.Call{Number: 1, Attempt: 1, Arg: arg, Limits: b.limits}
			began := time.Now()
			for range rounds {
				if _, err := b.slot.Run(ctx, task, &c); err != nil {
					return err
				}
			}
			if turn >= 2 { // warm
				times[i] = append(times[i], float64(time.Since(began))/float64(rounds))
			}
		}
	}
	base := median(times[0])
	fmt.Printf("| %s | %s | %v |", m.Name(), name, time.Duration(base))
	for _, t := range times[1:] {
		if rounds > 1 {
			fmt.Printf(" %+.0f ns |", median(t)-base)
		} else {
			fmt.Printf(" %+.0f %% |", 100*(median(t)/base-1))
		}
	}
	fmt.Println()
	return nil
}

func median(list []float64) float64 {
	slices.Sort(list)
	return list[len(list)/2]
}

// kill measures how long after Kill a future is resolved.
func kill(ctx context.Context, modules []*wasmtasks.Module) error {
	ex, err := executor.Local(executor.Config{
		Modules: modules, RootSlots: 1, Grants: map[string]executor.Grants{"go": {Clock: true}},
	})
	if err != nil {
		return err
	}
	const kills = 200
	fmt.Printf("\n| guest | killed after, p50 | p99 | most of %d |\n", kills)
	for _, task := range []string{"go.spin", "c.spin", "c.deep", "go.sleep"} {
		var took []float64
		for i := range kills + 3 {
			f := ex.Submit(ctx, task, nil)
			time.Sleep(time.Duration(10+i%40) * time.Millisecond)
			began := time.Now()
			f.Kill("measured")
			if _, err := f.Result(ctx); !errors.Is(err, executor.ErrKilled) {
				return fmt.Errorf("%s: %w", task, err)
			}
			if i >= 3 {
				took = append(took, float64(time.Since(began)))
			}
		}
		report(task, took)
	}
	return ex.Shutdown(ctx)
}

func report(name string, took []float64) {
	slices.Sort(took)
	at := func(share float64) time.Duration {
		return time.Duration(took[int(share*float64(len(took)-1))]).Round(time.Microsecond)
	}
	fmt.Printf("| %s | %v | %v | %v |\n", name, at(0.5), at(0.99), at(1))
}

// fair measures calls of a millisecond on one slot while the other runs one long
// call, and the collector runs all the time.
func fair(ctx context.Context, modules []*wasmtasks.Module) error {
	ex, err := executor.Local(executor.Config{Modules: modules, RootSlots: 2})
	if err != nil {
		return err
	}
	const long = 10 * time.Second
	fmt.Printf("\n| beside a call of %v | p50 | p99 | most |\n", long)
	for _, task := range []string{"go.spin", "c.spin"} {
		f := ex.Submit(ctx, task, nil, executor.Timeout(long))
		arg := binary.LittleEndian.AppendUint64(nil, 1000)
		var took []float64
		done := f.Done()
		for running := true; running; {
			select {
			case <-done:
				running = false
				continue
			default:
			}
			began := time.Now()
			if _, err := ex.Call(ctx, "c.loop", arg); err != nil {
				return err
			}
			took = append(took, float64(time.Since(began)))
			if len(took)%20 == 0 {
				runtime.GC()
			}
		}
		if _, err := f.Result(ctx); !errors.Is(err, context.DeadlineExceeded) {
			return fmt.Errorf("the long call: %w", err)
		}
		report(task, took)
	}
	return ex.Shutdown(ctx)
}
