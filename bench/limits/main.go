// Command limits measures what containing a task costs and how fast it is: the
// tables of docs/limits.md. Run it at the root of the source tree:
//
//	go run ./bench/limits [overhead] [kill] [fair]
//
// The guests in C, Rust and AssemblyScript are kept compiled beside their sources:
//
//	clang --target=wasm32 -O2 -nostdlib -Wl,--no-entry -Wl,-z,stack-size=65536 limits.c -o c.wasm
//	rustc --crate-type cdylib --target wasm32-unknown-unknown -O -C strip=symbols limits.rs -o rust.wasm
//	asc limits.ts -O --runtime minimal --use abort=limits/_fail -o as.wasm
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
	"strings"
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
	//go:embed guests/as.wasm
	guestAS []byte
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
	modules := []*wasmtasks.Module{golang.WithName("go")}
	for _, guest := range []struct {
		name string
		wasm []byte
	}{{"c", guestC}, {"rust", guestRust}, {"as", guestAS}} {
		m, err := wasmtasks.Load(guest.name, guest.wasm)
		if err != nil {
			return nil, err
		}
		modules = append(modules, m)
	}
	return modules, nil
}

// A bench is a slot of a host that has one thing on, or more.
type bench struct {
	name   string
	cfg    host.Config
	limits *host.Limits // of the call
	slow   bool         // it takes long for each call, and is asked for fewer

	host *host.Host
	slot *host.Slot
	all  []float64 // its ratios, of every task but none
}

// benches returns what is compared: first nothing, then each thing by itself, as
// far as it can be. Limits on time and instructions need the tick, which alone
// makes calls killable.
func benches() []*bench {
	every := host.Limits{Time: time.Hour, Memory: 1 << 30, Output: 1 << 20, Log: 1 << 20, Instructions: 1 << 60}
	return []*bench{
		{name: "nothing", cfg: host.Config{NoMeter: true}},
		{name: "tick", cfg: host.Config{}},
		{name: "tick, time", cfg: host.Config{Limits: host.Limits{Time: every.Time}}},
		{name: "tick, budget", cfg: host.Config{Limits: host.Limits{Instructions: every.Instructions}}},
		{name: "memory", cfg: host.Config{NoMeter: true, Limits: host.Limits{Memory: every.Memory}}},
		{name: "result, log", cfg: host.Config{NoMeter: true, Limits: host.Limits{Output: every.Output, Log: every.Log}}},
		{name: "all limits", cfg: host.Config{Limits: every}},
		{name: "all, of the call", limits: &every},
		{name: "reset", cfg: host.Config{NoMeter: true, Isolation: host.IsolationReset}, slow: true},
		{name: "fresh", cfg: host.Config{NoMeter: true, Isolation: host.IsolationFresh}, slow: true},
	}
}

func (b *bench) open() (err error) {
	if b.host, err = host.New(b.cfg); err == nil {
		b.slot = b.host.NewSlot()
	}
	return err
}

func (b *bench) close() error {
	if b.host == nil {
		return nil
	}
	return errors.Join(b.slot.Close(), b.host.Close())
}

// A work is a task with what it is given: as many thousand steps, but for
// recursion, which is exponential.
type work struct {
	task string
	n    uint64
}

// Sorting goes through 4 MB again and again.
var works = []work{{"none", 0}, {"loop", 5000}, {"recursion", 27}, {"sorting", 500}, {"calls", 2000}}

// overhead measures tasks with limits on and off, in turns, so that other load on
// the machine falls on all alike.
func overhead(ctx context.Context, modules []*wasmtasks.Module) error {
	list := benches()
	defer func() {
		for _, b := range list {
			b.close() //nolint:errcheck // the program ends
		}
	}()
	fmt.Print("| guest | task |")
	for _, b := range list {
		if err := b.open(); err != nil {
			return err
		}
		fmt.Printf(" %s |", b.name)
	}
	fmt.Printf("\n|%s\n", strings.Repeat("---|", len(list)+2))
	for _, m := range modules {
		for _, w := range works {
			if err := compare(ctx, list, m, w); err != nil {
				return fmt.Errorf("%s.%s: %w", m.Name(), w.task, err)
			}
		}
	}
	summary(list, "median", 0.5)
	summary(list, "worst", 1)
	return nil
}

// summary prints a line of ratios over all tasks that compute.
func summary(list []*bench, name string, share float64) {
	fmt.Printf("| all | %s | |", name)
	for _, b := range list[1:] {
		fmt.Printf(" %s |", percent(at(b.all, share)))
	}
	fmt.Println()
}

func percent(ratio float64) string { return fmt.Sprintf("%+.0f %%", 100*(ratio-1)) }

// turns is how often each bench has its turn with each task, after warmUps.
const turns, warmUps = 21, 2

// compare prints a task's line: the time it takes with nothing on, and the median,
// over the turns, of how much longer it took with something on than in the same
// turn without.
func compare(ctx context.Context, list []*bench, m *wasmtasks.Module, w work) error {
	added := make([][]float64, len(list)) // nanoseconds, or ratios
	for turn := range turns + warmUps {
		took := make([]float64, len(list))
		for i := range list {
			i = (i + turn) % len(list)
			var err error
			if took[i], err = list[i].time(ctx, m, w); err != nil {
				return err
			}
		}
		if turn < warmUps {
			continue
		}
		added[0] = append(added[0], took[0])
		for i := 1; i < len(list); i++ {
			if w.n == 0 {
				added[i] = append(added[i], took[i]-took[0])
			} else {
				added[i] = append(added[i], took[i]/took[0])
			}
		}
	}
	fmt.Printf("| %s | %s | %v |", m.Name(), w.task, time.Duration(median(added[0])).Round(time.Nanosecond))
	for i, b := range list[1:] {
		if mid := median(added[i+1]); w.n == 0 {
			fmt.Printf(" %+.0f ns |", mid)
		} else {
			fmt.Printf(" %s |", percent(mid))
			b.all = append(b.all, mid)
		}
	}
	fmt.Println()
	return nil
}

// time returns how long a call takes, in nanoseconds: one of some milliseconds, or
// the mean of many short ones.
func (b *bench) time(ctx context.Context, m *wasmtasks.Module, w work) (float64, error) {
	mod, err := b.host.Load(ctx, m)
	if err != nil {
		return 0, err
	}
	task, err := mod.Task(w.task)
	if err != nil {
		return 0, err
	}
	calls := 1
	if w.n == 0 {
		calls = 20_000
		if b.slow {
			calls = 20
		}
	}
	c := host.Call{Number: 1, Attempt: 1, Arg: binary.LittleEndian.AppendUint64(nil, w.n), Limits: b.limits}
	began := time.Now()
	for range calls {
		if _, err := b.slot.Run(ctx, task, &c); err != nil {
			return 0, err
		}
	}
	return float64(time.Since(began)) / float64(calls), nil
}

func median(list []float64) float64 { return at(list, 0.5) }

// at returns the element below which so large a share of the list lies.
func at(list []float64, share float64) float64 {
	list = slices.Sorted(slices.Values(list))
	return list[int(share*float64(len(list)-1))]
}

// kill measures how long after Kill a future is resolved.
func kill(ctx context.Context, modules []*wasmtasks.Module) error {
	ex, err := executor.Local(executor.Config{
		Modules: modules, RootSlots: 1, Sandbox: host.Config{Grants: map[string]host.Grants{"go": {Clock: true}}},
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
	fmt.Printf("| %s |", name)
	for _, share := range []float64{0.5, 0.99, 1} {
		fmt.Printf(" %v |", time.Duration(at(took, share)).Round(time.Microsecond))
	}
	fmt.Println()
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
