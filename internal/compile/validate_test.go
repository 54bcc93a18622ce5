package compile

import (
	"bytes"
	"cmp"
	"context"
	"encoding/binary"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/wasmpool/wasmpool/internal/mutant"
	"github.com/wasmpool/wasmpool/internal/unittest"
)

// mutants is how many of them TestAcceptance makes.
var mutants = flag.Int("mutants", 30_000, "make `N` mutants of the specification's modules")

// TestAcceptance gives the specification's test modules, of all proposals that wazero has
// some of, and mutants of those that are valid, to the engine and to the pipeline: what one takes the other
// must take. -mutants 1000000 does so for some minutes.
func TestAcceptance(t *testing.T) {
	t.Parallel()
	modules := specModules(t)
	var taken, refused, ruled atomic.Int64
	var mu sync.Mutex
	var good [][]byte
	check := func(name string, wasm []byte) {
		out, err := acceptance(t.Context(), wasm)
		switch {
		case err != nil:
			t.Errorf("%s: %v\n%x", name, err, wasm)
		case out == takenByBoth:
			taken.Add(1)
			mu.Lock()
			good = append(good, wasm)
			mu.Unlock()
		case out == refusedByBoth:
			refused.Add(1)
		default:
			ruled.Add(1)
		}
	}
	report := func(of string, least int64) {
		t.Logf("%s: %d are taken, %d refused, %d are refused by our own rules only, or by bounds", of, taken.Load(), refused.Load(), ruled.Load())
		if min(taken.Load(), refused.Load()) < least {
			t.Errorf("%s: want at least %d taken, and refused", of, least)
		}
		taken.Store(0)
		refused.Store(0)
		ruled.Store(0)
	}
	inParallel(len(modules), func(i int) {
		if !unittest.Race || i%10 == 0 { // the modules share nothing
			check(fmt.Sprintf("module %d", i), modules[i])
		}
	})
	report("the specification's modules", 100)
	slices.SortFunc(good, bytes.Compare) // so that a mutant is the same each time
	bases := slices.Clip(good)
	n := *mutants
	if unittest.Race {
		n /= 10
	}
	inParallel(n, func(i int) {
		rng := rand.New(rand.NewPCG(uint64(i), 1))
		base, donor := bases[rng.IntN(len(bases))], modules[rng.IntN(len(modules))]
		check(fmt.Sprintf("mutant %d", i), mutant.Of(rng, base, donor))
	})
	report(fmt.Sprintf("%d mutants", n), int64(n)/50)
}

// inParallel calls f with the numbers below n, on all CPUs.
func inParallel(n int, f func(int)) {
	var next atomic.Int64
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
				f(i)
			}
		})
	}
	workers.Wait()
}

// specModules returns the modules of up to 4 KiB among the specification's tests, as they
// lie in wazero's module, in an order that is always the same.
func specModules(t *testing.T) [][]byte {
	t.Helper()
	var list [][]byte
	err := filepath.WalkDir(specFolder(t), func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".wasm" {
			return err
		}
		wasm, err := os.ReadFile(path)
		if err == nil && len(wasm) <= 4<<10 {
			list = append(list, wasm)
		}
		return err
	})
	if err != nil || len(list) < 7000 {
		t.Fatalf("%d modules of the specification: %v", len(list), err)
	}
	return list
}

// specFolder returns where they lie.
func specFolder(t *testing.T) string {
	t.Helper()
	out, err := exec.CommandContext(t.Context(), "go", "list", "-m", "-f", "{{.Dir}}", "github.com/tetratelabs/wazero").Output()
	if err != nil {
		t.Fatalf("finding wazero's module: %v", err)
	}
	return filepath.Join(strings.TrimSpace(string(out)), "internal", "integration_test", "spectest")
}

// A verdict is what the engine or the pipeline says of a module.
type verdict int

const (
	ruledOut verdict = iota // by a rule of our own: the engine was not asked
	takenByBoth
	refusedByBoth
)

// acceptance returns an error unless the pipeline takes a module exactly if the engine
// takes it as it came. What the pipeline refuses by a rule of its own may be valid.
func acceptance(ctx context.Context, wasm []byte) (verdict, error) {
	out, asked, refused := prepare(ctx, wasm)
	if ownRule(refused) || !asked && announcesMuch(wasm) {
		return ruledOut, nil // among these are modules that the engine does not survive
	}
	plain := Validate(ctx, wasm)
	if (plain == nil) != (refused == nil) {
		return 0, fmt.Errorf("the engine says of the module as it came: %w; the pipeline: %w", cmp.Or(plain, errTakes), cmp.Or(refused, errTakes))
	}
	if out == nil {
		return refusedByBoth, nil
	}
	exported, _, _ := ExportGlobals(bytes.Clone(out))
	for _, made := range [][]byte{out, exported} {
		if err := Validate(ctx, made); err != nil {
			return 0, fmt.Errorf("the engine takes the module as it came, and not rewritten: %w", err)
		}
	}
	return takenByBoth, nil
}

var errTakes = errors.New("it is fine")

// announcesMuch reports whether there may be the length of a long list in a module: the
// engine takes memory for it before it looks whether the list is there.
func announcesMuch(wasm []byte) bool {
	for i := range wasm {
		if n, size := binary.Uvarint(wasm[i:min(len(wasm), i+5)]); size > 0 && n > 1<<20 {
			return true
		}
	}
	return false
}

// prepare does to a module what the pipeline does before it compiles it. It reports whether
// the engine was asked to validate it.
func prepare(ctx context.Context, wasm []byte) (out []byte, asked bool, err error) {
	m, err := Gate(wasm, usual())
	if err != nil {
		return nil, false, err
	}
	code, err := readCode(wasm, m, usual())
	if err != nil {
		return nil, false, err
	}
	if err := Validate(ctx, wasm); err != nil {
		return nil, true, err
	}
	out, err = code.Rewrite()
	return out, true, err
}

// ownRule reports whether a module is refused by one of our own rules, which are
// stricter than the engine's.
func ownRule(err error) bool {
	return err != nil && slices.ContainsFunc([]string{
		"are off here", "do not run here", // a proposal
		"does not run here",                  // a type form
		"the limit is",                       // a bound
		"it imports", "it exports", "it has", // what task modules may not have
		"longer form than it takes",
	}, func(words string) bool { return strings.Contains(err.Error(), words) })
}
