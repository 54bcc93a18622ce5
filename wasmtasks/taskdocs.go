package wasmtasks

import (
	"bytes"
	"errors"
	"go/ast"
	"go/doc"
	"go/parser"
	"go/printer"
	"go/scanner"
	"go/token"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/wasmpool/wasmpool/internal/abi"
)

const (
	sdkPath         = "github.com/wasmpool/wasmpool/sdk"
	exportDirective = "//go:wasmexport "
)

// readDocs describes the exported functions of the packages, sorted by name.
func readDocs(packages []goPackage) ([]abi.TaskDoc, error) {
	r := &docReader{byPath: make(map[string]*goPackage), parsed: make(map[string]*parsedPackage)}
	for i := range packages {
		r.byPath[packages[i].ImportPath] = &packages[i]
	}
	var docs []abi.TaskDoc
	for _, p := range packages {
		found, err := r.exports(p)
		if err != nil {
			return nil, err
		}
		docs = append(docs, found...)
	}
	slices.SortFunc(docs, func(a, b abi.TaskDoc) int { return strings.Compare(a.Name, b.Name) })
	return docs, nil
}

// programDoc describes a program, under the name _start.
func programDoc(p *goPackage) []abi.TaskDoc {
	if p.Doc == "" {
		return nil
	}
	return []abi.TaskDoc{{Name: abi.Start, Doc: synopsis(p.Doc)}}
}

// A docReader finds what the comments and signatures say about tasks. It
// looks at syntax only: what it does not understand stays empty.
type docReader struct {
	byPath map[string]*goPackage
	parsed map[string]*parsedPackage // by import path
}

type parsedPackage struct {
	funcs []function // those without receiver
}

// A function keeps its file, which says what package names mean in it.
type function struct {
	decl *ast.FuncDecl
	file *ast.File
}

func (p *parsedPackage) lookup(name string) (function, bool) {
	i := slices.IndexFunc(p.funcs, func(f function) bool { return f.decl.Name.Name == name })
	if i < 0 {
		return function{}, false
	}
	return p.funcs[i], true
}

// exports describes the functions of a package that are marked with
// //go:wasmexport. Most packages have none and are not parsed.
func (r *docReader) exports(listed goPackage) ([]abi.TaskDoc, error) {
	if has, err := mentions(listed, exportDirective); err != nil || !has {
		return nil, err
	}
	p, err := r.parse(listed.ImportPath)
	if err != nil {
		return nil, err
	}
	var docs []abi.TaskDoc
	for _, f := range p.funcs {
		if name, ok := exportName(f.decl); ok {
			docs = append(docs, r.describe(p, f, name))
		}
	}
	return docs, nil
}

// checkExports finds a slip that the compiler takes for a comment.
func checkExports(p *goPackage) error {
	const slip = "\n// go:wasmexport "
	if has, err := mentions(*p, slip); err != nil || !has {
		return err
	}
	return errors.New("there is a line that begins with // go:wasmexport: write //go:wasmexport, without the space")
}

// mentions reports whether a package's sources hold a text.
func mentions(listed goPackage, text string) (bool, error) {
	for _, name := range listed.GoFiles {
		data, err := os.ReadFile(filepath.Join(listed.Dir, name))
		if err != nil {
			return false, err
		}
		if bytes.Contains(data, []byte(text)) {
			return true, nil
		}
	}
	return false, nil
}

// parse returns the package with this import path. One that is not part of
// the build, as those of the standard library, has no functions.
func (r *docReader) parse(importPath string) (*parsedPackage, error) {
	if p, ok := r.parsed[importPath]; ok {
		return p, nil
	}
	p := &parsedPackage{}
	r.parsed[importPath] = p
	listed, ok := r.byPath[importPath]
	if !ok {
		return p, nil
	}
	for _, name := range listed.GoFiles {
		file, err := parser.ParseFile(token.NewFileSet(), filepath.Join(listed.Dir, name), nil, parser.ParseComments|parser.SkipObjectResolution)
		if list := scanner.ErrorList(nil); errors.As(err, &list) {
			return nil, syntaxError{list}
		}
		if err != nil {
			return nil, err
		}
		for _, d := range file.Decls {
			if decl, ok := d.(*ast.FuncDecl); ok && decl.Recv == nil {
				p.funcs = append(p.funcs, function{decl, file})
			}
		}
	}
	return p, nil
}

// exportName returns the name a function is exported under.
func exportName(decl *ast.FuncDecl) (name string, ok bool) {
	if decl.Doc == nil {
		return "", false
	}
	for _, c := range decl.Doc.List {
		if rest, found := strings.CutPrefix(c.Text, exportDirective); found {
			name, ok = strings.TrimSpace(rest), true // of two the last counts
		}
	}
	return name, ok
}

// describe reads an export's comment. A wrapper without one has that of the
// function it wraps.
func (r *docReader) describe(p *parsedPackage, f function, name string) abi.TaskDoc {
	d := abi.TaskDoc{Name: name, Doc: synopsis(f.decl.Doc.Text())}
	call, ok := sdkCall(f)
	if !ok {
		return d
	}
	typ, comment := r.resolve(p, f.file, call.Args[0])
	if d.Doc == "" {
		d.Doc = synopsis(comment)
	}
	if typ != nil && typ.TypeParams == nil {
		d.In, d.Out = firstType(typ.Params), firstType(typ.Results)
	}
	if explicit, ok := call.Fun.(*ast.IndexListExpr); ok { // sdk.JSON[In, Out](fn)
		d.In, d.Out = typeText(explicit.Indices[0]), typeText(explicit.Indices[1])
	}
	return d
}

// sdkWrappers are the functions of the sdk that are the body of a task.
var sdkWrappers = []string{"Bytes", "JSON", "StrictJSON"}

// sdkCall returns the call in a body that is "return sdk.JSON(fn)", or another wrapper.
func sdkCall(f function) (*ast.CallExpr, bool) {
	if f.decl.Body == nil || len(f.decl.Body.List) != 1 {
		return nil, false
	}
	ret, ok := f.decl.Body.List[0].(*ast.ReturnStmt)
	if !ok || len(ret.Results) != 1 {
		return nil, false
	}
	call, ok := ret.Results[0].(*ast.CallExpr)
	if !ok || len(call.Args) != 1 {
		return nil, false
	}
	fun := call.Fun
	if explicit, ok := fun.(*ast.IndexListExpr); ok {
		fun = explicit.X
	}
	sel, ok := fun.(*ast.SelectorExpr)
	if !ok || !slices.Contains(sdkWrappers, sel.Sel.Name) {
		return nil, false
	}
	pkg, ok := sel.X.(*ast.Ident)
	return call, ok && importPath(f.file, pkg.Name) == sdkPath
}

// resolve returns the type and the comment of a function that is written out,
// named, or named in another package.
func (r *docReader) resolve(p *parsedPackage, file *ast.File, fn ast.Expr) (typ *ast.FuncType, comment string) {
	var name string
	switch fn := fn.(type) {
	case *ast.FuncLit:
		return fn.Type, ""
	case *ast.Ident:
		name = fn.Name
	case *ast.SelectorExpr:
		pkg, ok := fn.X.(*ast.Ident)
		if !ok {
			return nil, ""
		}
		name = fn.Sel.Name
		var err error
		if p, err = r.parse(importPath(file, pkg.Name)); err != nil {
			return nil, ""
		}
	}
	f, ok := p.lookup(name)
	if !ok {
		return nil, ""
	}
	return f.decl.Type, f.decl.Doc.Text()
}

// importPath returns what a package name means in a file. A package imported
// without a name is taken to be called as its path ends.
func importPath(file *ast.File, name string) string {
	for _, spec := range file.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue
		}
		if spec.Name != nil && spec.Name.Name == name || spec.Name == nil && path.Base(p) == name {
			return p
		}
	}
	return ""
}

// firstType returns the text of a list's first type.
func firstType(list *ast.FieldList) string {
	if list == nil || len(list.List) == 0 {
		return ""
	}
	return typeText(list.List[0].Type)
}

// typeText returns a type as the author wrote it, on one line.
func typeText(typ ast.Expr) string {
	var b strings.Builder
	if err := printer.Fprint(&b, token.NewFileSet(), typ); err != nil {
		return ""
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// synopsis returns the first sentence of a comment.
func synopsis(comment string) string { return new(doc.Package).Synopsis(comment) }
