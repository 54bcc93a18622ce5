package enginefix

import (
	"strings"
	"testing"
)

// The tables differ from the original ones by one entry each, and without either the
// probe finds the engine wrong: so it can find it.
func TestTables(t *testing.T) { // alone, as it changes the tables
	kinds, effects := originalUseKinds, originalSideEffects
	kinds[floatMove], effects[and] = kinds[integerMove], hasEffect
	if useKinds != kinds || kinds == originalUseKinds {
		t.Fatalf("the kinds of use are\n%v, want\n%v", useKinds, kinds)
	}
	if sideEffects != effects || effects == originalSideEffects {
		t.Fatalf("the side effects are\n%v, want\n%v", sideEffects, effects)
	}
	defer correct()
	useKinds = originalUseKinds
	if err := check(); err == nil || !strings.Contains(err.Error(), "2 of 8") {
		t.Errorf("with the kinds of use as they were: %v, want 2 selects wrong", err)
	}
	correct()
	sideEffects = originalSideEffects
	if err := check(); err == nil || !strings.Contains(err.Error(), "3 of 8") {
		t.Errorf("with the side effects as they were: %v, want 3 branches wrong", err)
	}
}

// Tables that are not as they were in v1.12.0 are left alone.
func TestOtherTables(t *testing.T) { // alone, as it changes the tables
	defer func(kinds [len(originalUseKinds)]byte, effects [len(originalSideEffects)]byte) {
		useKinds, sideEffects = kinds, effects
	}(useKinds, sideEffects)
	useKinds, sideEffects = originalUseKinds, originalSideEffects
	useKinds[0]++
	sideEffects[0]++
	kinds, effects := useKinds, sideEffects
	correct()
	if useKinds != kinds || sideEffects != effects {
		t.Errorf("they became\n%v\n%v", useKinds, sideEffects)
	}
}
