package worker

import (
	"fmt"
	"slices"
	"testing"
)

// A status names each thing once, and not more than find room in a frame.
func TestSome(t *testing.T) {
	t.Parallel()
	if got := some([]string{"b", "a", "b"}); !slices.Equal(got, []string{"a", "b"}) {
		t.Error(got)
	}
	var many []string
	for i := range 100 {
		many = append(many, fmt.Sprintf("%03d", i), "000")
	}
	got := some(many)
	if len(got) != mostNamed+1 || got[0] != "000" || got[mostNamed] != "and 80 more" {
		t.Error(got)
	}
}
