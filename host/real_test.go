package host

import (
	"encoding/binary"
	"os"
	"testing"

	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// TestRealModules runs what compilers make, rewritten and as it is: the same tasks in
// four languages, with the same results.
func TestRealModules(t *testing.T) {
	t.Parallel()
	golang := guesttest.Build(t, "../bench/limits/guest")
	modules := []*wasmtasks.Module{golang.WithName("go")}
	for _, name := range []string{"c", "rust", "as"} {
		wasm, err := os.ReadFile("../bench/limits/guests/" + name + ".wasm")
		if err != nil {
			t.Fatal(err)
		}
		m, err := wasmtasks.Load(name, wasm)
		if err != nil {
			t.Fatal(err)
		}
		modules = append(modules, m)
	}
	rewritten, plain := newHost(t, Config{}), newHost(t, Config{NoMeter: true})
	for _, work := range []struct {
		task string
		n    []uint64
	}{
		{"loop", []uint64{0, 1, 2, 1000}},
		{"recursion", []uint64{0, 1, 2, 7, 24}},
		{"sorting", []uint64{1, 2, 50}},
		{"calls", []uint64{0, 1, 2, 1000}},
	} {
		for _, n := range work.n {
			arg := string(binary.LittleEndian.AppendUint64(nil, n))
			want := ""
			for _, m := range modules {
				for _, h := range []*Host{plain, rewritten} {
					got := run(t, newSlot(t, h), taskOf(t, load(t, h, m), work.task), arg)
					if want == "" {
						want = got
					}
					if got != want || len(got) != 8 {
						t.Errorf("%s.%s(%d) = %x, want %x (rewritten: %t)", m.Name(), work.task, n, got, want, h == rewritten)
					}
				}
			}
		}
	}
}
