package dispatcher

import (
	"errors"
	"testing"
)

// TestZeroCall checks that a call which nobody has submitted may be cancelled and killed.
func TestZeroCall(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*Call) bool{
		"Cancel": (*Call).Cancel,
		"Kill":   func(c *Call) bool { return c.Kill("why not") },
	} {
		c := &Call{}
		if !end(c) || !c.Resolved() || !errors.Is(c.Err(), ErrCancelled) {
			t.Errorf("%s: %v, resolved: %t", name, c.Err(), c.Resolved())
		}
	}
}
