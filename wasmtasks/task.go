package wasmtasks

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/wasmpool/wasmpool/internal/abi"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// Kind says how a task is called.
type Kind uint8

// The kinds of tasks.
const (
	// KindTask takes and gives bytes through the imports of wasmpool.
	KindTask Kind = iota

	// KindRaw is an export whose parameters and results are numbers.
	KindRaw

	// KindCommand is a WASI program: the argument is its standard input, the
	// result its standard output. An argument that is text (UTF-8 without a
	// zero byte) of up to 4096 bytes is its first command-line argument, too.
	KindCommand
)

// String returns "task", "raw" or "command".
func (k Kind) String() string {
	switch k {
	case KindTask:
		return "task"
	case KindRaw:
		return "raw"
	case KindCommand:
		return "command"
	default:
		return fmt.Sprintf("kind %d", uint8(k))
	}
}

// MarshalText writes the kind as String does.
func (k Kind) MarshalText() ([]byte, error) { return []byte(k.String()), nil }

// A Task is one function of a module that can be called.
type Task struct {
	Name      string   `json:"name"` // the export's, or of a command the module's
	Kind      Kind     `json:"kind"`
	Signature string   `json:"signature"` // such as "(i32, i32) -> i32"
	Params    []string `json:"params"`    // of the signature, such as "i32"
	Results   []string `json:"results"`
	Doc       string   `json:"doc,omitempty"` // one line
	In        string   `json:"in,omitempty"`  // the argument's type, as the author wrote it
	Out       string   `json:"out,omitempty"` // the result's type
}

// An Export is something a module exports that is not a task.
type Export struct {
	Name string `json:"name"`
	Kind string `json:"kind"` // "func", "memory", …
	Why  string `json:"why"`  // it is not a task
}

// findTasks fills tasks and other from the exports.
func (m *Module) findTasks() error {
	usesABI := slices.ContainsFunc(m.parsed.Imports, func(i wasmbin.Import) bool { return i.Module == abi.Module })
	for _, e := range m.parsed.Exports {
		t, why := m.classify(e, usesABI)
		if why != "" {
			m.other = append(m.other, Export{Name: e.Name, Kind: e.Kind.String(), Why: why})
			continue
		}
		m.tasks = append(m.tasks, t)
	}
	slices.SortFunc(m.tasks, func(a, b Task) int { return strings.Compare(a.Name, b.Name) })
	if err := m.checkTasks(); err != nil {
		return err
	}
	if m.isCommand() {
		m.becomeCommand()
	}
	m.addDocs()
	slices.SortFunc(m.other, func(a, b Export) int { return strings.Compare(a.Name, b.Name) })
	return nil
}

// classify makes a task of an export, or says why it is none.
func (m *Module) classify(e wasmbin.Export, usesABI bool) (t Task, why string) {
	if e.Kind != wasmbin.KindFunc {
		return t, "not a function"
	}
	if e.Name == abi.Start {
		return t, "the program of a WASI command"
	}
	if strings.HasPrefix(e.Name, "_") || strings.HasPrefix(e.Name, abi.ReservedPrefix) {
		return t, "the name is reserved"
	}
	if why := badName(e.Name); why != "" {
		return t, "the name " + why
	}
	typ, _ := m.parsed.FuncType(e.Index)
	for _, v := range slices.Concat(typ.Params, typ.Results) {
		if !v.Numeric() {
			return t, fmt.Sprintf("%v is no number", v)
		}
	}
	t = Task{Name: e.Name, Kind: KindRaw, Signature: typ.String(), Params: names(typ.Params), Results: names(typ.Results)}
	if usesABI && t.Signature == "() -> i32" {
		t.Kind = KindTask
	}
	return t, ""
}

// checkTasks finds modules that were built in a way that cannot work.
func (m *Module) checkTasks() error {
	i := slices.IndexFunc(m.tasks, func(t Task) bool { return t.Kind == KindTask })
	if i < 0 {
		return nil
	}
	if m.exports(abi.Start, wasmbin.KindFunc) {
		return fmt.Errorf("it is a program (it exports %s) that also has tasks, such as %s: build with -buildmode=c-shared (Go) or -mexec-model=reactor (clang)", abi.Start, m.tasks[i].Name)
	}
	if !m.exports(abi.Memory, wasmbin.KindMemory) {
		return fmt.Errorf("it has tasks, such as %s, but exports no memory named %q", m.tasks[i].Name, abi.Memory)
	}
	return nil
}

// isCommand reports whether the module is a WASI program. Such a module has
// no byte tasks, by checkTasks.
func (m *Module) isCommand() bool { return m.exports(abi.Start, wasmbin.KindFunc) }

// becomeCommand replaces the tasks, which a program cannot offer: its set-up
// is part of running it.
func (m *Module) becomeCommand() {
	for _, t := range m.tasks {
		m.other = append(m.other, Export{Name: t.Name, Kind: wasmbin.KindFunc.String(), Why: "the module is a WASI command: build a reactor to call it"})
	}
	m.tasks = []Task{{Name: m.name, Kind: KindCommand, Signature: "() -> ()", Params: []string{}, Results: []string{}}}
}

// addDocs adds what the custom section says about tasks. It is only
// documentation, so one that does not decode is as good as none.
func (m *Module) addDocs() {
	i := slices.IndexFunc(m.parsed.Custom, func(c wasmbin.Custom) bool { return c.Name == abi.SectionTasks })
	if i < 0 {
		return
	}
	var docs []abi.TaskDoc
	if json.Unmarshal(m.parsed.Custom[i].Data, &docs) != nil {
		return
	}
	for _, d := range docs {
		if i, ok := m.search(d.Name); ok {
			m.tasks[i].Doc, m.tasks[i].In, m.tasks[i].Out = d.Doc, d.In, d.Out
		} else if d.Name == abi.Start && m.isCommand() {
			m.tasks[0].Doc = d.Doc
		}
	}
}

func (m *Module) exports(name string, kind wasmbin.Kind) bool {
	return slices.ContainsFunc(m.parsed.Exports, func(e wasmbin.Export) bool { return e.Name == name && e.Kind == kind })
}

func names(types []wasmbin.ValType) []string {
	list := make([]string, len(types))
	for i, t := range types {
		list[i] = t.String()
	}
	return list
}

// maxName bounds the names of modules and tasks, which travel in messages and
// log lines.
const maxName = 128

// badName says why a name cannot be that of a module or task, or nothing.
func badName(name string) (why string) {
	switch {
	case name == "":
		return "is empty"
	case len(name) > maxName:
		return fmt.Sprintf("has more than %d bytes", maxName)
	case !utf8.ValidString(name):
		return "is not UTF-8"
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "holds characters that do not print"
	}
	return ""
}
