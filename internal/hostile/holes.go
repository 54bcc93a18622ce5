package hostile

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
)

// Modules with grants.
const (
	grantedModule = "granted"
	trustedModule = "trusted"
)

// Config returns the settings of a pool that is attacked, and what removes the folder
// that it grants. All ranks of a machine have the same.
func Config() (cfg executor.Config, remove func() error, err error) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("wasmpool-hostile-%d", os.Getppid()))
	remove = func() error { return os.RemoveAll(dir) }
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return cfg, remove, err
	}
	if err := makeFIFO(filepath.Join(dir, "fifo")); err != nil && !errors.Is(err, os.ErrExist) {
		return cfg, remove, err
	}
	return executor.Config{
		Sandbox: host.Config{
			Limits: Limits,
			Grants: map[string]host.Grants{
				grantedModule: {Folders: map[string]string{"/data": dir}, Output: true},
				trustedModule: {Env: map[string]string{"TRUSTED": "1"}},
			},
		},
		Logger: slog.New(slog.NewTextHandler(io.Discard, nil)),
	}, remove, nil
}

// A hole is a module that once broke what it must not.
type hole struct {
	name  string
	wat   string // its source for wat2wasm, or empty
	wasm  []byte // the module, where there is no source
	calls []attack
}

// holes returns the attacks of all holes.
func holes(ctx context.Context) ([]attack, error) {
	var list []attack
	for _, h := range allHoles() {
		if h.wat != "" {
			var err error
			if h.wasm, err = assemble(ctx, h.wat); err != nil {
				return nil, fmt.Errorf("hole %s: %w", h.name, err)
			}
		}
		for _, a := range h.calls {
			if a.module, a.wasm = h.name, h.wasm; a.task == "" { // it is a command
				a.task = h.name
			} else {
				a.task = h.name + "." + a.task
			}
			list = append(list, a)
		}
	}
	return list, nil
}

// assemble translates a module with wat2wasm of the package wabt.
func assemble(ctx context.Context, wat string) ([]byte, error) {
	var out, problems bytes.Buffer
	cmd := exec.CommandContext(ctx, "wat2wasm", "--enable-all", "--no-check", "--output=/dev/stdout", "-")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(wat), &out, &problems
	if err := cmd.Run(); err != nil {
		return nil, fmt.Errorf("wat2wasm (make deps installs it): %w: %s", err, problems.Bytes())
	}
	return out.Bytes(), nil
}

// refused are calls of a module that must be refused, one of its task f.
func refused(arg string) []attack {
	return []attack{{task: "f", arg: arg, kinds: []host.Kind{host.KindBadModule}, limits: endlessly}}
}

func allHoles() []hole {
	kinds := func(k ...host.Kind) []host.Kind { return k }
	all := executor.Limits{Memory: host.Unlimited}
	badMemory := kinds(host.KindBadModule, host.KindMemory)
	return []hole{
		// A constant address above 2 GiB, checked once and used again over a call or a
		// merge, was used with its sign.
		{name: "address", wat: addressWAT, calls: []attack{
			{task: "call", arg: "[-2147483632]", want: []string{"7007"}, kinds: badMemory, limits: all},
			{task: "merge", arg: "[-2147483632, 1]", want: []string{"7007"}, kinds: badMemory, limits: all},
			{task: "merge", arg: "[-2147483632, 0]", want: []string{"7"}, kinds: badMemory, limits: all},
		}},
		{
			name: "address2", wat: `(module (memory 32768) (func $g)
			(func (export "call") (result i32) (local $a i32) (local $s i32)
			  (local.set $a (i32.const 0x80000000)) (local.set $s (i32.load8_u (local.get $a))) (call $g)
			  (i32.add (local.get $s) (i32.load8_u (local.get $a)))))`,
			calls: []attack{{task: "call", kinds: append(badMemory, host.KindTrap), limits: all}},
		},

		// The operand of a select of floats was in a register that another value had.
		{name: "choice", wat: choiceWAT, calls: []attack{
			{task: "f", arg: "[1.5, 2.5, 0]", want: []string{"2.5"}},
			{task: "f", arg: "[1.5, 2.5, 1]", want: []string{"3"}},
		}},

		// The fuel was a local with the number of one that did not exist.
		{name: "fuelwrite", wat: `(module (func (export "f") (loop (local.set 0 (i64.const 0x4000000000000000)) (br 0))))`, calls: refused("")},
		{name: "fuelread", wat: `(module (func (export "f") (result i64) (loop) (local.get 0)))`, calls: refused("")},
		// More bodies than functions were a panic of the rewriter.
		{name: "bodies", wasm: binaryModule(
			section(1, vector(signature(0), signature(1, i32))),
			section(3, vector([]byte{0})),
			exported,
			section(10, vector(body(0x03, 0x40, 0x10, 1, 0x0b), body())),
		), calls: refused("")},

		// Any number was a reference to a function.
		{name: "reference", wasm: binaryModule(
			section(1, vector(signature(0), signature(1, i64, i64), signature(0, i64))),
			section(3, vector([]byte{1}, []byte{2})),
			section(7, vector(export("f", 1))),
			section(9, vector([]byte{3, 0, 1, 0})),
			section(10, vector(body(0x20, 0), body(0xd2, 0, 0x14, 2))),
		), calls: refused("")},
		{name: "jump", wasm: binaryModule(
			section(1, vector(signature(0), []byte{0x60, 1, 0x63, 0, 0}, signature(1, i64), signature(1, i64))),
			section(3, vector([]byte{1}, []byte{2})),
			section(7, vector(export("f", 1))),
			section(9, vector([]byte{3, 0, 1, 0})),
			section(10, vector(body(0x20, 0, 0x14, 0), body(0x20, 0, 0xd2, 0, 0x14, 2))),
		), calls: refused("[1094795585]")},

		// Exceptions gave wrong values, wrote over the heap, and made code free.
		{name: "exnref", wasm: exceptions(
			vector([]byte{0, 0}),
			body(0x02, 0x69, 0x1f, 0x40, 1, 3, 0, 0x08, 0, 0x0b, 0x00, 0x0b, 0x0a), // block exnref, try_table (catch_all_ref 0), throw_ref
		), calls: refused("")},
		{name: "wide", wasm: exceptions(
			vector([]byte{0, 2}),
			body(append(append([]byte{0x02, 0x40, 0x1f, 0x40, 1, 2, 0}, bytes.Repeat(append([]byte{0xfd, 12}, make([]byte, 16)...), 2)...), 0x08, 0, 0x0b, 0x0b)...),
		), calls: refused("")},
		{name: "rethrow", wat: `(module (tag $e) (func (export "f") (loop (try (do (throw $e)) (catch_all)) (br 0))))`, calls: refused("")},
		{name: "thrown", wat: `(module (tag $e) (func (export "f") (throw $e)))`, calls: refused("")},

		// A result of untouched memory cost nothing where it was made, and all where it
		// was sent.
		{name: "huge", wat: hugeWAT, calls: []attack{
			{task: "door", kinds: kinds(host.KindOutput)},
			{task: "flood", kinds: kinds(host.KindOutput)},
			{task: "touch", kinds: kinds(host.KindMemory)},
			{task: "ask", kinds: kinds(host.KindMemory), limits: all},
			{task: "claim", kinds: kinds(host.KindOutput)},
		}},

		// Newlines in one write, and a file that never opens.
		{name: grantedModule, wat: grantedWAT, calls: []attack{
			{task: "newlines", kinds: kinds(host.KindOutput)},
			{task: "newlines", kinds: kinds(host.KindTimeout), slow: true, limits: executor.Limits{Time: endless, Log: host.Unlimited, Instructions: host.Unlimited}},
			{task: "descriptor", kinds: kinds(host.KindTrap)},
			{task: "fifo", kinds: kinds(host.KindApplication)},
		}},

		// Commands fill the file system that they have in memory: with one file, with empty ones, up to the call's memory and up to
		// their number; with one that is long and empty; and make one longer and shorter without end.
		{name: "files", wat: filesWAT, calls: []attack{
			{arg: "fill", kinds: kinds(host.KindMemory)},
			{arg: "many", kinds: kinds(host.KindMemory), work: 1_000_000_000},
			{arg: "many", kinds: kinds(host.KindExit), work: 1_000_000_000, limits: executor.Limits{Memory: 128 << 20}},
			{arg: "sparse", kinds: kinds(host.KindMemory)},
			{arg: "endless", kinds: kinds(host.KindTimeout), slow: true, limits: endlessly},
		}},

		// Modules that make parsers hold much more than they are long.
		{name: "sections", wasm: binaryModule(bytes.Repeat([]byte{0, 1, 0}, 16<<20/3)), calls: bombs()},
		{name: "exports", wasm: exportBomb(8 << 20), calls: bombs()},
		{name: "documented", wasm: documented(12 << 20), calls: []attack{{task: "f", want: []string{"0"}, alone: true}}},

		// Text that is an order to a terminal.
		{
			name: "escape", wat: `(module
			(import "wasmpool" "error_write" (func $error_write (param i32 i32)))
			(memory (export "memory") 1) (data (i32.const 0) "\1b[2J\1b]0;title\07\0d\0a\c2\9b31m")
			(func (export "f") (result i32) (call $error_write (i32.const 0) (i32.const 21)) (i32.const 64)))`,
			calls: []attack{{task: "f", kinds: kinds(host.KindApplication)}},
		},

		// The same bytes under two names are not granted the same, nor do they share
		// anything.
		{name: trustedModule, wat: environmentWAT, calls: []attack{{task: "count", want: []string{"1"}}}},
		{name: "untrusted", wat: environmentWAT, calls: []attack{{task: "count", want: []string{"0"}}}},
	}
}

// bombs are refused as refused are, but are not made often.
func bombs() []attack {
	list := refused("")
	list[0].alone = true
	return list
}

const addressWAT = `(module
  (memory 32769)
  (data (i32.const 16) "\2a\00\00\00")
  (func $g)
  (func (export "call") (param $at i32) (result i32) (local $a i32) (local $s i32)
    (i32.store (local.get $at) (i32.const 7))
    (local.set $a (i32.const 0x80000010))
    (local.set $s (i32.load (local.get $a)))
    (call $g)
    (i32.add (i32.mul (local.get $s) (i32.const 1000)) (i32.load (local.get $a))))
  (func (export "merge") (param $at i32) (param $c i32) (result i32) (local $a i32) (local $s i32)
    (i32.store (local.get $at) (i32.const 7))
    (local.set $a (i32.const 0x80000010))
    (if (local.get $c)
      (then (local.set $s (i32.load (local.get $a))))
      (else (local.set $s (i32.load8_u offset=8 (local.get $a)))))
    (i32.add (i32.mul (local.get $s) (i32.const 1000)) (i32.load (local.get $a)))))`

const choiceWAT = `(module
  (global $sink (mut f64) (f64.const 0))
  (global $out (mut f64) (f64.const 0))
  (func $step (param f64) (result f64) (global.set $sink (local.get 0)) (f64.add (local.get 0) (local.get 0)))
  (func $note (param f64 f64)
    (global.set $sink (local.get 0)) (global.set $sink (local.get 1)) (global.set $sink (f64.mul (local.get 0) (local.get 1))))
  (func $choose (param $a f64) (param $y f64) (param $c i32) (result f64)
    (local.set $a (call $step (local.get $a)))
    (call $note (f64.const 7) (f64.const 9))
    (global.set $out (select (local.get $a) (local.get $y) (local.get $c)))
    (call $step (local.get $a)))
  (func (export "f") (param $a f64) (param $y f64) (param $c i32) (result f64)
    (drop (call $choose (local.get $a) (local.get $y) (local.get $c)))
    (global.get $out)))`

const hugeWAT = `(module
  (import "wasmpool" "door_open" (func $door_open (param i32 i32)))
  (import "wasmpool" "output_write" (func $output_write (param i32 i32)))
  (memory (export "memory") 16)
  (func $all (result i32)
    (loop (br_if 0 (i32.ne (memory.grow (i32.const 256)) (i32.const -1))))
    (i32.sub (i32.mul (memory.size) (i32.const 65536)) (i32.const 8192)))
  (func (export "door") (result i32)
    (call $door_open (i32.const 0) (i32.const 4096))
    (i32.store (i32.const 8) (call $all))
    (i32.store (i32.const 4) (i32.const 8192)) (i32.const 0))
  (func (export "claim") (result i32)
    (call $door_open (i32.const 0) (i32.const 4096))
    (i32.store (i32.const 8) (i32.const 4000000000)) (i32.const 0))
  (func (export "ask") (result i32)
    (if (i32.eq (memory.grow (i32.const 49152)) (i32.const -1)) (then (return (i32.const 100)))) (i32.const 0))
  (func (export "flood") (result i32)
    (loop (call $output_write (i32.const 0) (i32.const 0x100000)) (br 0)) (i32.const 0))
  (func (export "touch") (result i32) (local $at i32) (local $end i32)
    (local.set $end (call $all))
    (loop
      (i32.store (local.get $at) (i32.const 1))
      (br_if 0 (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 4096))) (local.get $end))))
    unreachable))`

const grantedWAT = `(module
  (import "wasmpool" "input_len" (func (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_renumber" (func $fd_renumber (param i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "path_open" (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (memory (export "memory") 257)
  (data (i32.const 0) "\20\00\00\00\00\00\00\01fifo")
  (func (export "newlines") (result i32)
    (memory.fill (i32.const 32) (i32.const 10) (i32.const 0x1000000))
    (loop (drop (call $fd_write (i32.const 2) (i32.const 0) (i32.const 1) (i32.const 16))) (br 0)) (i32.const 0))
  (func (export "fifo") (result i32)
    (i32.add (i32.const 64) (call $path_open (i32.const 3) (i32.const 1) (i32.const 8) (i32.const 4) (i32.const 0) (i64.const 2) (i64.const 0) (i32.const 0) (i32.const 16))))
  (func (export "descriptor") (result i32) (drop (call $fd_renumber (i32.const 3) (i32.const 0x7fffffff))) (i32.const 0)))`

// filesWAT is a command that does with its files what the first letter of its argument says, and exits with the number of the error
// that ends it. Its files lie behind the folder of shared inputs where it has one.
const filesWAT = `(module
  (import "wasi_snapshot_preview1" "fd_read" (func $fd_read (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_write" (func $fd_write (param i32 i32 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_close" (func $fd_close (param i32) (result i32)))
  (import "wasi_snapshot_preview1" "fd_filestat_set_size" (func $set_size (param i32 i64) (result i32)))
  (import "wasi_snapshot_preview1" "path_open" (func $path_open (param i32 i32 i32 i32 i32 i64 i64 i32 i32) (result i32)))
  (import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
  (memory (export "memory") 2)
  (data (i32.const 0) "\28\00\00\00\01\00\00\00\00\00\01\00\00\00\01\00tmp/aaaaaaaa")
  (func $check (param i32) (if (local.get 0) (then (call $exit (local.get 0)))))
  (func $try (param $folder i32) (result i32)
    (call $path_open (local.get $folder) (i32.const 0) (i32.const 16) (i32.const 12) (i32.const 1) (i64.const 66) (i64.const 0) (i32.const 0) (i32.const 32)))
  (func $open (result i32)
    (if (call $try (i32.const 3)) (then (call $check (call $try (i32.const 4)))))
    (i32.load (i32.const 32)))
  (func $many (local $i i32) (local $n i32) (local $at i32)
    (loop $file
      (local.set $n (local.get $i))
      (local.set $at (i32.const 20))
      (loop $letter
        (i32.store8 (local.get $at) (i32.add (i32.const 97) (i32.and (local.get $n) (i32.const 15))))
        (local.set $n (i32.shr_u (local.get $n) (i32.const 4)))
        (br_if $letter (i32.lt_u (local.tee $at (i32.add (local.get $at) (i32.const 1))) (i32.const 28))))
      (call $check (call $fd_close (call $open)))
      (local.set $i (i32.add (local.get $i) (i32.const 1)))
      (br $file)))
  (func (export "_start") (local $file i32)
    (drop (call $fd_read (i32.const 0) (i32.const 0) (i32.const 1) (i32.const 36)))
    (if (i32.eq (i32.load8_u (i32.const 40)) (i32.const 109)) (then (call $many))) ;; m
    (local.set $file (call $open))
    (if (i32.eq (i32.load8_u (i32.const 40)) (i32.const 102)) (then ;; f
      (loop (call $check (call $fd_write (local.get $file) (i32.const 8) (i32.const 1) (i32.const 36))) (br 0))))
    (if (i32.eq (i32.load8_u (i32.const 40)) (i32.const 115)) (then ;; s
      (call $check (call $set_size (local.get $file) (i64.const 0x10000000000)))))
    (if (i32.eq (i32.load8_u (i32.const 40)) (i32.const 101)) (then ;; e
      (loop
        (call $check (call $set_size (local.get $file) (i64.const 0x2000000)))
        (call $check (call $set_size (local.get $file) (i64.const 0))) (br 0))))))`

const environmentWAT = `(module
  (import "wasi_snapshot_preview1" "environ_sizes_get" (func $sizes (param i32 i32) (result i32)))
  (memory (export "memory") 1)
  (func (export "count") (result i32) (drop (call $sizes (i32.const 0) (i32.const 4))) (i32.load (i32.const 0))))`

// The functions below build modules that wat2wasm cannot.

const (
	i32 = 0x7f
	i64 = 0x7e
)

func binaryModule(sections ...[]byte) []byte {
	return append([]byte("\x00asm\x01\x00\x00\x00"), bytes.Join(sections, nil)...)
}

func section(id byte, content []byte) []byte {
	return append(binary.AppendUvarint([]byte{id}, uint64(len(content))), content...)
}

// vector joins elements behind their number.
func vector(elements ...[]byte) []byte {
	return append(binary.AppendUvarint(nil, uint64(len(elements))), bytes.Join(elements, nil)...)
}

// signature is a function's type: so many parameters, and the results.
func signature(params byte, types ...byte) []byte {
	all := append([]byte{0x60, params}, types[:params]...)
	return append(append(all, byte(len(types))-params), types[params:]...)
}

func export(name string, function byte) []byte {
	return append(append([]byte{byte(len(name))}, name...), 0, function)
}

// exported exports function 0 as f.
var exported = section(7, vector(export("f", 0)))

// body is a function's code without locals.
func body(code ...byte) []byte {
	code = append(append([]byte{0}, code...), 0x0b)
	return append(binary.AppendUvarint(nil, uint64(len(code))), code...)
}

// exceptions is a module of one function that has tags.
func exceptions(tags, code []byte) []byte {
	const v128 = 0x7b
	return binaryModule(
		section(1, vector(signature(0), signature(1, i32, i32), signature(2, v128, v128))),
		section(3, vector([]byte{0})), section(13, tags), exported, section(10, vector(code)))
}

// documented is a module of one task with documentation of so many bytes of others.
func documented(size int) []byte {
	const name, one = "wasmpool.tasks", `{"name":""},`
	docs := append(append([]byte{byte(len(name))}, name...), '[')
	docs = append(append(docs, bytes.Repeat([]byte(one), size/len(one))...), `{}]`...)
	return binaryModule(section(1, vector(signature(0, i32))), section(3, vector([]byte{0})), exported, section(10, vector(body(0x41, 0))), section(0, docs))
}

// exportBomb exports one function under as many names as fit into so many bytes.
func exportBomb(size int) []byte {
	var names [][]byte
	for i := range size / 9 {
		names = append(names, export(fmt.Sprintf("%06x", i), 0))
	}
	return binaryModule(section(1, vector(signature(0))), section(3, vector([]byte{0})), section(7, vector(names...)), section(10, vector(body())))
}
