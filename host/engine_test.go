package host

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/internal/guesttest"
)

// Tests of the engine's faults, and of what closes them: docs/engine.md.

// In memories of up to 2 GiB, an address of 2 GiB and more is past the end, however a
// module comes by it. In larger ones the engine on amd64 reaches 2 GiB below the memory
// when such a constant is used again behind a call, or behind the arms of an if.
func TestConstantAddresses(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	slot := newSlot(t, h)
	accesses := []struct{ name, code string }{
		{"load", `(drop (i32.load (local.get $a)))`},
		{"byte", `(drop (i32.load8_s (local.get $a)))`},
		{"wide", `(drop (i64.load (local.get $a)))`},
		{"float", `(drop (f64.load (local.get $a)))`},
		{"store", `(i32.store (local.get $a) (i32.const 1))`},
		{"offset", `(drop (i32.load8_u offset=8 (local.get $a)))`},
		{"far", `(drop (i32.load8_u offset=0x80000000 (local.get $a)))`},
		{"farthest", `(drop (i32.load8_u offset=0xffffffff (local.get $a)))`},
		{"vector", `(drop (v128.load (local.get $a)))`},
		{"splat", `(drop (v128.load32_splat (local.get $a)))`},
		{"lane", `(drop (v128.load8_lane 3 (local.get $a) (v128.const i64x2 0 0)))`},
		{"vectors", `(v128.store (local.get $a) (v128.const i64x2 1 2))`},
		{"fill", `(memory.fill (local.get $a) (i32.const 1) (i32.const 8))`},
		{"from", `(memory.copy (i32.const 0) (local.get $a) (i32.const 8))`},
		{"to", `(memory.copy (local.get $a) (i32.const 0) (i32.const 8))`},
		{"init", `(memory.init $d (local.get $a) (i32.const 0) (i32.const 4))`},
	}
	var functions strings.Builder
	for _, a := range accesses {
		fmt.Fprintf(&functions, `
	(func (export "%[1]s_call") (param i32) (local $a i32) (local.set $a (i32.const 0x80000010)) %[2]s (call $g) %[2]s)
	(func (export "%[1]s_last") (param i32) (local $a i32) (local.set $a (i32.const 0xffffffff)) %[2]s (call $g) %[2]s)
	(func (export "%[1]s_edge") (param i32) (local $a i32) (local.set $a (i32.const 0x7fffffff)) (i32.store8 (local.get $a) (i32.const 0)) %[2]s (call $g) %[2]s)
	(func (export "%[1]s_merge") (param $c i32) (local $a i32) (local.set $a (i32.const 0x80000010))
		(if (local.get $c) (then %[2]s) (else (drop (i32.load8_u offset=1 (local.get $a))))) %[2]s)`, a.name, a.code)
	}
	fits := map[string]bool{"byte_edge": true, "lane_edge": true} // the last byte of the memory
	for _, memory := range []string{`(memory 32768)`, `(memory 32768 32768)`, `(memory 32768 65536)`} {
		mod := load(t, h, guesttest.Module(t, "memory", `(module `+memory+` (data $d "data") (func $g)`+functions.String()+`)`))
		for _, a := range accesses {
			for _, way := range []string{"call", "last", "edge", "merge"} {
				task := taskOf(t, mod, a.name+"_"+way)
				if fits[a.name+"_"+way] {
					run(t, slot, task, "0")
					continue
				}
				for _, arg := range []string{"0", "1"} {
					if err := runFailing(t, slot, task, arg); err.Kind != KindTrap || !strings.Contains(err.Message, "out of bounds memory access") {
						t.Errorf("%s: %s(%s): %v, want a trap, out of bounds", memory, task.export, arg, err)
					}
				}
			}
		}
	}
}

// Memory ends at 2 GiB, whatever a module says.
func TestMostMemory(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	slot := newSlot(t, h)
	const grow = ` (func (export "grow") (param i32 i32) (result i32) (drop (memory.grow (local.get 0))) (memory.grow (local.get 1))))`
	for _, memory := range []string{`(memory 0)`, `(memory 0 65536)`, `(memory 0 32769)`} {
		task := taskOf(t, load(t, h, guesttest.Module(t, "grow", `(module `+memory+grow)), "grow")
		for _, step := range []struct{ pages, want string }{{"[0,32769]", "-1"}, {"[0,65536]", "-1"}, {"[1,32767]", "1"}, {"[32768,1]", "-1"}} {
			if got := run(t, slot, task, step.pages); got != step.want {
				t.Errorf("%s: growing by %s gave %s, want %s", memory, step.pages, got, step.want)
			}
		}
	}
	for _, memory := range []string{`(memory 32769)`, `(memory 32769 65536)`, `(memory 65536)`} {
		_, err := h.Load(t.Context(), guesttest.Module(t, "large", `(module `+memory+grow))
		if !errors.Is(err, KindBadModule) || !strings.Contains(err.Error(), "the limit is 2048 MiB") {
			t.Errorf("%s: %v, want it refused for its memory", memory, err)
		}
	}
}

// A select of floats gives one of its operands: this one does not where the engine's
// table is not corrected. It is what clang makes of "out = c ? x : y; return f(x);"
// behind two calls.
func TestFloatSelect(t *testing.T) {
	t.Parallel()
	const wat = `(module
	(memory 1)
	(func $twice (param f64) (result f64) (f64.store (i32.const 8) (local.get 0)) (f64.add (local.get 0) (local.get 0)))
	(func $keep (param f64 f64) (f64.store (i32.const 8) (f64.mul (local.get 0) (local.get 1))))
	(func (export "choose") (param f64 f64 i32) (result f64)
		(local.set 0 (call $twice (local.get 0)))
		(call $keep (f64.const 7) (f64.const 9))
		(f64.store (i32.const 0) (local.tee 1 (select (local.get 0) (local.get 1) (local.get 2))))
		(drop (call $twice (local.get 0)))
		(local.get 1))
	(func $nothing)
	(func $vector (param v128 v128 v128 v128 v128 v128) (result v128) (local $chosen v128) (local $n i32)
		(block (loop
			(br_if 1 (i32.gt_s (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 3)))
			(call $nothing)
			(local.set $chosen (select (local.get 5) (v128.const i64x2 7 7) (i32.const 0)))
			(br 0)))
		(local.get $chosen))
	(func (export "vector") (param i64) (result i64) (local $v v128)
		(local.set $v (i64x2.splat (local.get 0)))
		(i64x2.extract_lane 1 (call $vector (local.get $v) (local.get $v) (local.get $v) (local.get $v) (local.get $v) (local.get $v)))))`
	m := guesttest.Module(t, "select", wat)
	for _, cfg := range []Config{{}, {NoMeter: true}, {CacheDir: t.TempDir()}} {
		h := newHost(t, cfg)
		slot := newSlot(t, h)
		mod := load(t, h, m)
		choose := taskOf(t, mod, "choose")
		for arg, want := range map[string]string{"[1.5,2.5,0]": "2.5", "[1.5,2.5,1]": "3"} {
			if got := run(t, slot, choose, arg); got != want {
				t.Errorf("%+v: choose(%s) = %s, want %s", cfg, arg, got, want)
			}
		}
		if got := run(t, slot, taskOf(t, mod, "vector"), "[3]"); got != "7" {
			t.Errorf("%+v: of vectors 3 and 7 it chose %s, want 7", cfg, got)
		}
	}
}

// A branch upon a comparison of zero with some bits of a number, whichever of them stands
// on the left: with the zero there the engine turns the comparison round, unless its table
// is corrected.
func TestBranchUponBits(t *testing.T) {
	t.Parallel()
	var functions strings.Builder
	comparisons := []string{"eq", "ne", "lt_s", "lt_u", "gt_s", "gt_u", "le_s", "le_u", "ge_s", "ge_u"}
	for _, typ := range []string{"i32", "i64"} {
		for _, c := range comparisons {
			name, zero, bits := typ+"_"+c, "("+typ+".const 0)", "("+typ+".and (local.get 0) (local.get 1))"
			for side, operands := range map[string]string{"left": zero + bits, "right": bits + zero} {
				fmt.Fprintf(&functions, `
	(func (export "%[1]s_%[2]s_branch") (param %[3]s %[3]s) (result i32) (if (%[3]s.%[4]s %[5]s) (then (return (i32.const 1)))) (i32.const 0))
	(func (export "%[1]s_%[2]s_value") (param %[3]s %[3]s) (result i32) (%[3]s.%[4]s %[5]s))`, name, side, typ, c, operands)
			}
		}
	}
	h := newHost(t, Config{})
	slot := newSlot(t, h)
	mod := load(t, h, guesttest.Module(t, "bits", `(module `+functions.String()+`)`))
	for _, typ := range []string{"i32", "i64"} {
		for _, c := range comparisons {
			for _, side := range []string{"left", "right"} {
				for _, arg := range []string{"[5,4]", "[5,2]", "[-1,-8]"} {
					name := typ + "_" + c + "_" + side
					branch, value := run(t, slot, taskOf(t, mod, name+"_branch"), arg), run(t, slot, taskOf(t, mod, name+"_value"), arg)
					if branch != value {
						t.Errorf("%s(%s): the branch is taken by %s, the comparison gives %s", name, arg, branch, value)
					}
				}
			}
		}
	}
}

// In a loop with a call, operands wait in memory and are wanted in the registers in which
// the loop began: the engine itself gets each of these wrong.
func TestRemedies(t *testing.T) {
	t.Parallel()
	var functions strings.Builder
	for _, c := range []struct{ name, code string }{
		{"bitselect", "(v128.bitselect (local.get 5) (local.get 6) (local.get 4))"},
		{"replace", "(f64x2.replace_lane 0 (v128.const f64x2 5 6) (local.get 7))"},
		{"convert", "(f64x2.convert_low_i32x4_u (local.get 3))"},
	} {
		fmt.Fprintf(&functions, `
	(func $%[1]s (param v128 v128 v128 v128 v128 v128 v128 f64) (result v128) (local $r v128) (local $n i32)
		(block (loop
			(br_if 1 (i32.gt_s (local.tee $n (i32.add (local.get $n) (i32.const 1))) (i32.const 3)))
			(call $nothing)
			(local.set $r %[2]s)
			(br 0)))
		(local.get $r))
	(func (export "%[1]s") (param i64) (result i64) (local $v v128) (local $w v128) (local $r v128)
		(local.set $v (i64x2.splat (local.get 0)))
		(local.set $w (v128.not (local.get $v)))
		(local.set $r (call $%[1]s (local.get $v) (local.get $v) (local.get $v) (local.get $v) (v128.const i64x2 255 255)
			(local.get $v) (local.get $w) (f64.const 7)))
		(i64.xor (i64x2.extract_lane 0 (local.get $r)) (i64.mul (i64.const 3) (i64x2.extract_lane 1 (local.get $r)))))`, c.name, c.code)
	}
	h := newHost(t, Config{})
	slot := newSlot(t, h)
	mod := load(t, h, guesttest.Module(t, "remedies", `(module (func $nothing)`+functions.String()+`)`))
	bits := func(first, second uint64) string { return strconv.FormatInt(int64(first^3*second), 10) }
	const v = 0x1234_5678_9abc
	chosen := ^uint64(v)&^255 | v&255
	for name, want := range map[string]string{
		"bitselect": bits(chosen, chosen),
		"replace":   bits(math.Float64bits(7), math.Float64bits(6)),
		"convert":   bits(math.Float64bits(0x5678_9abc), math.Float64bits(0x1234)),
	} {
		if got := run(t, slot, taskOf(t, mod, name), fmt.Sprintf("[%d]", v)); got != want {
			t.Errorf("%s: %s, want %s", name, got, want)
		}
	}
}

// TestCopySign checks that a copysign whose operands wait in memory, after a call, gives
// the sign of the second: the engine itself gives a negative zero here.
func TestCopySign(t *testing.T) {
	t.Parallel()
	var functions strings.Builder
	for _, typ := range []string{"f32", "f64"} {
		fmt.Fprintf(&functions, `
	(global $%[1]s (mut %[1]s) (%[1]s.const 3))
	(type $%[1]s (func (param %[1]s %[1]s %[1]s)))
	(elem declare func $store_%[1]s)
	(func $store_%[1]s (type $%[1]s) (%[1]s.store (i32.const 8) (local.get 1)))
	(func (export "%[1]s") (param %[1]s %[1]s %[1]s) (result %[1]s) (local $g %[1]s)
		(local.set 2 (%[1]s.load (i32.const 0)))
		(memory.fill (i32.const 0) (i32.const 0) (i32.const 70))
		(call_indirect (type $%[1]s) (local.get 2)
			(%[1]s.copysign (local.get 2) (select (local.tee $g (global.get $%[1]s)) (%[1]s.const nan) (%[1]s.eq (local.get $g) (local.get $g))))
			(%[1]s.const 2147483648) (i32.const %[2]s))
		(%[1]s.div (%[1]s.const 1) (%[1]s.load (i32.const 8))))
	(func (export "%[1]s_of") (param %[1]s %[1]s) (result %[1]s) (%[1]s.copysign (local.get 0) (local.get 1)))`,
			typ, map[string]string{"f32": "0", "f64": "1"}[typ])
	}
	h := newHost(t, Config{})
	slot := newSlot(t, h)
	mod := load(t, h, guesttest.Module(t, "signs", `(module (memory 1) (table funcref (elem $store_f32 $store_f64))`+functions.String()+`)`))
	for _, typ := range []string{"f32", "f64"} {
		if got := run(t, slot, taskOf(t, mod, typ), "[0,0,-1]"); got != `"Infinity"` {
			t.Errorf("%s: 1/copysign(0, 3) is %s, want Infinity", typ, got)
		}
		for arg, want := range map[string]string{"[1.5,-2]": "-1.5", "[-1.5,2]": "1.5", "[-1.5,-0.0]": "-1.5", "[2,1]": "2"} {
			if got := run(t, slot, taskOf(t, mod, typ+"_of"), arg); got != want {
				t.Errorf("%s: copysign%s = %s, want %s", typ, arg, got, want)
			}
		}
	}
}
