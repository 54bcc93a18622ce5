package compile

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/wasmpool/wasmpool/internal/cachedir"
	"github.com/wasmpool/wasmpool/internal/meter"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// Rewrite is the second step of the pipeline. It reads the code of a module, of which m is
// what [Gate] returned, refuses what is too large for the compiler, and returns the bytes to
// compile, with the ticks that let a computing guest reach Go now and then, and with fewer data segments. The error is a
// [BadModuleError].
func Rewrite(wasm []byte, m *wasmbin.Module, rules Rules) ([]byte, error) {
	code, err := readCode(wasm, m, rules)
	if err != nil {
		return nil, err
	}
	out, err := code.Rewrite()
	if err != nil {
		return nil, badModule("%w", err)
	}
	return joinData(out), nil
}

// readCode reads the module's code and refuses what is too large for the compiler.
func readCode(wasm []byte, m *wasmbin.Module, rules Rules) (*meter.Code, error) {
	code, err := meter.Read(wasm, m)
	if err != nil {
		return nil, badModule("%w", err)
	}
	if problems := checkBounds(m, &code.Shape, rules.AllowLarge); len(problems) > 0 {
		return nil, badModule("%s", list(problems))
	}
	return code, nil
}

// rewrite returns the bytes to compile: those of [Rewrite], or, of a module that gets no
// ticks, the same without them. Rewritten modules are kept in the cache folder, since reading
// the code of a Go guest takes as long as loading its native code.
func (p *Pipeline) rewrite(b *bare) ([]byte, error) {
	wasm, facts := b.wasm, b.facts
	if !p.metered(b.name) {
		code, err := readCode(wasm, facts, p.cfg.Rules)
		if err != nil {
			return nil, err
		}
		return joinData(code.Mark(wasm)), nil
	}
	if p.cfg.CacheDir == "" {
		return Rewrite(wasm, facts, p.cfg.Rules)
	}
	file := filepath.Join(p.cfg.CacheDir, b.digest.String()+".v"+meter.Version+".wasm")
	if p.cfg.AllowLarge { // which others do not take
		file = strings.TrimSuffix(file, ".wasm") + ".large.wasm"
	}
	if kept, ok := readSummed(file); ok {
		return kept, nil
	}
	out, err := Rewrite(wasm, facts, p.cfg.Rules)
	if err != nil {
		return nil, err
	}
	if err := writeSummed(file, out); err != nil {
		// The compiled code cannot be kept either, and that is a warning.
		p.cfg.Logger.Debug("host: a rewritten module is not kept", "file", file, "error", err)
	}
	return out, nil
}

// readSummed reads a file of this user that is as its checksum says.
func readSummed(file string) ([]byte, bool) {
	if !cachedir.Own(file) || !cachedir.Own(file+sumSuffix) {
		return nil, false
	}
	want, err := os.ReadFile(file + sumSuffix)
	if err != nil {
		return nil, false
	}
	data, err := os.ReadFile(file)
	return data, err == nil && sumOf(data) == string(want)
}

// writeSummed writes a file, and its checksum.
func writeSummed(file string, data []byte) error {
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	if err := replace(file, data); err != nil {
		return err
	}
	return replace(file+sumSuffix, []byte(sumOf(data)))
}
