package archtest

import (
	"go/importer"
	"go/token"
	"go/types"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
)

// public are the packages that programs import.
var public = []string{"executor", "feed", "host", "memo", "monitor", "pool", "sdk", "wasmtasks"}

// A public signature names types of the standard library and of the public
// packages only. So no signature of host names a type of wazero.
func TestSignatures(t *testing.T) {
	t.Parallel()
	args := []string{"-export"}
	for _, name := range public {
		args = append(args, "./"+name)
	}
	packages, err := view{env: []string{"CGO_ENABLED=0"}}.list(args...)
	if err != nil {
		t.Fatal(err)
	}
	imp := importer.ForCompiler(token.NewFileSet(), "gc", func(path string) (io.ReadCloser, error) {
		return os.Open(packages[path].Export)
	})
	for _, name := range public {
		pkg, err := imp.Import(root + "/" + name)
		if err != nil {
			t.Fatal(err)
		}
		shown := typesShown(pkg)
		for _, obj := range shown {
			from := obj.Pkg().Path()
			if packages[from].Standard {
				continue
			}
			if own, ok := short(from); !ok || !slices.Contains(public, own) {
				t.Errorf("package %s shows %s.%s", name, from, obj.Name())
			}
		}
		if len(shown) == 0 {
			t.Errorf("package %s shows no type at all", name)
		}
	}
}

// typesShown returns the named types that users of a package can meet: in the
// signatures of functions and methods, in exported fields, and in variables.
func typesShown(pkg *types.Package) []*types.TypeName {
	w := walker{home: pkg, seen: map[types.Type]bool{}}
	for _, name := range pkg.Scope().Names() {
		if obj := pkg.Scope().Lookup(name); obj.Exported() {
			w.visit(obj.Type())
		}
	}
	return w.shown
}

// A walker follows the types of one package; a type of another package is noted
// and not followed.
type walker struct {
	home  *types.Package
	seen  map[types.Type]bool
	shown []*types.TypeName
}

func (w *walker) visit(t types.Type) {
	if w.seen[t] {
		return
	}
	w.seen[t] = true
	switch t := t.(type) {
	case *types.Alias:
		w.name(t.Obj())
		w.visit(t.Rhs())
	case *types.Named:
		w.named(t)
	case *types.Signature:
		w.visit(t.Params())
		w.visit(t.Results())
	case *types.Tuple:
		for v := range t.Variables() {
			w.visit(v.Type())
		}
	case *types.Struct:
		w.fields(t)
	case *types.Interface:
		for m := range t.Methods() {
			w.visit(m.Type())
		}
	case *types.Map:
		w.visit(t.Key())
		w.visit(t.Elem())
	case interface{ Elem() types.Type }: // pointer, slice, array, channel
		w.visit(t.Elem())
	}
}

// name notes a type, unless it is of the language itself.
func (w *walker) name(obj *types.TypeName) {
	if obj.Pkg() != nil {
		w.shown = append(w.shown, obj)
	}
}

func (w *walker) named(t *types.Named) {
	w.name(t.Obj())
	for arg := range t.TypeArgs().Types() {
		w.visit(arg)
	}
	if t.Obj().Pkg() != w.home {
		return
	}
	for m := range t.Methods() {
		if m.Exported() {
			w.visit(m.Type())
		}
	}
	w.visit(t.Underlying())
}

func (w *walker) fields(t *types.Struct) {
	for f := range t.Fields() {
		if f.Exported() || f.Embedded() {
			w.visit(f.Type())
		}
	}
}

// The walker finds a foreign type wherever it hides.
func TestTypesShown(t *testing.T) {
	t.Parallel()
	foreign := types.NewPackage("other.org/x", "x")
	secret := types.NewNamed(types.NewTypeName(token.NoPos, foreign, "Secret", nil), types.NewStruct(nil, nil), nil)
	in := func(t types.Type) *types.Var { return types.NewParam(token.NoPos, nil, "", t) }
	field := func(name string) *types.Struct {
		return types.NewStruct([]*types.Var{types.NewField(token.NoPos, nil, name, secret, false)}, nil)
	}
	for name, tc := range map[string]struct {
		t    types.Type
		want bool
	}{
		"result":       {types.NewSignatureType(nil, nil, nil, nil, types.NewTuple(in(types.NewSlice(secret))), false), true},
		"callback":     {types.NewSignatureType(nil, nil, nil, types.NewTuple(in(types.NewSignatureType(nil, nil, nil, types.NewTuple(in(secret)), nil, false))), nil, false), true},
		"field":        {field("Open"), true},
		"hidden field": {field("shut"), false},
		"map key":      {types.NewMap(secret, types.Typ[types.Int]), true},
	} {
		home := types.NewPackage("home", "home")
		home.Scope().Insert(types.NewVar(token.NoPos, home, "V", tc.t))
		var names []string
		for _, obj := range typesShown(home) {
			names = append(names, obj.Name())
		}
		if got := strings.Join(names, " ") == "Secret"; got != tc.want {
			t.Errorf("%s: shows %q", name, names)
		}
	}
}
