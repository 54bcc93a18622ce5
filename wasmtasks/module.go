package wasmtasks

import (
	"bytes"
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wasmpool/wasmpool/internal/abi"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// A Digest is the identity of a module: the SHA-256 of its bytes.
type Digest [sha256.Size]byte

// String returns the digest in hexadecimal.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// A Module is one wasm binary and what it says about itself. It is immutable
// and safe for concurrent use. Make one with [Load], [LoadFile], [LoadFS],
// [Build] or [Open].
type Module struct {
	name   string
	wasm   []byte
	digest Digest
	parsed *wasmbin.Module

	tasks   []uint32 // which of the exports have the form of a task, sorted by name
	command bool     // it is a program, and they are none
	usesABI bool

	commandLine *CommandLine           // of a command that brings one along
	docs        map[string]abi.TaskDoc // by name
}

// Load makes a module of a wasm binary. The name is what callers write before
// the dot in "module.task". The module keeps wasm, which must not change.
//
// Load reads the binary's declarations and digests its bytes, which takes some
// milliseconds for a Go module of 3 MB. Whether its code is valid shows when a
// worker compiles it.
func Load(name string, wasm []byte) (*Module, error) {
	if why := badName(name); why != "" {
		return nil, fmt.Errorf("wasmtasks: %q cannot be a module's name: it%s", name, strings.TrimPrefix(why, "the name"))
	}
	parsed, err := wasmbin.Parse(wasm)
	if err != nil {
		return nil, fmt.Errorf("wasmtasks: module %s: %w", name, err)
	}
	m := &Module{name: name, wasm: wasm, digest: sha256.Sum256(wasm), parsed: parsed}
	if err := cmp.Or(m.findTasks(), m.findCommandLine()); err != nil {
		return nil, fmt.Errorf("wasmtasks: module %s: %w", name, err)
	}
	return m, nil
}

// LoadFile loads a wasm file. The module is named after the file, without
// ".wasm". A module has at most 256 MiB: no more than that is read.
func LoadFile(file string) (*Module, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("wasmtasks: %w", err)
	}
	return loadFrom(f, filepath.ToSlash(file))
}

// LoadFS is [LoadFile] for a file system, such as an embed.FS.
func LoadFS(fsys fs.FS, file string) (*Module, error) {
	f, err := fsys.Open(file)
	if err != nil {
		return nil, fmt.Errorf("wasmtasks: %w", err)
	}
	return loadFrom(f, file)
}

// loadFrom loads a module from a file, which it closes.
func loadFrom(f fs.File, name string) (*Module, error) {
	wasm, err := readModule(f)
	if err != nil {
		return nil, fmt.Errorf("wasmtasks: module %s: %w", name, err)
	}
	return Load(fileName(name), wasm)
}

// readModule reads a file, which it closes, unless it is too large for a module.
func readModule(f fs.File) ([]byte, error) {
	defer f.Close()
	info, err := f.Stat()
	if err == nil {
		err = wasmbin.CheckSize(info.Size())
	}
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	b.Grow(int(info.Size()) + bytes.MinRead) // a pipe says 0
	n, err := b.ReadFrom(io.LimitReader(f, wasmbin.MaxSize+1))
	return b.Bytes(), cmp.Or(err, wasmbin.CheckSize(n))
}

func fileName(file string) string { return strings.TrimSuffix(path.Base(file), ".wasm") }

// Name returns the module's name.
func (m *Module) Name() string { return m.name }

// Bytes returns the binary, which must not be changed.
func (m *Module) Bytes() []byte { return m.wasm }

// Digest returns the module's identity.
func (m *Module) Digest() Digest { return m.digest }

// WithName returns the same module under another name.
func (m *Module) WithName(name string) *Module {
	renamed := *m
	renamed.name = name
	return &renamed
}

// Tasks returns what can be called, sorted by name.
func (m *Module) Tasks() []Task {
	if m.command {
		return []Task{m.program()}
	}
	list, s := make([]Task, len(m.tasks)), m.signer()
	for i, export := range m.tasks {
		list[i] = s.task(export)
	}
	return list
}

// Task returns the task with this name, without the module's.
func (m *Module) Task(name string) (Task, bool) {
	if !m.has(name) {
		return Task{}, false
	}
	if m.command {
		return m.program(), true
	}
	i, _ := m.search(name)
	return m.signer().task(m.tasks[i]), true
}

func (m *Module) signer() signer { return signer{m, make(map[uint32]Task)} }

// has reports whether there is a task with this name.
func (m *Module) has(name string) bool {
	if m.command {
		return name == m.name
	}
	_, ok := m.search(name)
	return ok
}

// names returns the names of the tasks, sorted.
func (m *Module) names() []string {
	if m.command {
		return []string{m.name}
	}
	list := make([]string, len(m.tasks))
	for i, export := range m.tasks {
		list[i] = m.parsed.Exports[export].Name
	}
	return list
}

// search finds an export that has the form of a task.
func (m *Module) search(name string) (int, bool) {
	return slices.BinarySearchFunc(m.tasks, name, func(export uint32, name string) int {
		return strings.Compare(m.parsed.Exports[export].Name, name)
	})
}
