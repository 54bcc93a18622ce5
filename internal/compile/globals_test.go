package compile

import (
	"slices"
	"testing"

	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// Every kind of global is put back, or keeps the module from being reset.
func TestExportGlobals(t *testing.T) {
	t.Parallel()
	const tasks = `(func (export "work") (result i32) (i32.const 0))`
	for _, tt := range []struct {
		globals string
		want    int
		ok      bool
	}{
		{"", 0, true},
		{`(global i32 (i32.const 1))`, 0, true},
		{`(global (mut i32) (i32.const -5)) (global f64 (f64.const 3)) (global (mut f32) (f32.const 1)) (global (mut i64) (i64.const 0x7fffffffffffffff))`, 3, true},
		{`(global $a i32 (i32.const 7)) (global (export "b") (mut i32) (i32.const 1)) (global v128 (v128.const i64x2 1 2)) (global funcref (ref.null func))`, 1, true},
		{`(global (mut v128) (v128.const i64x2 1 2))`, 0, false},
		{`(global (mut externref) (ref.null extern))`, 0, false},
	} {
		wasm := unittest.Assemble(t, "(module "+tt.globals+tasks+")")
		out, names, ok := ExportGlobals(wasm)
		if ok != tt.ok || len(names) != tt.want {
			t.Errorf("%s: %v, %t", tt.globals, names, ok)
		}
		m, err := wasmbin.Parse(out)
		if err != nil {
			t.Fatalf("%s: %v", tt.globals, err)
		}
		for _, name := range names {
			if !slices.ContainsFunc(m.Exports, func(e wasmbin.Export) bool { return e.Name == name && e.Kind == wasmbin.KindGlobal }) {
				t.Errorf("%s: %s is not exported by %v", tt.globals, name, m.Exports)
			}
		}
	}
}
