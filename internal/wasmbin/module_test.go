package wasmbin

import (
	"bytes"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmpool/wasmpool/internal/unittest"
)

const everything = `(module
	(type (func (param i32 i64) (result f32)))
	(import "env" "log" (func (type 0)))
	(import "env" "table" (table 1 2 funcref))
	(import "env" "base" (global i64))
	(import "wasi" "exit" (func (param i32)))
	(memory (export "memory") 2 9)
	(table 3 externref)
	(global (export "answer") (mut i32) (i32.const 42))
	(func (export "add") (param i32 i32) (result i32) local.get 0 local.get 1 i32.add)
	(func (export "two") (param v128 externref) (result f64 i32) f64.const 1 i32.const 2)
	(export "again" (func 0))
	(func $start)
	(start $start)
	(data (i32.const 0) "hello"))`

func TestParse(t *testing.T) {
	t.Parallel()
	wasm := unittest.Assemble(t, everything)
	wasm = append(wasm, section(SectionCustom, name("note"), "hi")...)

	m, err := Parse(wasm)
	if err != nil {
		t.Fatal(err)
	}

	imports := []Import{
		{Module: "env", Name: "log", Kind: KindFunc, Type: 0},
		{Module: "env", Name: "table", Kind: KindTable},
		{Module: "env", Name: "base", Kind: KindGlobal, Global: I64},
		{Module: "wasi", Name: "exit", Kind: KindFunc, Type: 1},
	}
	if diff := cmp.Diff(imports, m.Imports); diff != "" {
		t.Errorf("imports (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Limits{{Min: 2, Max: 9, HasMax: true}}, m.Memories); diff != "" {
		t.Errorf("memories (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]Custom{{Name: "note", Data: []byte("hi")}}, m.Custom); diff != "" {
		t.Errorf("custom sections (-want +got):\n%s", diff)
	}
	signatures := map[string]string{}
	for _, e := range m.Exports {
		if typ, ok := m.FuncType(e.Index); ok && e.Kind == KindFunc {
			signatures[e.Name] = typ.String()
		}
	}
	want := map[string]string{
		"add":   "(i32, i32) -> i32",
		"two":   "(v128, externref) -> (f64, i32)",
		"again": "(i32, i64) -> f32",
	}
	if diff := cmp.Diff(want, signatures); diff != "" {
		t.Errorf("exported functions (-want +got):\n%s", diff)
	}
	if _, ok := m.FuncType(5); ok {
		t.Error("FuncType(5) exists, the module has 5 functions")
	}
}

func TestSection(t *testing.T) {
	t.Parallel()
	wasm := unittest.Assemble(t, everything)
	m, err := Parse(wasm)
	if err != nil {
		t.Fatal(err)
	}
	code, ok := m.Section(wasm, SectionCode)
	if !ok {
		t.Fatal("no code section")
	}
	if got := code.U32(); got != 3 {
		t.Errorf("the code section holds %d functions, want 3", got)
	}
	data, _ := m.Section(wasm, SectionData)
	if got := data.Bytes(uint32(data.Len())); !bytes.HasSuffix(got, []byte("hello")) {
		t.Errorf("the data section is %q", got)
	}
	if _, ok := m.Section(wasm, SectionTag); ok {
		t.Error("there is a tag section")
	}
	end := headerSize
	for _, s := range m.Sections {
		end = s.Offset + s.Size
	}
	if end != len(wasm) {
		t.Errorf("sections end at %d of %d", end, len(wasm))
	}
}

func TestParseErrors(t *testing.T) {
	t.Parallel()
	const header = magic + version
	tests := []struct {
		name, wasm, want string
	}{
		{"empty", "", "not a wasm module (empty)"},
		{"script", "#!/bin/sh\necho", `not a wasm module (starts with "#!/bin/s")`},
		{"header cut", magic + "\x01", "truncated: the file ends in the header"},
		{"component", magic + "\x0d\x00\x01\x00", "a component-model binary, wasmpool runs core modules"},
		{"version 2", magic + "\x02\x00\x00\x00", "wasm version 02000000 is unknown"},
		{"section cut", header + "\x0a\xf4\x03" + strings.Repeat("x", 20), "truncated: section 10 says 500 bytes, 20 left"},
		{"size cut", header + "\x01\x80", "truncated, at offset 0xa"},
		{"size too long", header + "\x01\x80\x80\x80\x80\x10", "does not fit into 32 bits"},
		{"twice", module(section(SectionType, "\x00"), section(SectionType, "\x00")), "section 1 appears twice"},
		{"unknown section", module(section(99)), "section 99: an unknown section"},
		{"entries", module(section(SectionType, "\xff\xff\xff\xff\x0f")), "section 1: truncated: 4294967295 entries announced, 0 bytes left"},
		{"gc type", module(section(SectionType, "\x01\x5f\x00\x00")), "type form 0x5f"},
		{"value type", module(section(SectionType, "\x01\x60\x01\x01\x00")), "unknown value type 0x01"},
		{"left over", module(section(SectionType, "\x00\x00")), "section 1: 1 bytes too many"},
		{"bad name", module(section(SectionImport, "\x01\x01\xff\x00\x00\x00")), "a name is not UTF-8"},
		{"import kind", module(section(SectionImport, "\x01"+name("m")+name("n")+"\x09")), "import m.n is of unknown kind 9"},
		{"export kind", module(section(SectionExport, "\x01"+name("e")+"\x07\x00")), `export "e" is of unknown kind 7`},
		{"no such type", module(section(SectionFunction, "\x01\x05")), "function 0 has a type that does not exist"},
		{"no such function", module(section(SectionExport, "\x01"+name("e")+"\x00\x03")), `export "e" is function 3 of 0`},
		{"same export", module(section(SectionExport, "\x02"+name("e")+"\x02\x00"+name("e")+"\x02\x00")), `export "e" appears twice`},
		{"limits", module(section(SectionMemory, "\x01\x09\x00")), "pages of its own size"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Parse([]byte(tt.wasm))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
}

// Parse reads memories and types of proposals that engines may run.
func TestParseProposals(t *testing.T) {
	t.Parallel()
	m, err := Parse([]byte(module(
		section(SectionType, "\x01\x60\x02\x64\x00\x69\x01\x63\x70"),
		section(SectionImport, "\x02"+name("m")+name("t")+"\x04\x00\x00"+name("m")+name("s")+"\x02\x03\x01\x02"),
		section(SectionMemory, "\x01\x05\x01\x80\x80\x80\x80\x80\x02"),
	)))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := m.Types[0].String(), "(ref, exnref) -> ref null"; got != want {
		t.Errorf("type %s, want %s", got, want)
	}
	if got, want := m.Imports[1].Memory, (Limits{Min: 1, Max: 2, HasMax: true, Shared: true}); got != want {
		t.Errorf("imported memory %+v, want %+v", got, want)
	}
	if got, want := m.Memories[0], (Limits{Min: 1, Max: 1 << 36, HasMax: true, Wide: true}); got != want {
		t.Errorf("memory %+v, want %+v", got, want)
	}
}

// A module that is cut anywhere is an error, or a module with fewer sections.
func TestParseCut(t *testing.T) {
	t.Parallel()
	wasm := unittest.Assemble(t, everything)
	whole, err := Parse(wasm)
	if err != nil {
		t.Fatal(err)
	}
	for n := range wasm {
		m, err := Parse(wasm[:n])
		if err == nil && len(m.Sections) >= len(whole.Sections) {
			t.Errorf("%d of %d bytes make a whole module", n, len(wasm))
		}
	}
}

// A count that promises more than there is must not be believed.
func TestParseAllocates(t *testing.T) {
	for _, id := range []SectionID{SectionType, SectionImport, SectionFunction, SectionMemory, SectionExport} {
		wasm := []byte(module(section(id, "\xff\xff\xff\x7f"+strings.Repeat("\x00", 1000))))
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := Parse(wasm)
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; err == nil || got > 64<<10 {
			t.Errorf("section %d of 1000 bytes: %d bytes allocated, error %v", id, got, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(magic + version))
	f.Add(unittest.Assemble(f, everything))
	f.Add([]byte(module(section(SectionType, "\x01\x60\x02\x64\x00\x69\x01\x63\x70"), section(SectionCustom, name("c"), "x"))))
	f.Fuzz(func(t *testing.T, wasm []byte) {
		before := slices.Clone(wasm)
		m, err := Parse(wasm)
		if !bytes.Equal(before, wasm) {
			t.Fatal("Parse changed its input")
		}
		if err != nil {
			return
		}
		entries := len(m.Types) + len(m.Imports) + len(m.Funcs) + len(m.Memories) + len(m.Exports) + len(m.Custom) + len(m.Sections)
		if entries > len(wasm) {
			t.Errorf("%d entries from %d bytes", entries, len(wasm))
		}
		for _, e := range m.Exports {
			if _, ok := m.FuncType(e.Index); e.Kind == KindFunc && !ok {
				t.Errorf("export %q has no type", e.Name)
			}
		}
		for _, s := range m.Sections {
			if r, ok := m.Section(wasm, s.ID); ok && r.Len() != s.Size {
				t.Errorf("section %d has %d bytes, says %d", s.ID, r.Len(), s.Size)
			}
		}
	})
}

// module, section and name encode a binary by hand, for what no assembler
// would write. Contents are below 128 bytes but for one.
func module(sections ...string) string { return magic + version + strings.Join(sections, "") }

func section(id SectionID, content ...string) string {
	all := strings.Join(content, "")
	size := []byte{byte(len(all))}
	if len(all) >= 128 {
		size = []byte{byte(len(all)) | 0x80, byte(len(all) >> 7)}
	}
	return string(rune(id)) + string(size) + all
}

func name(s string) string { return string(rune(len(s))) + s }
