package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/wasmpool/wasmpool/internal/unittest"
)

// hostile is what a terminal would obey, or show as something else.
const hostile = "\x1b]0;pwned\a\x1b[2Jok\b\r\v\f\x7f\u0085\u009b31m\u202e\u2066\u200e\u061c\u2028\u2029\ufeffend"

// wrongByte finds what must not reach a terminal.
func wrongByte(text string) string {
	for i := 0; i < len(text); {
		r, n := utf8.DecodeRuneInString(text[i:])
		switch {
		case r == utf8.RuneError && n == 1,
			r < 0x20 && r != '\n' && r != '\t', r >= 0x7f && r < 0xa0,
			slices.Contains([]rune("\u200e\u061c\u202a\u202b\u202c\u202d\u202e\u2028\u2029\u2066\u2067\u2068\u2069\ufeff"), r):
			return fmt.Sprintf("%+q in %+.80q", text[i:i+n], text[max(0, i-40):])
		}
		i += n
	}
	return ""
}

// watString writes bytes as the text format does.
func watString(text string) string {
	var b strings.Builder
	for i := range len(text) {
		fmt.Fprintf(&b, `\%02x`, text[i])
	}
	return `"` + b.String() + `"`
}

// writeModule writes a module, and the documentation of its task f.
func writeModule(t *testing.T, file, wat, doc string) {
	t.Helper()
	wasm := unittest.Assemble(t, "(module "+wat+")")
	docs, err := json.Marshal([]map[string]string{{"name": "f", "doc": doc, "in": doc, "out": doc}})
	if err != nil {
		t.Fatal(err)
	}
	content := append([]byte("\x0ewasmpool.tasks"), docs...)
	wasm = append(binary.AppendUvarint(append(wasm, 0), uint64(len(content))), content...)
	if err := os.WriteFile(file, wasm, 0o600); err != nil {
		t.Fatal(err)
	}
}

const hostileWAT = `
	(import "wasmpool" "error_write" (func $error (param i32 i32)))
	(import "wasmpool" "output_write" (func $output (param i32 i32)))
	(import "wasmpool" "log" (func $log (param i32 i32 i32)))
	(import "wasi_snapshot_preview1" "fd_write" (func $print (param i32 i32 i32 i32) (result i32)))
	(memory (export "memory") 1)
	(data (i32.const 0) %[1]s) (data (i32.const 4096) %[4]s)
	(func (export %[3]s))
	(func (export "f") (result i32)
		(call $log (i32.const 8) (i32.const 0) (i32.const %[2]d))
		(drop (call $print (i32.const 2) (i32.const 4096) (i32.const 1) (i32.const 8192)))
		(call $error (i32.const 0) (i32.const %[2]d))
		(i32.const 70))
	(func (export "g") (result i32) (call $output (i32.const 0) (i32.const %[2]d)) (i32.const 0))
	(func (export "quoted") (result i32)
		(i32.store8 (i32.const 8000) (i32.const 34)) (i32.store16 (i32.const 8001) (i32.const 0x9bc2)) (i32.store8 (i32.const 8003) (i32.const 34))
		(call $output (i32.const 8000) (i32.const 4)) (i32.const 0))
	(func (export "crash") (result i32) (drop (call $print (i32.const 2) (i32.const 4096) (i32.const 1) (i32.const 8192))) unreachable)`

// Words of modules, guests, inputs and file names reach the terminal as text.
func TestForeignText(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("WASMPOOL_CACHE", filepath.Join(dir, "cache"))
	at := func(name string) string { return filepath.Join(dir, name) }
	raw := hostile + "\x9b\xff" // what no name may have
	vector := binary.LittleEndian.AppendUint32(make([]byte, 4), uint32(len(raw)))
	writeModule(t, at("m.wasm"), fmt.Sprintf(hostileWAT, watString(raw), len(raw), watString(hostile), watString(string(vector))), hostile)

	writeModule(t, at("imports.wasm"), fmt.Sprintf(`(import %[1]s %[1]s (func)) (memory (export "memory") 1) (func (export "f"))`, watString(hostile)), "")
	if err := os.Mkdir(at("in"), 0o700); err != nil {
		t.Fatal(err)
	}
	for file, text := range map[string]string{"lines": hostile + "\n" + raw + "\n", "in/" + hostile: "x", hostile + ".wasm": "no module" + hostile} {
		if err := os.WriteFile(at(file), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	esc := filepath.Join("testdata", "esc.wasm")
	tests := []struct {
		args  []string
		shows string // what is there instead
	}{
		{[]string{"inspect", at("m.wasm")}, `ok\b\r\v\f\x7f\u0085\u009b31m\u202e\u2066`},
		{[]string{"inspect", at("m.wasm"), "--json"}, `\u001b]0;pwned\u0007\u001b[2Jok\b\r\u000b\f\u007f\u0085\u009b31m\u202e`},
		{[]string{"inspect", at("imports.wasm")}, `\x1b]0;pwned`},
		{[]string{"inspect", at(hostile + ".wasm")}, `\x1b]0;pwned`},
		{[]string{"inspect", esc}, `\x1b]0;pwned\a\x1b[2J\x1b[31mFAKE: all ok\x1b[0m\r\n`},
		{[]string{"run", esc, "f"}, `\u009b31m second`},
		{[]string{"run", esc, "f", "-v"}, `\u009b31m second`},
		{[]string{"map", esc, "f", "--lines", at("lines")}, `\u009b31m second`},
		{[]string{"run", at("imports.wasm"), "f"}, `\x1b]0;pwned`},
		{[]string{"run", at("m.wasm"), "f"}, `\x1b]0;pwned\a\x1b[2Jok\b`},
		{[]string{"run", at("m.wasm"), "f", "-v"}, `\x1b]0;pwned\a\x1b[2Jok\b`},
		{[]string{"run", at("m.wasm"), "crash", "-v"}, `\x1b]0;pwned\a\x1b[2Jok\b`},
		{[]string{"map", at("m.wasm"), "f", "--lines", at("lines")}, `\u001b]0;pwned`},
		{[]string{"map", at("m.wasm"), "f", "--lines", at("lines"), "-v"}, `\u001b]0;pwned`},
		{[]string{"map", at("m.wasm"), "g", "--lines", at("lines")}, `"out_b64"`},
		{[]string{"map", at("m.wasm"), "quoted", "--lines", at("lines")}, `"out":"\u009b"`},
		{[]string{"map", at("m.wasm"), "g", "--files", at("in") + "/*"}, `\u001b]0;pwned`},
		{[]string{"map", at("m.wasm"), "g", "--jsonl", at("lines")}, `invalid character '\x1b'`},
		{[]string{"run", at("m.wasm"), hostile}, `\x1b]0;pwned`},
		{[]string{"run", at("m.wasm")}, "g, quoted"},
		{[]string{"run", at("m.wasm"), "f", "--arg-file", at(hostile)}, `\x1b]0;pwned`},
		{[]string{"run", at("m.wasm"), "f", "--dir", hostile + "::/x"}, `\x1b]0;pwned`},
		{[]string{"run", at("m.wasm"), "f", "--" + hostile}, `\x1b]0;pwned`},
		{[]string{"run", at(hostile)}, `\x1b]0;pwned`},
		{[]string{"build", at(hostile)}, `\x1b]0;pwned`},
		{[]string{"init", at(hostile)}, `\x1b]0;pwned`},
		{[]string{hostile}, `\x1b]0;pwned`},
		{[]string{"launch", "-n", "1", "--", at(hostile)}, `\x1b]0;pwned`},
	}
	for _, tt := range tests {
		var stdout, stderr bytes.Buffer
		a := &app{in: strings.NewReader(""), out: &stdout, err: &stderr}
		a.execute(t.Context(), tt.args)
		all := stdout.String() + stderr.String()
		if wrong := wrongByte(all); wrong != "" {
			t.Errorf("%+q: %s", tt.args, wrong)
		}
		if !strings.Contains(all, tt.shows) {
			t.Errorf("%+q does not show %s:\n%+q", tt.args, tt.shows, all)
		}
		if slices.Contains(tt.args, "--json") && !json.Valid(stdout.Bytes()) {
			t.Errorf("%+q prints no JSON", tt.args)
		}
	}

	// A result is data.
	var stdout bytes.Buffer
	a := &app{in: strings.NewReader(""), out: &stdout, err: &stdout}
	if code := a.execute(t.Context(), []string{"run", at("m.wasm"), "g"}); code != 0 || stdout.String() != raw {
		t.Errorf("the result is %q, exit code %d", stdout.String(), code)
	}
}

// A module without a task that is refused is said to be refused.
func TestRefusedWithoutTask(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "short.wasm")
	twoFunctionsOneBody := "\x00asm\x01\x00\x00\x00" + "\x01\x04\x01\x60\x00\x00" + "\x03\x03\x02\x00\x00" + "\x0a\x04\x01\x02\x00\x0b"
	if err := os.WriteFile(file, []byte(twoFunctionsOneBody), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{{"run", file, "f"}, {"map", file, "f", "--lines", file}} {
		var out bytes.Buffer
		a := &app{in: strings.NewReader(""), out: &out, err: &out}
		code := a.execute(t.Context(), args)
		if want := "module short is refused (bad_module): it declares 2 functions, and has the code of 1"; code != 2 || !strings.Contains(out.String(), want) {
			t.Errorf("%s ends with %d and prints %q, want 2 and %q", args[0], code, &out, want)
		}
	}
}
