package wasmtasks

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
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

	// Program is the name of the command where the module is called after something else, as after a script's function. It is
	// shown while the command is compiled. "" is the module's name.
	Program string `json:"program,omitempty"`
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

// CommandLine returns the command line that the module brings along, if it has one.
func (m *Module) CommandLine() (c CommandLine, found bool) {
	if m.commandLine == nil {
		return CommandLine{}, false
	}
	c = *m.commandLine
	c.Args = slices.Clone(c.Args)
	return c, true
}

// findCommandLine reads the command line that a command brings along.
func (m *Module) findCommandLine() error {
	i := slices.IndexFunc(m.parsed.Custom, func(c wasmbin.Custom) bool { return c.Name == abi.SectionCommand })
	if i < 0 || !m.command {
		return nil
	}
	m.commandLine = new(CommandLine)
	d := json.NewDecoder(bytes.NewReader(m.parsed.Custom[i].Data))
	d.DisallowUnknownFields()
	err := d.Decode(m.commandLine)
	if _, end := d.Token(); err == nil && !errors.Is(end, io.EOF) {
		err = errors.New("more follows it")
	}
	if why := badName(m.commandLine.Program); err == nil && m.commandLine.Program != "" && why != "" {
		err = fmt.Errorf("its program is called %q: %s", m.commandLine.Program, why)
	}
	if err != nil {
		return fmt.Errorf("the command line that it brings along, in its section %s, cannot be read: %w: was it made for a newer wasmpool?", abi.SectionCommand, err)
	}
	return nil
}
