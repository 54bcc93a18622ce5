package enginefix

import (
	"strings"
	"testing"
)

// The table differs from the original by the one entry, and without that the probe
// finds the engine wrong: so it can find it.
func TestTable(t *testing.T) { // alone, as it changes the table
	want := original
	want[floatMove] = want[integerMove]
	if useKinds != want || original[floatMove] == original[integerMove] {
		t.Fatalf("the table is\n%v, want\n%v", useKinds, want)
	}
	useKinds = original
	defer correct()
	if err := check(); err == nil || !strings.Contains(err.Error(), "2 of 4") {
		t.Errorf("with the table as it was: %v, want 2 of 4 selects wrong", err)
	}
}

// A table that is not as it was in v1.12.0 is left alone.
func TestOtherTable(t *testing.T) { // alone, as it changes the table
	defer func(kept [len(original)]byte) { useKinds = kept }(useKinds)
	useKinds = original
	useKinds[0]++
	other := useKinds
	correct()
	if useKinds != other {
		t.Errorf("it became\n%v", useKinds)
	}
}
