package host

import (
	"os"
	"path/filepath"

	"github.com/wasmpool/wasmpool/internal/cachedir"
	"github.com/wasmpool/wasmpool/internal/meter"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// letThrough names a module that gets no ticks though it should. The linker sets it, in
// tests of what follows.
var letThrough = ""

// metered reports whether a module of that name gets ticks.
func (h *Host) metered(name string) bool {
	return !h.cfg.NoMeter && (letThrough == "" || name != letThrough)
}

// rewrite is the second step of the pipeline: it reads the code, and returns the
// bytes to compile, with the ticks that let a computing guest reach Go now and
// then. They are kept in the cache folder, since reading the code of a Go guest
// takes as long as loading its native code.
func (h *Host) rewrite(name, key string, wasm []byte, m *wasmbin.Module) ([]byte, error) {
	if !h.metered(name) {
		code, err := gateCode(wasm, m)
		if err != nil {
			return nil, err
		}
		return code.Mark(wasm), nil
	}
	file := ""
	if h.cfg.CacheDir != "" {
		file = filepath.Join(h.cfg.CacheDir, key+".v"+meter.Version+".wasm")
		if kept, ok := readSummed(file); ok {
			return kept, nil
		}
	}
	code, err := gateCode(wasm, m)
	if err != nil {
		return nil, err
	}
	out, err := code.Rewrite()
	if err != nil {
		return nil, errorf(KindBadModule, "%w", err)
	}
	if file != "" {
		if err := writeSummed(file, out); err != nil {
			// What is compiled cannot be kept either, and says so.
			h.cfg.Logger.Debug("host: a rewritten module is not kept", "file", file, "error", err)
		}
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
