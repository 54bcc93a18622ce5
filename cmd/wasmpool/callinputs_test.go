package main

import (
	"fmt"
	"testing"
)

// TestCallInputs checks of which input calls are, whatever is left out, and that what is kept is bounded.
func TestCallInputs(t *testing.T) {
	t.Parallel()
	for name, inputOf := range map[string]func(call int64) int64{
		"all":     func(call int64) int64 { return call },
		"a shard": func(call int64) int64 { return 3 + 7*call },
		"one out": func(call int64) int64 { return call + min(call/50, 1) },
		"few":     func(call int64) int64 { return call * call },
	} {
		var c callInputs
		for call := range int64(1000) {
			c.put(call, inputOf(call))
		}
		for call := range int64(1000) {
			if got, want := c.name(uint64(call)+1), fmt.Sprintf("input %d", inputOf(call)); got != want {
				t.Fatalf("%s: call %d is %q, want %q", name, call, got, want)
			}
		}
		if most := 700; len(c.runs) > most || name != "few" && len(c.runs) > 2 {
			t.Errorf("%s: %d runs are kept", name, len(c.runs))
		}
		c.mix()
		if got := c.name(1); got != "" {
			t.Errorf("%s: among others a call is %q", name, got)
		}
	}
	var c callInputs
	const calls = 4 * mostCallRuns
	for call := range int64(calls) {
		c.put(call, call*call)
	}
	if got := c.name(calls); len(c.runs) > mostCallRuns || got != fmt.Sprintf("input %d", (calls-1)*(calls-1)) {
		t.Errorf("%d runs, and the last call is %s", len(c.runs), got)
	}
	if got := c.name(1); got != "" {
		t.Errorf("a call that was forgotten is %q", got)
	}
}
