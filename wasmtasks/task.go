package wasmtasks

import (
	"bytes"
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
	// result its standard output. Its command line is a grant of the host's, in which
	// the argument may stand instead.
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

// findTasks fills tasks and docs.
func (m *Module) findTasks() error {
	m.usesABI = slices.ContainsFunc(m.parsed.Imports, func(i wasmbin.Import) bool { return i.Module == abi.Module })
	m.tasks = make([]uint32, 0, len(m.parsed.Exports))
	for _, i := range m.parsed.SortedExports() {
		if m.whyNot(m.parsed.Exports[i]) == "" {
			m.tasks = append(m.tasks, i)
		}
	}
	if err := m.checkTasks(); err != nil {
		return err
	}
	m.command = m.exports(abi.Start, wasmbin.KindFunc)
	m.docs = m.readDocs()
	return nil
}

// whyNot says why an export is no task, or nothing.
func (m *Module) whyNot(e wasmbin.Export) string {
	if e.Kind != wasmbin.KindFunc {
		return "not a function"
	}
	if e.Name == abi.Start {
		return "the program of a WASI command"
	}
	if strings.HasPrefix(e.Name, "_") || strings.HasPrefix(e.Name, abi.ReservedPrefix) {
		return "the name is reserved"
	}
	if why := badName(e.Name); why != "" {
		return why
	}
	typ, _ := m.parsed.FuncType(e.Index)
	for _, values := range [][]wasmbin.ValType{typ.Params, typ.Results} {
		for _, v := range values {
			if !v.Numeric() {
				return v.String() + " is no number"
			}
		}
	}
	return ""
}

// kindOf returns the kind of a task of this type.
func (m *Module) kindOf(t wasmbin.FuncType) Kind {
	if m.usesABI && len(t.Params) == 0 && len(t.Results) == 1 && t.Results[0] == wasmbin.I32 {
		return KindTask
	}
	return KindRaw
}

// checkTasks finds modules that were built in a way that cannot work.
func (m *Module) checkTasks() error {
	i := slices.IndexFunc(m.tasks, func(at uint32) bool {
		typ, _ := m.parsed.FuncType(m.parsed.Exports[at].Index)
		return m.kindOf(typ) == KindTask
	})
	if i < 0 {
		return nil
	}
	name := m.parsed.Exports[m.tasks[i]].Name
	if m.exports(abi.Start, wasmbin.KindFunc) {
		return fmt.Errorf("it is a program (it exports %s) that also has tasks, such as %s: build with -buildmode=c-shared (Go) or -mexec-model=reactor (clang)", abi.Start, name)
	}
	if !m.exports(abi.Memory, wasmbin.KindMemory) {
		return fmt.Errorf("it has tasks, such as %s, but exports no memory named %q", name, abi.Memory)
	}
	return nil
}

// A signer makes tasks. Those of one type share what is said about it, since a small
// module may have a very long type and very many functions of it.
type signer struct {
	m     *Module
	known map[uint32]Task // by type, without a name
}

// task makes a task of an export.
func (s signer) task(export uint32) Task {
	e := s.m.parsed.Exports[export]
	t := s.typed(e.Index)
	t.Name = e.Name
	d := s.m.docs[e.Name]
	t.Doc, t.In, t.Out = d.Doc, d.In, d.Out
	return t
}

func (s signer) typed(function uint32) Task {
	at, _ := s.m.parsed.TypeOf(function)
	t, ok := s.known[at]
	if !ok {
		typ := s.m.parsed.Types[at]
		t = Task{Kind: s.m.kindOf(typ), Signature: typ.String(), Params: names(typ.Params), Results: names(typ.Results)}
		s.known[at] = t
	}
	return t
}

// program is the task of a command. It has no others, since its set-up is part of
// running it.
func (m *Module) program() Task {
	return Task{Name: m.name, Kind: KindCommand, Signature: "() -> ()", Params: []string{}, Results: []string{}, Doc: m.docs[abi.Start].Doc}
}

// mostDocs is how many bytes of documentation are read: those of ten thousand tasks.
const mostDocs = 1 << 20

// readDocs returns what the custom section says about tasks, and the program, by
// name. It is only documentation, so one that does not decode is as good as none.
func (m *Module) readDocs() map[string]abi.TaskDoc {
	i := slices.IndexFunc(m.parsed.Custom, func(c wasmbin.Custom) bool { return c.Name == abi.SectionTasks })
	if i < 0 || len(m.parsed.Custom[i].Data) > mostDocs {
		return nil
	}
	docs := make(map[string]abi.TaskDoc)
	d := json.NewDecoder(bytes.NewReader(m.parsed.Custom[i].Data))
	if start, err := d.Token(); err != nil || start != json.Delim('[') {
		return nil
	}
	for doc := new(abi.TaskDoc); d.More(); {
		*doc = abi.TaskDoc{}
		if d.Decode(doc) != nil {
			return nil
		}
		if _, ok := m.search(doc.Name); ok || doc.Name == abi.Start {
			docs[doc.Name] = *doc
		}
	}
	if _, err := d.Token(); err != nil || d.More() {
		return nil
	}
	return docs
}

func (m *Module) exports(name string, kind wasmbin.Kind) bool {
	e, ok := m.parsed.Export(name)
	return ok && e.Kind == kind
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

var longName = fmt.Sprintf("the name has more than %d bytes", maxName)

// badName says why a name cannot be that of a module or task, or nothing.
func badName(name string) (why string) {
	switch {
	case name == "":
		return "the name is empty"
	case len(name) > maxName:
		return longName
	case !utf8.ValidString(name):
		return "the name is not UTF-8"
	case strings.ContainsFunc(name, func(r rune) bool { return !unicode.IsPrint(r) }):
		return "the name holds characters that do not print"
	}
	return ""
}
