package wasmtasks

import (
	"encoding/json"
	"errors"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmpool/wasmpool/internal/abi"
	"github.com/wasmpool/wasmpool/internal/unittest"
)

// mixed has an export of each sort.
const mixed = `(module
	(import "wasmpool" "output_write" (func (param i32 i32)))
	(import "env" "scale" (global f64))
	(memory (export "memory") 2 9)
	(global (export "answer") i32 (i32.const 42))
	(func (export "task") (result i32) i32.const 0)
	(func (export "add") (param i32 i64) (result f32) f32.const 0)
	(func (export "both") (result i32 f64) i32.const 0 f64.const 0)
	(func (export "run"))
	(func (export "vector") (param v128))
	(func (export "_initialize"))
	(func (export "wasmpool_describe") (result i32) i32.const 0)
	(func (export "") (result i32) i32.const 0)
	(func (export "a\nb") (result i32) i32.const 0))`

func TestDescribe(t *testing.T) {
	t.Parallel()
	m := load(t, "mixed", mixed)
	want := Description{
		Name:   "mixed",
		Digest: m.Digest().String(),
		Size:   len(m.Bytes()),
		Tasks: []Task{
			{Name: "add", Kind: KindRaw, Signature: "(i32, i64) -> f32", Params: []string{"i32", "i64"}, Results: []string{"f32"}},
			{Name: "both", Kind: KindRaw, Signature: "() -> (i32, f64)", Params: []string{}, Results: []string{"i32", "f64"}},
			{Name: "run", Kind: KindRaw, Signature: "() -> ()", Params: []string{}, Results: []string{}},
			{Name: "task", Kind: KindTask, Signature: "() -> i32", Params: []string{}, Results: []string{"i32"}},
		},
		Asks:   []string{},
		Memory: MemoryInfo{MinPages: 2, MaxPages: 9, HasMax: true, Exported: true},
		Imports: []Import{
			{Module: "wasmpool", Name: "output_write", Signature: "(i32, i32) -> ()"},
			{Module: "env", Name: "scale", Signature: "global f64"},
		},
		Other: []Export{
			{Name: "", Kind: "func", Why: "the name is empty"},
			{Name: "_initialize", Kind: "func", Why: "the name is reserved"},
			{Name: "a\nb", Kind: "func", Why: "the name holds characters that do not print"},
			{Name: "answer", Kind: "global", Why: "not a function"},
			{Name: "memory", Kind: "memory", Why: "not a function"},
			{Name: "vector", Kind: "func", Why: "v128 is no number"},
			{Name: "wasmpool_describe", Kind: "func", Why: "the name is reserved"},
		},
	}
	if diff := cmp.Diff(want, m.Describe()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDescribeJSON(t *testing.T) {
	t.Parallel()
	m := load(t, "bare", `(module (func (export "f")))`)
	got, err := json.Marshal(m.Describe())
	if err != nil {
		t.Fatal(err)
	}
	want := `{"name":"bare","digest":"` + m.Digest().String() + `","size":31,` +
		`"tasks":[{"name":"f","kind":"raw","signature":"() -\u003e ()","params":[],"results":[]}],` +
		`"memory":{"min_pages":0,"has_max":false,"exported":false},"asks":[],"imports":[],"other":[]}`
	if diff := cmp.Diff(want, string(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// A module says by its imports what it asks of the world.
func TestDescribeAsks(t *testing.T) {
	t.Parallel()
	m := load(t, "asks", `(module
		(import "wasi_snapshot_preview1" "random_get" (func (param i32 i32) (result i32)))
		(import "wasi_snapshot_preview1" "poll_oneoff" (func (param i32 i32 i32 i32) (result i32)))
		(import "wasi_snapshot_preview1" "clock_time_get" (func (param i32 i64 i32) (result i32)))
		(import "wasi_snapshot_preview1" "fd_write" (func (param i32 i32 i32 i32) (result i32)))
		(import "env" "sock_send" (func)))`)
	if diff := cmp.Diff([]string{"clock", "random"}, m.Describe().Asks); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The same signature is a byte task or a number, by what the module imports.
func TestKindByImport(t *testing.T) {
	t.Parallel()
	m := load(t, "answer", `(module (memory (export "memory") 1) (func (export "answer") (result i32) i32.const 42))`)
	task, ok := m.Task("answer")
	if !ok || task.Kind != KindRaw {
		t.Errorf("answer is %v, %v", task.Kind, ok)
	}
	if _, ok := m.Task("memory"); ok {
		t.Error("memory is a task")
	}
}

func TestCommand(t *testing.T) {
	t.Parallel()
	m := load(t, "greet", `(module (memory (export "memory") 1) (func (export "_start")) (func (export "add") (param i32)))`)
	want := []Task{{Name: "greet", Kind: KindCommand, Signature: "() -> ()", Params: []string{}, Results: []string{}}}
	if diff := cmp.Diff(want, m.Tasks()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	other := m.Describe().Other
	if len(other) != 3 || other[1].Name != "add" || !strings.Contains(other[1].Why, "WASI command") {
		t.Errorf("other exports: %+v", other)
	}

	renamed := m.WithName("hello")
	if _, ok := renamed.Task("hello"); !ok || renamed.Name() != "hello" || renamed.Digest() != m.Digest() {
		t.Errorf("renamed: %s %+v", renamed.Name(), renamed.Tasks())
	}
	if _, ok := m.Task("greet"); !ok {
		t.Error("renaming a module changed the original")
	}
}

func TestLoadErrors(t *testing.T) {
	t.Parallel()
	const imports = `(import "wasmpool" "input_len" (func (result i32)))`
	tests := []struct{ name, module, wat, want string }{
		{"no name", "", `(module)`, `"" cannot be a module's name: it is empty`},
		{"long name", strings.Repeat("x", 129), `(module)`, "has more than 128 bytes"},
		{"line in name", "a\nb", `(module)`, "holds characters that do not print"},
		{"bytes in name", "a\xff", `(module)`, "is not UTF-8"},
		{"program with tasks", "m", `(module ` + imports + `(memory (export "memory") 1) (func (export "_start")) (func (export "t") (result i32) i32.const 0))`, "build with -buildmode=c-shared"},
		{"no memory", "m", `(module ` + imports + `(func (export "t") (result i32) i32.const 0))`, `exports no memory named "memory"`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Load(tt.module, unittest.Assemble(t, tt.wat))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %v, want %q", err, tt.want)
			}
		})
	}
	_, err := Load("m", []byte("hello"))
	if want := `wasmtasks: module m: not a wasm module (starts with "hello")`; err == nil || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
}

func TestLoadFile(t *testing.T) {
	t.Parallel()
	wasm := unittest.Assemble(t, mixed)
	file := filepath.Join(t.TempDir(), "stars.v2.wasm")
	writeFile(t, file, string(wasm))
	fromFile, err := LoadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := Open(t.Context(), file)
	if err != nil {
		t.Fatal(err)
	}
	fromFS, err := LoadFS(fstest.MapFS{"wasm/stars.v2.wasm": {Data: wasm}}, "wasm/stars.v2.wasm")
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range []*Module{fromFile, opened, fromFS} {
		if m.Name() != "stars.v2" || len(m.Tasks()) != 4 {
			t.Errorf("module %s has tasks %v", m.Name(), m.Tasks())
		}
	}
	if _, err := LoadFile(file + "x"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
	if _, err := LoadFS(fstest.MapFS{}, "a.wasm"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("error %v", err)
	}
}

// The section's text about tasks that exist is taken; the rest is ignored.
func TestDocs(t *testing.T) {
	t.Parallel()
	wasm := unittest.Assemble(t, mixed)
	tests := []struct{ section, want string }{
		{`[{"name":"task","doc":"Does it.","in":"[]Star","out":"int"},{"name":"none","doc":"x"},{"name":"_start","doc":"x"}]`, "Does it. []Star int"},
		{`[{"name":"task","doc":"Does it."}`, "  "},
		{`{"name":7}`, "  "},
		{"", "  "},
	}
	for _, tt := range tests {
		m, err := Load("mixed", appendSection(slices.Clone(wasm), abi.SectionTasks, []byte(tt.section)))
		if err != nil {
			t.Fatal(err)
		}
		task, _ := m.Task("task")
		if got := task.Doc + " " + task.In + " " + task.Out; got != tt.want {
			t.Errorf("%s: %q, want %q", tt.section, got, tt.want)
		}
		if add, _ := m.Task("add"); add.Doc != "" {
			t.Errorf("%s: add has the doc %q", tt.section, add.Doc)
		}
	}
}
