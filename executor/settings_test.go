package executor

import "testing"

// TestNoOptionsCostNothing checks that a call without options takes no memory for them.
func TestNoOptionsCostNothing(t *testing.T) {
	if n := testing.AllocsPerRun(100, func() {
		if set, err := settingsOf(nil); set.options != nil || err != nil {
			t.Error(set, err)
		}
	}); n > 0 {
		t.Errorf("settings without options take memory %v times", n)
	}
}
