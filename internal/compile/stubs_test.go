package compile

import (
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/internal/meter"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// Functions that nobody offers may have stubs, and nothing else may.
func TestStubImports(t *testing.T) {
	t.Parallel()
	rules := usual()
	rules.StubImports = true
	function := imported("env", "f", 0, 0)
	for _, tt := range []struct {
		name string
		wasm []byte
		want string // "" where it may run
	}{
		{"a function", importing(function), ""},
		{"of JavaScript", importing(imported("env", "emscripten_resize_heap", 0, 0)), ""},
		{"of WASI", importing(imported("wasi_snapshot_preview1", "sock_open", 0, 0)), ""},
		{"of a newer wasmpool", importing(imported("wasmpool", "new", 0, 0)), ""},
		{"the tick", importing(imported("wasmpool", meter.Tick, 0, 0)), "not for modules to call"},
		{"another type than is offered", importing(imported("wasmpool", "output_write", 0, 0)), "it imports the function wasmpool.output_write as"},
		{"a memory", importing(function, imported("env", "memory", 2, 0, 1)), "it imports the memory env.memory"},
		{"a global", importing(function, imported("env", "g", 3, "\x7f\x00")), "it imports the global env.g"},
		{"a table", importing(function, imported("env", "t", 1, "\x70\x00\x01")), "it imports the table env.t"},
		{"a vector", cat(wasmHead, sec(1, 1, "\x60\x01\x7b\x00"), sec(2, 1, function)), "it imports the function env.f"},
		{"a type that is not there", cat(wasmHead, sec(2, 1, function)), "type that does not exist"},
	} {
		err := Check(tt.wasm, rules)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
		if err := Check(tt.wasm, usual()); err == nil {
			t.Errorf("%s: it may run without stubs", tt.name)
		}
	}
}

// A module that is stubbed is the same but for its imports, and another one in the cache.
func TestStubbedModule(t *testing.T) {
	t.Parallel()
	wasm := cat(wasmHead, sec(0, str("x"), "custom"), sec(1, 2, "\x60\x00\x01\x7f", "\x60\x02\x7e\x7c\x00"),
		sec(2, 4, imported("env", "f", 0, 0), imported("wasmpool", "input_len", 0, 0), imported("env", "f", 0, 1), imported("\xc3\xa9", "", 0, 0)),
		oneFunc, oneMemory, sec(7, 2, str("f"), 0, 4, str("memory"), 2, 0), fnBody(noLocals, "\x10\x01\x0b"))
	m, err := wasmtasks.Load("m", wasm)
	if err != nil {
		t.Fatal(err)
	}
	facts, err := wasmbin.Parse(wasm)
	if err != nil {
		t.Fatal(err)
	}
	b, err := newBare(m, facts)
	if err != nil {
		t.Fatal(err)
	}
	before := *b
	if stubs, err := b.stub(usual()); stubs != nil || err != nil || b.digest != before.digest {
		t.Errorf("without the rule: %v, %v", stubs, err)
	}
	rules := usual()
	rules.StubImports = true
	stubs, err := b.stub(rules)
	if err != nil || len(stubs) != 3 || stubs[1].Name != "f" || stubs[1].Type.String() != facts.Types[1].String() || stubs[2].Module != "\u00e9" {
		t.Fatalf("the stubs are %v, %v", stubs, err)
	}
	var names []string
	for _, i := range b.facts.Imports {
		names = append(names, i.Module+"."+i.Name)
	}
	if got, want := strings.Join(names, " "), "wasmpool_stub.0 wasmpool.input_len wasmpool_stub.1 wasmpool_stub.2"; got != want {
		t.Errorf("it imports %s, want %s", got, want)
	}
	if b.digest == before.digest || len(b.facts.Sections) != len(before.facts.Sections) || b.facts.Exports[0] != before.facts.Exports[0] {
		t.Errorf("the module is %+v, was %+v", b.facts, before.facts)
	}
	if err := Validate(t.Context(), b.wasm); err != nil {
		t.Error(err)
	}
}
