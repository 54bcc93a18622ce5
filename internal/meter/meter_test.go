package meter_test

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/internal/meter"
	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// A rewritten module is a valid one, whatever it has.
func TestRewriteIsValid(t *testing.T) {
	t.Parallel()
	for _, wat := range []string{
		`(module)`,
		`(module (func (export "f") (loop (br 0))))`,
		`(module (import "a" "f" (func $f)) (func $g (call $f) (call $g)) (start $g) (table 2 funcref) (elem (i32.const 0) $g $f))`,
		`(module (func $f) (elem declare func $f) (table 1 funcref) (elem func $f) (elem funcref (ref.func $f) (ref.null func)))`,
		`(module (memory 1) (data "x") (func (param i32) (memory.init 0 (i32.const 0) (i32.const 0) (i32.const 1)) (data.drop 0)
		   (memory.fill (i32.const 0) (i32.const 0) (i32.const 9)) (memory.copy (i32.const 0) (i32.const 1) (i32.const 9))))`,
		`(module (import "a" "f" (func $f)) (import "a" "memory" (memory 1)) (table $t 2 funcref) (elem $e func $f) (start $g)
		   (func $g (memory.fill (i32.const 0) (i32.const 0) (i32.const 9)) (call $f)
		     (table.init $t $e (i32.const 0) (i32.const 0) (i32.const 1)) (table.copy $t $t (i32.const 0) (i32.const 1) (i32.const 1))
		     (drop (table.grow $t (ref.null func) (i32.const 1))) (table.fill $t (i32.const 0) (ref.null func) (i32.const 1)) (drop (table.size $t))))`,
		`(module (func (param i32) (result i32) (block (block (br_table 0 1 0 (local.get 0)))) (loop (result i32) (if (result i32) (local.get 0) (then (i32.const -1)) (else (loop (result i32) (i32.const 2)))))))`,
		`(module (memory 1) (func (result v128) (v128.load offset=16 (i32.const 0)) (i8x16.shuffle 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 (v128.const i64x2 1 2)) (i8x16.add (v128.const i64x2 1 2)) (i8x16.replace_lane 3 (i32.const 1))))`,
		`(module (type $t (func (result i32))) (table 1 funcref) (func (result i32) (loop (result i32) (call_indirect (type $t) (i32.const 0)))) (func (result f64) (f64.const 1.5)) (func (result f32) (f32.const 1.5)) (func (result i32) (select (result i32) (i32.const 1) (i32.const 2) (i32.const 3))))`,
	} {
		wasm := unittest.Assemble(t, wat, "--debug-names")
		m, err := wasmbin.Parse(wasm)
		if err != nil {
			t.Fatal(err)
		}
		var out []byte
		code, err := meter.Read(wasm, m)
		if err == nil {
			out, err = code.Rewrite()
		}
		if err != nil {
			t.Errorf("%s: %v", wat, err)
			continue
		}
		path := filepath.Join(t.TempDir(), "out.wasm")
		if err := os.WriteFile(path, out, 0o600); err != nil {
			t.Fatal(err)
		}
		if text, err := exec.CommandContext(t.Context(), "wasm-validate", "--enable-all", path).CombinedOutput(); err != nil {
			t.Errorf("%s: %v\n%s", wat, err, text)
		}
	}
}

// TestVersion holds the version to what is written: rewritten modules are kept in
// a folder under it, and must not be taken for those of another rewriter. When
// this fails, raise meter.Version and change both here.
func TestVersion(t *testing.T) {
	t.Parallel()
	const version, want = "18", "f02b11c40c284e1e"
	wasm := unittest.Assemble(t, `(module (import "a" "f" (func $f)) (table 1 funcref) (table 1 externref) (elem (i32.const 0) $g) (start $h)
	  (memory 1)
	  (func $leaf (result i32) (i32.const 7))
	  (func $move (memory.fill (i32.const 0) (i32.const 1) (i32.const 2)) (memory.copy (i32.const 0) (i32.const 1) (i32.const 2)))
	  (func $g (export "g") (result i32) (local i64) (loop (drop (call $leaf)) (br_if 0 (i32.const 0))) (call $f) (call $leaf))
	  (func $b (param i32) (block `+strings.Repeat("(drop (i32.const 1))", 40)+` (block (block (br 1)) (nop)) (br_if 0 (local.get 0))))
	  (func $r (param f32 f64 i64 v128) (result v128) (local.set 0 (f32.copysign (local.get 0) (f32.convert_i64_u (i64.extend_i32_u (i32.clz (i32.ctz (i32.wrap_i64 (local.get 2))))))))
	    (local.set 1 (f64.copysign (local.get 1) (f64.convert_i64_u (i64.clz (i64.ctz (local.get 2)))))) (local.set 3 (f64x2.replace_lane 0 (local.get 3) (local.get 1)))
	    (local.set 3 (v128.bitselect (local.get 3) (f64x2.replace_lane 1 (local.get 3) (local.get 1)) (i8x16.popcnt (local.get 3))))
	    (f32x4.min (f32x4.max (i64x2.mul (local.get 3) (local.get 3)) (local.get 3)) (f64x2.min (f64x2.max (local.get 3) (local.get 3)) (f64x2.convert_low_i32x4_u (f32x4.convert_i32x4_u (local.get 3))))))
	  (func $h (call $f)))`, "--debug-names")
	m, err := wasmbin.Parse(wasm)
	if err != nil {
		t.Fatal(err)
	}
	code, err := meter.Read(wasm, m)
	if err != nil {
		t.Fatal(err)
	}
	out, err := code.Rewrite()
	if err != nil {
		t.Fatal(err)
	}
	if got := fmt.Sprintf("%x", sha256.Sum256(out))[:16]; got != want || meter.Version != version {
		t.Errorf("version %s writes %s, the test knows that version %s writes %s", meter.Version, got, version, want)
	}
}
