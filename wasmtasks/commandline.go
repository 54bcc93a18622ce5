package wasmtasks

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/wasmpool/wasmpool/internal/abi"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// A CommandLine is how a command is started that a module brings along: it is part of the module, so that it travels with it and
// makes it another one. What a pool grants the module goes before it.
type CommandLine struct {
	// Args are the command's arguments after the first, which is the name of the task.
	Args []string `json:"args,omitempty"`

	// Keep says whether the command goes on between calls, as package host's Keep has it: "not", "line", "frame" or "call".
	// "" is "not".
	Keep string `json:"keep,omitempty"`
}

// WithCommandLine returns the module with another command line, in place of the one that it had. It must be a command. Its code
// is the same, and not compiled again.
func (m *Module) WithCommandLine(c CommandLine) (*Module, error) {
	if !m.command {
		return nil, fmt.Errorf("wasmtasks: module %s is no command: its tasks have no command line", m.name)
	}
	text, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("wasmtasks: module %s: its command line: %w", m.name, err)
	}
	content := append(binary.AppendUvarint(nil, uint64(len(abi.SectionCommand))), abi.SectionCommand...)
	content = append(content, text...)
	wasm := slices.Clip(m.parsed.Without(m.wasm, func(name string) bool { return name == abi.SectionCommand }))
	wasm = binary.AppendUvarint(append(wasm, byte(wasmbin.SectionCustom)), uint64(len(content)))
	return Load(m.name, append(wasm, content...))
}

// CommandLine returns the command line that the module brings along, if it has one that can be read.
func (m *Module) CommandLine() (c CommandLine, found bool) {
	if !m.command {
		return c, false
	}
	i := slices.IndexFunc(m.parsed.Custom, func(c wasmbin.Custom) bool { return c.Name == abi.SectionCommand })
	if i < 0 || json.Unmarshal(m.parsed.Custom[i].Data, &c) != nil {
		return CommandLine{}, false
	}
	return c, true
}
