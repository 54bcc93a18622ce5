package host

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// chanceModule returns one of testdata/chance. See the sources there.
func chanceModule(t testing.TB, name string) *wasmtasks.Module {
	t.Helper()
	if name == "go" {
		return guesttest.Build(t, "testdata/chance")
	}
	wasm, err := os.ReadFile(filepath.Join("testdata", "chance", name+".wasm"))
	if err != nil {
		t.Fatal(err)
	}
	m, err := wasmtasks.Load(name, wasm)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// An answer is what a call gave and how many instructions it took.
type answer struct {
	result       string
	instructions uint64
}

// ask runs a call whose number, attempt and rank are others each time.
func ask(t testing.TB, s *Slot, task *Task, arg string) answer {
	t.Helper()
	call := &Call{Number: rand.Uint64N(1e6), Attempt: 1 + rand.IntN(3), Rank: rand.IntN(10), Arg: []byte(arg)}
	if len(arg) > 16<<10 { // as a worker does
		call.Arg, call.ArgLen = nil, int64(len(arg))
		call.ReadArg = func(dst []byte) error { copy(dst, arg); return nil }
	}
	result, err := s.Run(t.Context(), task, call)
	if err != nil {
		t.Fatalf("running %s: %v\n%s", task.export, err, errorOf(t, err).Stderr)
	}
	return answer{string(result), s.Usage().Instructions}
}

// A call's random numbers and clock are made from the call: they are the same on each
// slot, in any order, and after any other call; where an instance is reset or fresh that
// holds for all that a guest can see, and for its count of instructions.
func TestChance(t *testing.T) {
	t.Parallel()
	calls := 1000
	if testing.Short() || unittest.Race {
		calls = 100
	}
	for _, isolation := range []Isolation{IsolationReuse, IsolationReset, IsolationFresh} {
		for _, name := range []string{"go", "c", "rust", "command"} {
			t.Run(fmt.Sprintf("%v/%s", isolation, name), func(t *testing.T) {
				t.Parallel()
				h := newHost(t, Config{Isolation: isolation})
				mod := load(t, h, chanceModule(t, name))
				tasks, counts := []*Task{}, isolation != IsolationReuse
				switch {
				case name == "command":
					tasks, counts = append(tasks, taskOf(t, mod, name)), true
				case isolation == IsolationReuse:
					tasks = append(tasks, taskOf(t, mod, "draw"))
				default:
					tasks = append(tasks, taskOf(t, mod, "draw"), taskOf(t, mod, "all"))
				}
				checkChance(t, h, mod, tasks, calls, counts)
			})
		}
	}
}

// The numbers that a task draws do not depend on whether its argument is the first that the
// instance decodes.
func TestChanceDecoded(t *testing.T) {
	t.Parallel()
	want := ""
	for _, isolation := range []Isolation{IsolationReuse, IsolationReset, IsolationFresh} {
		h := newHost(t, Config{Isolation: isolation})
		decoded := taskOf(t, load(t, h, chanceModule(t, "go")), "decoded")
		slot := h.NewSlot()
		for i := range 3 {
			got := ask(t, slot, decoded, `{"Seed": 1, "Left": {"Names": {"a": 1, "b": 2}}}`).result
			if want == "" {
				want = got
			}
			if got != want {
				t.Errorf("%v: call %d draws %s, the first of all drew %s", isolation, i, got, want)
			}
		}
		if got := ask(t, slot, decoded, `{"Seed": 2}`).result; got == want {
			t.Errorf("%v: another argument draws the same: %s", isolation, got)
		}
		slot.Close()
	}
}

// checkChance runs calls of tasks on several slots, each beginning elsewhere, between
// calls that leave behind what they can.
func checkChance(t *testing.T, h *Host, mod *Module, tasks []*Task, calls int, counts bool) {
	t.Helper()
	type key struct {
		task *Task
		arg  string
	}
	var args []string
	for i := range 12 {
		args = append(args, fmt.Sprint(i))
	}
	args = append(args, "", strings.Repeat("x", 9000), strings.Repeat("y", 20_000), strings.Repeat("y", 19_999)+"z")
	var mu sync.Mutex
	known := map[key]answer{}
	results := map[string]key{}
	check := func(k key, got answer) {
		mu.Lock()
		defer mu.Unlock()
		want, ok := known[k]
		if !ok {
			known[k] = got
			if other, ok := results[got.result]; ok {
				t.Errorf("%s(%.20q) and %s(%.20q) give the same: %s", k.task.export, k.arg, other.task.export, other.arg, got.result)
			}
			results[got.result] = k
			return
		}
		if got.result != want.result {
			t.Errorf("%s(%.20q) gives\n%s\nand gave\n%s", k.task.export, k.arg, got.result, want.result)
		}
		if counts && got.instructions != want.instructions {
			t.Errorf("%s(%.20q) took %d instructions, and took %d", k.task.export, k.arg, got.instructions, want.instructions)
		}
	}
	const slots = 4
	var wg sync.WaitGroup
	for range slots {
		wg.Go(func() {
			slot := h.NewSlot()
			defer slot.Close()
			spoil := mod.tasks["spoil"]
			for range calls / slots {
				k := key{tasks[rand.IntN(len(tasks))], args[rand.IntN(len(args))]}
				check(k, ask(t, slot, k.task, k.arg))
				if spoil != nil && rand.IntN(3) == 0 {
					_, _ = slot.Run(t.Context(), spoil, &Call{Arg: make([]byte, rand.IntN(100))})
				}
			}
		})
	}
	wg.Wait()
	if t.Failed() {
		t.Logf("an answer:\n%s", known[key{tasks[0], "1"}].result)
	}
}
