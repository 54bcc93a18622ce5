package meter

import (
	"encoding/binary"

	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// An editor copies a section from its reader to out, with changes.
type editor struct {
	decoder
	w   *Code
	out []byte
	// The indices of locals that are added, in the function that is copied; nil without.
	held  []byte               // holds the fuel
	added [remedyLocals][]byte // for remedies
}

func (c *Code) editor(r *wasmbin.Reader) *editor {
	return &editor{decoder: c.decoder(r), w: c, out: make([]byte, 0, r.Len()*5/4+64)}
}

func (c *Code) decoder(r *wasmbin.Reader) decoder {
	return decoder{Reader: r, types: uint32(len(c.module.Types)), funcs: c.funcs(), globals: c.fuel()}
}

// copied copies what read consumes.
func (e *editor) copied(read func()) {
	from := e.Offset()
	read()
	if e.Err() == nil {
		e.out = append(e.out, e.w.wasm[from:e.Offset()]...)
	}
}

// rest copies all that is left.
func (e *editor) rest() { e.out = append(e.out, e.Bytes(uint32(e.Len()))...) }

func (e *editor) put(n uint32) { e.out = binary.AppendUvarint(e.out, uint64(n)) }

// number copies a number and returns it.
func (e *editor) number() uint32 {
	n := e.U32()
	e.put(n)
	return n
}

// count copies the length of a list whose entries take at least size bytes, and fails if
// so many cannot follow.
func (e *editor) count(size int) uint32 {
	n := uint32(e.Count(size))
	e.put(n)
	return n
}

// function copies the index of a function.
func (e *editor) function() { e.put(e.w.moved(e.decoder.function())) }

// appendEntries copies a section that is a list and adds entries.
func (e *editor) appendEntries(entries ...[]byte) {
	e.put(e.U32() + uint32(len(entries)))
	e.rest()
	for _, entry := range entries {
		e.op(entry...)
	}
}

// tables copies the tables, with a bound, and notes how large they are.
func (e *editor) tables() {
	e.w.Shape.Tables, e.w.Shape.Table = e.count(3), 0
	for n := e.w.Shape.Tables; n > 0 && e.Err() == nil; n-- {
		const withInit = 0x40
		if first := e.Rest(); len(first) > 0 && first[0] == withInit {
			e.Failf("a table whose entries have a first value belongs to %s", typedRefs)
		}
		e.copied(e.valType)
		e.tableLimits()
	}
}

func (e *editor) tableLimits() {
	const hasMax, is64 = 1, 4
	flags := e.Byte()
	switch {
	case flags&is64 != 0:
		e.Failf("a table with 64-bit indices belongs to memory64, which is off here: compile for wasm32")
	case flags > hasMax:
		e.Failf("a table has the flags 0x%02x, which are unknown", flags)
	}
	least := e.U64()
	most := MostOfTable(int(e.w.Shape.Tables), least)
	if flags&hasMax != 0 {
		most = min(most, e.U64())
	}
	e.w.Shape.Table += min(least, 1<<32) // as far as a table goes, so that the sum is right
	e.out = append(e.out, flags|hasMax)
	e.out = binary.AppendUvarint(e.out, least)
	e.out = binary.AppendUvarint(e.out, most)
}

func (e *editor) globalList() {
	e.put(e.U32() + 1)
	for range e.w.Shape.Globals {
		if e.Err() != nil {
			return
		}
		e.copied(e.valType)
		e.copied(func() { e.Byte() }) // whether it is mutable
		e.expression()
	}
	e.out = append(e.out, byte(wasmbin.I64), 1, opI64Const, 0, opEnd)
}

func (e *editor) exports() {
	n := e.U32()
	e.put(n + 1)
	for ; n > 0 && e.Err() == nil; n-- {
		e.copied(func() { e.Name() })
		kind := wasmbin.Kind(e.Byte())
		e.out = append(e.out, byte(kind))
		if kind == wasmbin.KindFunc {
			e.function()
			continue
		}
		n := e.U32()
		if kind == wasmbin.KindGlobal && n >= e.globals {
			e.Failf("global %d does not exist", n)
		}
		e.put(n)
	}
	e.out = appendName(e.out, Fuel)
	e.out = append(e.out, byte(wasmbin.KindGlobal))
	e.put(e.w.fuel())
}

// elements copies the element segments: of eight forms, by three bits.
func (e *editor) elements() {
	const (
		passive  = 1 << 0 // or declarative, with the next bit
		explicit = 1 << 1 // the table of an active one; else declarative
		exprs    = 1 << 2 // its entries are expressions, not indices
	)
	for n := e.count(2); n > 0 && e.Err() == nil; n-- {
		flags := e.number()
		if flags > passive|explicit|exprs {
			e.Failf("an element segment of form %d", flags)
			return
		}
		if flags&passive == 0 {
			if flags&explicit != 0 {
				e.number() // the table
			}
			e.expression()
		}
		switch {
		case flags&(passive|explicit) == 0: // the type goes without saying
		case flags&exprs != 0:
			e.copied(e.valType)
		default:
			e.copied(func() { e.Byte() }) // that the elements are functions
		}
		for m := e.count(1); m > 0 && e.Err() == nil; m-- {
			if flags&exprs != 0 {
				e.expression()
			} else {
				e.function()
			}
		}
	}
}

// data reads the data segments, of three forms.
func (e *editor) data() {
	const active, passive, withMemory = 0, 1, 2
	for n := e.count(2); n > 0 && e.Err() == nil; n-- {
		switch form := e.number(); form {
		case active:
			e.expression()
		case passive:
		case withMemory:
			e.number()
			e.expression()
		default:
			e.Failf("a data segment of form %d", form)
		}
		e.Bytes(e.U32())
	}
}
