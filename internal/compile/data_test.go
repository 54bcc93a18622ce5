package compile

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// Segments become one where nothing can tell: the memory starts out the same.
func TestJoinData(t *testing.T) {
	t.Parallel()
	many := ""
	for i := range 1000 {
		many += fmt.Sprintf(`(data (i32.const %d) "\01%c")`, 100+i*20, 'a'+i%26)
	}
	for _, tt := range []struct {
		name, wat    string
		before, then int
	}{
		{"none", ``, 0, 0},
		{"one", `(data (i32.const 8) "a")`, 1, 1},
		{"adjoining", `(data (i32.const 8) "a") (data (i32.const 9) "b")`, 2, 1},
		{"near", `(data (i32.const 8) "a") (data (i32.const 73) "b")`, 2, 1},
		{"far", `(data (i32.const 8) "a") (data (i32.const 74) "b")`, 2, 2},
		{"a thousand", many, 1000, 1},
		{"backwards", `(data (i32.const 20) "a") (data (i32.const 10) "b") (data (i32.const 12) "c")`, 3, 2},
		{"over the same", `(data (i32.const 20) "abc") (data (i32.const 21) "B")`, 2, 2},
		{"with bytes between", `(data (i32.const 10) "abcdefgh") (data (i32.const 10) "12") (data (i32.const 15) "3")`, 3, 3},
		{"behind what lies above", `(data (i32.const 30) "abc") (data (i32.const 10) "12") (data (i32.const 14) "3") (data (i32.const 33) "d")`, 4, 3},
		{"up to what lies above", `(data (i32.const 30) "abc") (data (i32.const 10) "12") (data (i32.const 30) "3") (data (i32.const 32) "d")`, 4, 3},
		{"of no bytes", `(data (i32.const 8) "a") (data (i32.const 12) "") (data (i32.const 20) "b")`, 3, 1},
		{"in the upper half", `(data (i32.const 0x7ffffffe) "a") (data (i32.const 0x80000000) "b") (data (i32.const 0x80000010) "c")`, 3, 1},
		{"by a global", `(import "env" "g" (global $g i32)) (data (i32.const 8) "a") (data (i32.const 9) "b") (data (offset (i32.const 10)) "c") (data (global.get $g) "d")`, 4, 4},
		{"passive", `(data (i32.const 8) "a") (data (i32.const 9) "b") (data "c")`, 3, 3},
		{"that code names", `(data (i32.const 8) "a") (data (i32.const 9) "b") (func (data.drop 0))`, 2, 2},
	} {
		wasm := unittest.Assemble(t, `(module `+tt.wat+` (memory 0x8001))`)
		joined := joinData(wasm)
		if before, then := segments(t, wasm), segments(t, joined); before != tt.before || then != tt.then {
			t.Errorf("%s: %d segments became %d, want %d and %d", tt.name, before, then, tt.before, tt.then)
		}
		if tt.name == "by a global" {
			continue // it is the module as it came
		}
		if want, got := startMemory(t, wasm), startMemory(t, joined); !reflect.DeepEqual(got, want) {
			t.Errorf("%s: the memory starts with another content", tt.name)
		}
	}
	guest := guesttest.Build(t, "../../host/testdata/guest").Bytes()
	if before, then := segments(t, guest), segments(t, joinData(guest)); before < 1000 || then > 100 {
		t.Errorf("%d segments of a Go guest became %d", before, then)
	}
	if want, got := startMemory(t, guest), startMemory(t, joinData(guest)); !reflect.DeepEqual(got, want) {
		t.Error("the memory of a Go guest starts with another content")
	}
}

// segments returns how many data segments a module has.
func segments(t *testing.T, wasm []byte) int {
	t.Helper()
	m, err := wasmbin.Parse(wasm)
	if err != nil {
		t.Fatal(err)
	}
	r, found := m.Section(wasm, wasmbin.SectionData)
	if !found {
		return 0
	}
	return r.Count(1)
}

// startMemory returns the pages that the active segments of a module write to, by their numbers.
func startMemory(t *testing.T, wasm []byte) map[uint32]*[wasmbin.PageSize]byte {
	t.Helper()
	pages := map[uint32]*[wasmbin.PageSize]byte{}
	m, err := wasmbin.Parse(wasm)
	if err != nil {
		t.Fatal(err)
	}
	r, found := m.Section(wasm, wasmbin.SectionData)
	if !found {
		return pages
	}
	for range r.Count(1) {
		at := uint32(0)
		if flag := r.U32(); flag == 0 {
			if r.Byte() != 0x41 {
				t.Fatal("an address is no constant")
			}
			at = uint32(r.S33())
			r.Byte()
		} else if flag != 1 {
			t.Fatalf("a segment of kind %d", flag)
		}
		for _, b := range r.Bytes(r.U32()) {
			page := pages[at/wasmbin.PageSize]
			if page == nil {
				page = new([wasmbin.PageSize]byte)
				pages[at/wasmbin.PageSize] = page
			}
			page[at%wasmbin.PageSize] = b
			at++
		}
	}
	if r.Err() != nil || r.Len() > 0 {
		t.Fatalf("the data section: %v", r.Err())
	}
	return pages
}
