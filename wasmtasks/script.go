package wasmtasks

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// What runs in the interpreters.
var (
	//go:embed driver.py
	pythonDriver string
	//go:embed driver.js
	javaScriptDriver string
	//go:embed driver.lua
	luaDriver string
)

// A language is one that scripts may be in.
type language struct {
	name      string
	extension string
	args      func(function, file, script string) []string // of the interpreter
}

var languages = []language{
	{"Python", ".py", func(function, file, script string) []string {
		return []string{"-c", pythonDriver, function, file, script}
	}},
	{"JavaScript", ".js", func(function, file, script string) []string {
		return []string{"--std", "-e", fmt.Sprintf("(%s)(%s, %s, %s)", javaScriptDriver, quoted(function), quoted(file), quoted(script))}
	}},
	{"Lua", ".lua", func(function, file, script string) []string {
		return []string{"-e", fmt.Sprintf("(function(...) %s end)(%s, %s, %s)", luaDriver, luaQuoted(function), luaQuoted(file), luaQuoted(script))}
	}},
}

// quoted returns text as JavaScript has it, which is as JSON does.
func quoted(text string) string {
	out, _ := json.Marshal(text) // of text there is no error
	return string(out)
}

// luaQuoted returns text as Lua has it.
func luaQuoted(text string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`, "\r", `\r`).Replace(text) + `"`
}

// ScriptLanguage returns the language of a script, by its name: Python, JavaScript or Lua. It is "" for what is none.
func ScriptLanguage(file string) string {
	if l := languageOf(file); l != nil {
		return l.name
	}
	return ""
}

func languageOf(file string) *language {
	i := slices.IndexFunc(languages, func(l language) bool { return filepath.Ext(file) == l.extension })
	if i < 0 {
		return nil
	}
	return &languages[i]
}

// Script makes a task of a function in a script, whose name ends with .py, .js or .lua. The interpreter is a WASI command:
// CPython for Python, QuickJS's qjs for JavaScript, and lua, or another one that runs the program behind -e, for Lua. docs/map.md
// says where these can be had. The module is the interpreter with the script, and is named after the function: it needs nothing on other ranks.
//
// The function gets the argument of the call, which must be JSON, as a value of the language, and returns what becomes JSON, or bytes, which are
// the result as they are: bytes of Python's, a typed array or an ArrayBuffer of JavaScript's, and what bytes(s) gives of a text s of Lua's. An
// exception fails the call, with its message and where in the script it was, and the interpreter goes on with the next call; bad JSON is bad
// input. What is printed goes to the log. The script runs once on each slot, before the first call: what it keeps in its variables may be there
// in the next call, or not, as with other tasks that are not isolated.
func Script(interpreter *Module, file string, script []byte, function string) (*Module, error) {
	l := languageOf(file)
	if l == nil {
		return nil, fmt.Errorf("wasmtasks: %s is no script: want a name that ends with .py, .js or .lua", file)
	}
	if why := badName(function); why != "" {
		return nil, fmt.Errorf("wasmtasks: %q cannot be the name of a task: %s", function, why)
	}
	if strings.ContainsFunc(function, notOfNames) {
		return nil, fmt.Errorf("wasmtasks: %q cannot be the name of a function", function)
	}
	if bytes.IndexByte(script, 0) >= 0 {
		return nil, fmt.Errorf("wasmtasks: %s is no %s script: it has a zero byte", file, l.name)
	}
	if !utf8.Valid(script) {
		return nil, fmt.Errorf("wasmtasks: %s is no %s script: it is not UTF-8", file, l.name)
	}
	text := strings.TrimPrefix(string(script), "\ufeff") // which some editors put there, and Python and Lua take for a part of the program
	return interpreter.WithName(function).WithCommandLine(CommandLine{Args: l.args(function, filepath.Base(file), text), Keep: "call", Program: interpreter.Name()})
}

// notOfNames reports whether no name of a function has the character, in any of the languages.
func notOfNames(r rune) bool {
	return r < utf8.RuneSelf && r != '_' && r != '$' && !unicode.IsLetter(r) && !unicode.IsDigit(r)
}
