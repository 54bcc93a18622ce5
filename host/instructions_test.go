package host

import (
	"fmt"
	"strconv"
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/internal/guesttest"
)

// largeFunction is shaped as Go's compiler shapes functions: one loop, at its head a
// br_table over nested blocks, and the pieces of code behind those. It starts with
// piece $piece and does that $turns times, then goes straight through those after it.
// A piece is 44 instructions, with 3 more at the head of a turn.
func largeFunction(pieces int) string {
	var b strings.Builder
	b.WriteString(`(module (func (export "run") (param $turns i32) (param $piece i32) (result i32) (local $x i32) (loop $head `)
	b.WriteString(strings.Repeat("(block ", pieces))
	b.WriteString("(br_table ")
	for i := range pieces {
		fmt.Fprint(&b, i, " ")
	}
	b.WriteString("(local.get $piece))")
	for range pieces {
		b.WriteString(")")
		b.WriteString(strings.Repeat("(local.set $x (i32.add (local.get $x) (i32.const 1)))", 9))
		b.WriteString("(local.set $turns (i32.sub (local.get $turns) (i32.const 1)))")
		b.WriteString("(br_if $head (i32.gt_s (local.get $turns) (i32.const 0)))")
	}
	b.WriteString(") (local.get $x)))")
	return b.String()
}

// TestInstructionsOfLargeFunctions checks that a loop costs about what it executes,
// however much code there is beside it in the function, and that no code is free.
func TestInstructionsOfLargeFunctions(t *testing.T) {
	t.Parallel()
	const piece, turns = 44, 10_000
	h := newHost(t, Config{})
	for _, pieces := range []int{1, 2, 5, 50, 900} {
		task := taskOf(t, load(t, h, guesttest.Module(t, fmt.Sprintf("large%d", pieces), largeFunction(pieces))), "run")
		slot := newSlot(t, h)
		for _, at := range []int{0, pieces / 2, pieces - 1} {
			run(t, slot, task, fmt.Sprintf("[%d, %d]", turns, at))
			all := slot.Usage().Instructions
			run(t, slot, task, fmt.Sprintf("[%d, %d]", 1, at))
			straight := slot.Usage().Instructions
			if want := uint64(piece * (pieces - at)); straight < want/2 || straight > 3*want+300 {
				t.Errorf("%d pieces of %d: %d instructions straight, want about %d", pieces-at, pieces, straight, want)
			}
			if each := (all - straight) / (turns - 1); each < piece/3 || each > 6*piece {
				t.Errorf("a turn of piece %d of %d: %d instructions, want about %d", at, pieces, each, piece)
			}
		}
	}
}

// An else is no part of the piece of code behind a block that the arm before it has.
func TestInstructionsOfElse(t *testing.T) {
	t.Parallel()
	const instructions, turns = 4 * 100, 1000
	wat := `(module (func (export "run") (result i32) (local $x i32) (local $i i32)
	  (local.set $i (i32.const 1000))
	  (loop
	    (if (i32.eqz (local.get $i)) (then (block (br_if 0 (local.get $x))) ` + strings.Repeat("(local.set $x (i32.const 1))", 50) + `)
	      (else ` + strings.Repeat("(local.set $x (i32.add (local.get $x) (i32.const 1)))", 100) + `))
	    (br_if 0 (local.tee $i (i32.sub (local.get $i) (i32.const 1)))))
	  (local.get $x)))`
	h := newHost(t, Config{})
	slot := newSlot(t, h)
	run(t, slot, taskOf(t, load(t, h, guesttest.Module(t, "else", wat)), "run"), "")
	if n := slot.Usage().Instructions; n < turns*instructions || n > 2*turns*instructions {
		t.Errorf("it counts %d instructions, want %d and some more", n, turns*instructions)
	}
}

// Code that a branch reaches without paying leads to nothing else that need not be paid for,
// whatever the way from one to the next: here each branch leads past the code that pays.
func TestInstructionsOfBranches(t *testing.T) {
	t.Parallel()
	const pieces, turns, each = 200, 100, 60
	work := strings.Repeat("(local.set $x (i32.add (local.get $x) (i32.const 1)))", each/4)
	full := strings.Repeat("(local.set $x (i32.const 1))", 35) // all that a piece may pay for
	blocks := strings.Repeat("(block ", pieces)
	h := newHost(t, Config{})
	for name, code := range map[string]string{
		"br":       strings.Repeat(`(block (block (br 1)))`+work, pieces),
		"br_if":    strings.Repeat(`(block (block (br_if 1 (i32.const 1)) (br 0)) (nop))`+work, pieces),
		"br_table": strings.Repeat(`(block (block (br_table 1 1 (i32.const 0))))`+work, pieces),
		"if":       strings.Repeat(`(block (block (if (i32.const 1) (then (br 2)))) (nop))`+work, pieces),
		"inside":   blocks + strings.Repeat(`(block (br 1)))`+work, pieces),
		"behind":   strings.Repeat(`(block (block (br 1)) (nop))`+work+`(block (nop) (br_if 0 (i32.const 0)))`, pieces),
	} {
		wat := `(module (func (export "run") (result i32) (local $x i32) (local $i i32) (local.set $i (i32.const ` + strconv.Itoa(turns) + `))
		  (loop $turn ` + full + code + ` (br_if $turn (local.tee $i (i32.sub (local.get $i) (i32.const 1))))) (local.get $x)))`
		slot := newSlot(t, h)
		run(t, slot, taskOf(t, load(t, h, guesttest.Module(t, name, wat)), "run"), "")
		if n, least := slot.Usage().Instructions, uint64(pieces*turns*each/3); n < least {
			t.Errorf("%s: it counts %d instructions, want %d at least", name, n, least)
		}
	}
}

// The count of instructions is the same on each run, however the call came to
// its instance, and a budget of exactly that lets it pass.
func TestInstructionsAreDeterministic(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	mod := load(t, h, guesttest.Module(t, "limits", limitsWAT))
	work := taskOf(t, mod, "work")
	var first uint64
	for i := range 3 {
		slot := newSlot(t, h)
		for range 3 {
			run(t, slot, work, "")
			n := slot.Usage().Instructions
			if first == 0 {
				first = n
			}
			if n != first || n < 100_000 {
				t.Errorf("slot %d: %d instructions, want %d", i, n, first)
			}
		}
		if _, err := slot.Run(t.Context(), work, &Call{Limits: &Limits{Instructions: first}}); err != nil {
			t.Errorf("with a budget of %d: %v", first, err)
		}
		for _, less := range []uint64{1, first / 2, first - 1} {
			_, err := slot.Run(t.Context(), work, &Call{Limits: &Limits{Instructions: first - less}})
			e := errorOf(t, err)
			if e.Kind != KindBudget || e.Usage.Instructions <= first-less || e.Usage.Instructions > first {
				t.Errorf("%d less: %v after %d", less, e, e.Usage.Instructions)
			}
		}
	}
}
