package executor_test

import (
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/executor"
)

// TestTypedFuturesOfOneKey checks that each of several typed futures of one call, which a key makes one, is waited for.
func TestTypedFuturesOfOneKey(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{RootSlots: 1})
	busy := ex.Submit(t.Context(), "forever", nil)
	echo := executor.WithCodecs(ex, "echo", executor.Raw(), executor.Raw(), executor.Key("k"))
	a, b := echo.Submit(t.Context(), []byte("x")), echo.Submit(t.Context(), []byte("x"))
	if a == b {
		t.Fatal("they are one")
	}
	futures := []*executor.TypedFuture[[]byte]{a, b, a, b}
	busy.Kill("the slot is needed")
	done, pending, err := executor.Wait(t.Context(), futures, executor.AllDone)
	if len(done) != 2 || done[0] != a || done[1] != b || len(pending) > 0 || err != nil {
		t.Errorf("Wait: %v, %v, %v", done, pending, err)
	}
	seen := map[*executor.TypedFuture[[]byte]]int{}
	for f, err := range executor.AsCompleted(t.Context(), futures) {
		if err != nil {
			t.Fatal(err)
		}
		seen[f]++
	}
	if len(seen) != 2 || seen[a] != 1 || seen[b] != 1 {
		t.Errorf("AsCompleted: %v", seen)
	}
}

// TestThenRefusesKey checks that a call of Then has no key.
func TestThenRefusesKey(t *testing.T) {
	t.Parallel()
	ex := shape(t).Fork()
	err := ex.Submit(t.Context(), "echo", nil).Then("echo", executor.Key("k")).Err(t.Context())
	if err == nil || !strings.Contains(err.Error(), "key") {
		t.Errorf("Then: %v", err)
	}
}

// TestWaitForNothingKnown checks that Wait refuses what it cannot wait for.
func TestWaitForNothingKnown(t *testing.T) {
	t.Parallel()
	ex := shape(t).Fork()
	fs := []*executor.Future{ex.Submit(t.Context(), "echo", nil)}
	for _, when := range []executor.When{-1, 9} {
		if _, _, err := executor.Wait(t.Context(), fs, when); err == nil {
			t.Errorf("Wait for %d: no error", when)
		}
	}
}
