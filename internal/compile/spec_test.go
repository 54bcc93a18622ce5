package compile

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/wasmpool/wasmpool/internal/meter"
	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// TestSpecification runs the core test modules of the WebAssembly specification,
// as they lie in wazero's module, as they are and rewritten: each action must
// have the same outcome in both.
func TestSpecification(t *testing.T) {
	t.Parallel()
	root := specFolder(t)
	hostModule, err := os.ReadFile(filepath.Join(root, "testdata", "spectest.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	actions := 0
	for _, suite := range []string{"v1", "v2"} {
		scripts, err := filepath.Glob(filepath.Join(root, suite, "testdata", "*.json"))
		if err != nil || len(scripts) == 0 {
			t.Fatalf("no scripts in %s: %v", suite, err)
		}
		for i, path := range scripts {
			if unittest.Race && i%10 != 0 { // one goroutine has no races
				continue
			}
			s := newSpecScript(t, path, hostModule)
			s.run()
			actions += s.actions
		}
	}
	if least := 1000; actions < least {
		t.Errorf("%d actions were compared, want at least %d", actions, least)
	}
	t.Logf("%d actions had the same outcome", actions)
}

// A specScript is one file of the test suite under way: side 0 runs the modules
// as they are, side 1 rewritten.
type specScript struct {
	t       *testing.T
	path    string
	sides   [2]specSide
	line    int
	actions int
}

type specSide struct {
	runtime wazero.Runtime
	modules map[string]api.Module
	last    api.Module
}

type specCommand struct {
	Type     string
	Line     int
	Name     string
	Filename string
	As       string
	Kind     string `json:"module_type"`
	Action   struct {
		Type, Field, Module string
		Args                []specValue
	}
}

type specValue struct {
	Type  string
	Value any
}

func newSpecScript(t *testing.T, path string, hostModule []byte) *specScript {
	s := &specScript{t: t, path: path}
	ctx := t.Context()
	for i := range s.sides {
		rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCoreFeatures(Features))
		t.Cleanup(func() { _ = rt.Close(context.Background()) })
		err := offerTick(ctx, rt)
		if err == nil {
			_, err = rt.InstantiateWithConfig(ctx, hostModule, wazero.NewModuleConfig().WithName("spectest"))
		}
		if err != nil {
			t.Fatal(err)
		}
		s.sides[i] = specSide{runtime: rt, modules: map[string]api.Module{}}
	}
	return s
}

func (s *specScript) run() {
	text, err := os.ReadFile(s.path)
	var script struct{ Commands []specCommand }
	if err == nil {
		err = json.Unmarshal(text, &script)
	}
	if err != nil {
		s.t.Fatalf("%s: %v", s.path, err)
	}
	for i, c := range script.Commands {
		s.line = c.Line
		switch c.Type {
		case "module":
			s.module(c, registeredAs(script.Commands[i+1:], c.Name))
		case "assert_return", "assert_trap", "assert_exhaustion", "action", "assert_exception":
			s.action(c)
		case "assert_invalid", "assert_malformed", "assert_unlinkable", "assert_uninstantiable":
			if c.Kind != "text" {
				s.module(c, "")
			}
		}
	}
}

// registeredAs returns the name under which the module that comes before rest
// will be imported.
func registeredAs(rest []specCommand, name string) string {
	for _, c := range rest {
		switch {
		case c.Type == "register" && (c.Name == name || c.Name == ""):
			return c.As
		case c.Type == "module" && name == "":
			return ""
		}
	}
	return ""
}

// module instantiates a module on both sides.
func (s *specScript) module(c specCommand, as string) {
	wasm, err := os.ReadFile(filepath.Join(filepath.Dir(s.path), c.Filename))
	if err != nil {
		s.t.Fatal(err)
	}
	var errs [2]error
	for i := range s.sides {
		side := &s.sides[i]
		mod, err := s.instantiate(i, wasm, as)
		errs[i] = err
		if err != nil {
			continue
		}
		side.last = mod
		side.modules[as] = mod
		if c.Name != "" {
			side.modules[c.Name] = mod
		}
	}
	if (errs[0] == nil) != (errs[1] == nil) {
		s.errorf("module %s: as it is: %v; rewritten: %v", c.Filename, errs[0], errs[1])
	}
}

func (s *specScript) instantiate(side int, wasm []byte, as string) (api.Module, error) {
	if side == 1 {
		var code *meter.Code
		m, err := wasmbin.Parse(wasm)
		if err == nil {
			err = Validate(s.t.Context(), wasm)
		}
		if err == nil {
			code, err = meter.Read(wasm, m)
		}
		if err == nil {
			wasm, err = code.Rewrite()
		}
		if err != nil {
			return nil, err
		}
	}
	rt := s.sides[side].runtime
	if old := rt.Module(as); old != nil && as != "" {
		_ = old.Close(s.t.Context())
	}
	return rt.InstantiateWithConfig(s.t.Context(), wasm, wazero.NewModuleConfig().WithName(as))
}

// action does the same on both sides.
func (s *specScript) action(c specCommand) {
	var got [2]string
	for i := range s.sides {
		mod := s.sides[i].last
		if c.Action.Module != "" {
			mod = s.sides[i].modules[c.Action.Module]
		}
		if mod == nil {
			return // it needs what this engine does not have; module has compared that
		}
		got[i] = outcome(s.t.Context(), mod, c)
	}
	s.actions++
	if got[0] != got[1] {
		s.errorf("%s %s: as it is: %s; rewritten: %s", c.Type, c.Action.Field, got[0], got[1])
	}
}

// outcome describes what an action gives.
func outcome(ctx context.Context, mod api.Module, c specCommand) string {
	if c.Action.Type == "get" {
		return fmt.Sprint(mod.ExportedGlobal(c.Action.Field).Get())
	}
	f := mod.ExportedFunction(c.Action.Field)
	if f == nil {
		return "no such function"
	}
	results, err := f.Call(ctx, specArgs(c.Action.Args)...)
	if err != nil {
		message, _, _ := strings.Cut(err.Error(), "\nwasm stack trace:")
		return "error: " + message
	}
	for i, t := range f.Definition().ResultTypes() {
		if t == api.ValueType(wasmbin.FuncRef) || t == api.ValueTypeExternref {
			results = slices.Clone(results)
			results[i] = min(results[i], 1) // an address, or none
		}
	}
	return fmt.Sprint(results)
}

func specArgs(values []specValue) []uint64 {
	var args []uint64
	for _, v := range values {
		switch list := v.Value.(type) {
		case string:
			args = append(args, specNumber(list))
		case []any:
			args = append(args, specVector(list)...)
		}
	}
	return args
}

func specNumber(text string) uint64 {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return 0 // null, or a NaN of any kind
	}
	return n
}

// specVector packs lanes into two words.
func specVector(values []any) []uint64 {
	words := make([]uint64, 2)
	bits := 128 / len(values)
	for i, v := range values {
		n := specNumber(fmt.Sprint(v))
		if bits < 64 {
			n &= 1<<bits - 1
		}
		words[i*bits/64] |= n << (i * bits % 64)
	}
	return words
}

func (s *specScript) errorf(format string, args ...any) {
	s.t.Helper()
	s.t.Errorf("%s line %d: %s", filepath.Base(s.path), s.line, fmt.Sprintf(format, args...))
}
