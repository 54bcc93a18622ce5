package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"github.com/spf13/cobra"

	"github.com/wasmpool/wasmpool"
	"github.com/wasmpool/wasmpool/internal/plain"
)

//go:embed scaffold
var scaffold embed.FS

// sdkFolder is where a scaffolded module keeps its copy of the SDK.
const sdkFolder = "wasmpool-sdk"

func (a *app) initCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "init DIR",
		Short: "Write a task package to start from",
		Long: `Init writes a package with two tasks and their test into DIR, which must be new or
empty. The package is a Go module of its own, with a copy of wasmpool's SDK, so
that it builds without a network. Inside a module that requires wasmpool it is
a package of that module instead.`,
		Example: `  wasmpool init mytasks
  (cd mytasks && go test ./...)
  wasmpool run mytasks upper --arg hello`,
		Args: argCount(1, 1, ""),
		RunE: a.onRoot(func(_ context.Context, args []string) error { return a.init(args[0]) }),
	}
}

func (a *app) init(dir string) error {
	full, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if err := checkEmpty(dir, full); err != nil {
		return err
	}
	names := scaffoldNames{Name: baseName(filepath.Base(full)), SDK: sdkFolder, Version: wasmpool.Version}
	own, err := needsModule(full)
	if err != nil {
		return err
	}
	if err := writeScaffold(full, names, own); err != nil {
		return fmt.Errorf("writing %s: %w", dir, err)
	}
	_, err = fmt.Fprintf(plain.NewWriter(a.out), "wrote a task package to %s; try:\n  go test -C %s ./...\n  wasmpool run %s upper --arg hello\n", dir, dir, dir)
	return err
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
	Name    string // last element of the module's path
	SDK     string // the folder of its copy of the SDK
	Version string // of wasmpool
}

func writeScaffold(dir string, names scaffoldNames, ownModule bool) error {
	for _, file := range []string{"tasks.go", "tasks_test.go", "README.md"} {
		if err := writeTemplate(dir, file, file, names); err != nil {
			return err
		}
	}
	if !ownModule {
		return nil
	}
	if err := writeTemplate(dir, "go.mod", "go.mod", names); err != nil {
		return err
	}
	sdk := filepath.Join(dir, names.SDK)
	if err := writeTemplate(sdk, "go.mod", "sdk.mod", names); err != nil {
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
	return writeFile(filepath.Join(dir, file), []byte(text.String()))
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
