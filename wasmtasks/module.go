package wasmtasks

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

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
	tasks  []Task   // sorted by name
	other  []Export // exports that are not tasks, sorted by name
}

// Load makes a module of a wasm binary. The name is what callers write before
// the dot in "module.task". The module keeps wasm, which must not change.
//
// Load reads the binary's declarations and digests its bytes, which takes some
// milliseconds for a Go module of 3 MB. Whether its code is valid shows when a
// worker compiles it.
func Load(name string, wasm []byte) (*Module, error) {
	if why := badName(name); why != "" {
		return nil, fmt.Errorf("wasmtasks: %q cannot be a module's name: it %s", name, why)
	}
	parsed, err := wasmbin.Parse(wasm)
	if err != nil {
		return nil, fmt.Errorf("wasmtasks: module %s: %w", name, err)
	}
	m := &Module{name: name, wasm: wasm, digest: sha256.Sum256(wasm), parsed: parsed}
	if err := m.findTasks(); err != nil {
		return nil, fmt.Errorf("wasmtasks: module %s: %w", name, err)
	}
	return m, nil
}

// LoadFile loads a wasm file. The module is named after the file, without
// ".wasm".
func LoadFile(file string) (*Module, error) {
	wasm, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("wasmtasks: %w", err)
	}
	return Load(fileName(filepath.ToSlash(file)), wasm)
}

// LoadFS is [LoadFile] for a file system, such as an embed.FS.
func LoadFS(fsys fs.FS, file string) (*Module, error) {
	wasm, err := fs.ReadFile(fsys, file)
	if err != nil {
		return nil, fmt.Errorf("wasmtasks: %w", err)
	}
	return Load(fileName(file), wasm)
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
	if m.isCommand() {
		renamed.tasks = slices.Clone(m.tasks)
		renamed.tasks[0].Name = name
	}
	return &renamed
}

// Tasks returns what can be called, sorted by name.
func (m *Module) Tasks() []Task { return slices.Clone(m.tasks) }

// Task returns the task with this name, without the module's.
func (m *Module) Task(name string) (Task, bool) {
	i, ok := m.search(name)
	if !ok {
		return Task{}, false
	}
	return m.tasks[i], true
}

func (m *Module) search(name string) (int, bool) {
	return slices.BinarySearchFunc(m.tasks, name, func(t Task, name string) int { return strings.Compare(t.Name, name) })
}
