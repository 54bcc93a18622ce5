package host

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/meter"
)

// bulkWAT fills or copies by three numbers, and returns what stands at the start of
// its 8 MiB of memory. The first MiB is filled with numbers, each call, before it.
const bulkWAT = `(module
  (import "wasmpool" "input_read" (func $input_read (param i32 i32 i32) (result i32)))
  (import "wasmpool" "output_write" (func $output_write (param i32 i32)))
  (memory (export "memory") 128 65535)
  (table $t 1048576 funcref)
  (func $prepare (local i32)
    (memory.fill (i32.const 0) (i32.const 0) (i32.const 8388608))
    (loop
      (i32.store (local.get 0) (i32.mul (local.get 0) (i32.const 2654435761)))
      (br_if 0 (i32.lt_u (local.tee 0 (i32.add (local.get 0) (i32.const 4))) (i32.const 4194304)))))
  (func $done (result i32) (call $output_write (i32.const 0) (i32.const 8388608)) (i32.const 0))
  (func $read (drop (call $input_read (i32.const 8388596) (i32.const 0) (i32.const 12))))
  (func $arg (param i32) (result i32) (i32.load (i32.add (i32.const 8388596) (local.get 0))))
  (func (export "fill") (result i32)
    (call $prepare) (call $read)
    (memory.fill (call $arg (i32.const 0)) (call $arg (i32.const 4)) (call $arg (i32.const 8)))
    (call $done))
  (func (export "copy") (result i32)
    (call $prepare) (call $read)
    (memory.copy (call $arg (i32.const 0)) (call $arg (i32.const 4)) (call $arg (i32.const 8)))
    (call $done))
  (func (export "fill_much") (result i32)
    (drop (memory.grow (i32.const 16384)))
    (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x40000000)) (i32.const 0))
  (func (export "fill_often") (result i32)
    (loop (memory.fill (i32.const 0) (i32.const 1) (i32.const 0x100000)) (br 0)) (i32.const 0))
  (func (export "copy_often") (result i32)
    (loop (memory.copy (i32.const 0) (i32.const 1) (i32.const 0x600000)) (br 0)) (i32.const 0))
  (func (export "table_fill_often") (result i32)
    (loop (table.fill $t (i32.const 0) (ref.null func) (i32.const 0x100000)) (br 0)) (i32.const 0))
  (func (export "table_copy_often") (result i32)
    (loop (table.copy $t $t (i32.const 0) (i32.const 1) (i32.const 0xfffff)) (br 0)) (i32.const 0)))`

// Memory is filled and copied in pieces, with the outcome of a single instruction.
func TestBulk(t *testing.T) {
	t.Parallel()
	const mib, end = 1 << 20, 8 << 20
	h := newHost(t, Config{})
	plain := newHost(t, Config{NoMeter: true})
	slots := []*Slot{newSlot(t, plain), newSlot(t, h)}
	m := guesttest.Module(t, "bulk", bulkWAT)
	mods := []*Module{load(t, plain, m), load(t, h, m)}
	for _, task := range []string{"fill", "copy"} {
		for _, args := range [][3]uint32{
			{5, 300, 0},
			{0, 7, mib},
			{1, 8, mib + 1},
			{0, 9, end},
			{0, 1, 3*mib + 17},
			{17, 1, 3*mib + 17},
			{mib, 0, 4 * mib},
			{0, mib, 4 * mib},
			{2*mib + 1, 0, 5*mib + 3},
			{3, 3, 5 * mib},
			{end, 0, 0},
			{end, 0, 1},
			{end - 2*mib, 0, 2 * mib},
			{end - 2*mib, 0, 2*mib + 1},
			{0, end - 2*mib, 2*mib + 1},
			{end + 1, 0, 0},
			{0xffffffff, 0, 2 * mib},
			{0, 0xffffffff, 2 * mib},
			{2 * mib, 1, 0xffffffff},
		} {
			var arg []byte
			for _, n := range args {
				arg = binary.LittleEndian.AppendUint32(arg, n)
			}
			var outcomes [2]string
			var results [2][]byte
			for i, slot := range slots {
				out, err := slot.Run(t.Context(), taskOf(t, mods[i], task), &Call{Arg: arg})
				results[i] = bytes.Clone(out)
				if err != nil {
					outcomes[i] = fmt.Sprint(errorOf(t, err).Kind, strings.SplitN(err.Error(), "\n", 2)[0])
				}
			}
			if outcomes[0] != outcomes[1] || !bytes.Equal(results[0], results[1]) {
				t.Errorf("%s %v: %q as it is, %q rewritten, the same memory: %t", task, args, outcomes[0], outcomes[1], bytes.Equal(results[0], results[1]))
			}
		}
	}
}

// However many tables a module has, and grows, they have a million entries together: no
// limit of a call bounds their memory.
func TestTablesGrow(t *testing.T) {
	t.Parallel()
	for _, tables := range []int{1, 2, 64} {
		wat, code := "(module", ""
		for i := range tables {
			wat += fmt.Sprintf("(table $t%d 1 funcref)", i)
			code += fmt.Sprintf(`(loop $l (br_if $l (i32.ne (table.grow $t%[1]d (ref.null func) (i32.const 8191)) (i32.const -1))))
				(local.set 0 (i32.add (local.get 0) (table.size $t%[1]d)))`, i)
		}
		wat += `(func (export "grow") (param i32) (result i32) ` + code + ` (local.get 0)))`
		h := newHost(t, Config{})
		slot := newSlot(t, h)
		got := run(t, slot, taskOf(t, load(t, h, guesttest.Module(t, "tables", wat)), "grow"), "0")
		if n, err := strconv.Atoi(got); err != nil || n > meter.MostTable || n < meter.MostTable*3/4 {
			t.Errorf("%d tables grow to %s entries, want %d together", tables, got, meter.MostTable)
		}
	}
}

// A guest that moves much with few instructions is ended, by its time and by its
// budget.
func TestBulkEnds(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	slot := newSlot(t, h)
	mod := load(t, h, guesttest.Module(t, "bulk", bulkWAT))
	for _, task := range []string{"fill_much", "fill_often", "copy_often", "table_fill_often", "table_copy_often"} {
		for want, limits := range map[Kind]*Limits{
			KindTimeout: {Time: 5 * time.Millisecond},
			KindBudget:  {Instructions: 10_000_000},
		} {
			began := time.Now()
			_, err := slot.Run(t.Context(), taskOf(t, mod, task), &Call{Limits: limits})
			took := time.Since(began)
			if err == nil {
				t.Fatalf("%s was not ended", task)
			}
			if e := errorOf(t, err); e.Kind != want {
				t.Errorf("%s: got %v, want %v", task, err, want)
			}
			t.Logf("%s ended by %v after %v", task, want, took)
		}
	}
}
