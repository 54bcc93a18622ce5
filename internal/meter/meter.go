// Package meter rewrites a module so that it counts what it executes and calls
// its host now and then.
//
// At the entry of functions and at the head of loops the rewritten module takes
// the number of instructions that follow, up to the next such place, off a
// global, its fuel. Where that falls below zero it calls the import tick, whose
// result becomes the new fuel. What is taken off depends on the executed path
// only, so the count is the same on every run. A function that calls nothing and
// has no loop is not counted.
package meter

import (
	"encoding/binary"
	"fmt"

	"github.com/wasmpool/wasmpool/internal/abi"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

const (
	// Fuel is the name of the exported, mutable i64 global that the rewritten
	// module adds: the instructions it may execute before the next tick.
	Fuel = "wasmpool_fuel"

	// Tick is the name of the import, of type () -> i64, that it calls when
	// Fuel is below zero, in the module of the ABI.
	Tick = "tick"
)

// A rewriter holds what is the same for every function of a module.
type rewriter struct {
	wasm     []byte
	m        *wasmbin.Module
	imported uint32 // functions; the tick comes behind them
	fuel     uint32 // index of the global
}

// Rewrite returns the module with its ticks. m is what [wasmbin.Parse] found in
// wasm, which is not changed.
func Rewrite(wasm []byte, m *wasmbin.Module) ([]byte, error) {
	w := &rewriter{wasm: wasm, m: m}
	for _, i := range m.Imports {
		switch i.Kind {
		case wasmbin.KindFunc:
			w.imported++
		case wasmbin.KindGlobal:
			w.fuel++
		}
	}
	if r, ok := m.Section(wasm, wasmbin.SectionGlobal); ok {
		w.fuel += r.U32()
	}
	return w.module()
}

// added are the sections that always have something added, in their order.
var added = []wasmbin.SectionID{wasmbin.SectionType, wasmbin.SectionImport, wasmbin.SectionGlobal, wasmbin.SectionExport}

// order is where a section stands among the others.
func order(id wasmbin.SectionID) int {
	switch id {
	case wasmbin.SectionTag:
		return 2*int(wasmbin.SectionMemory) + 1
	case wasmbin.SectionDataCount:
		return 2*int(wasmbin.SectionElement) + 1
	}
	return 2 * int(id)
}

func (w *rewriter) module() ([]byte, error) {
	out := append(make([]byte, 0, len(w.wasm)*5/4), w.wasm[:8]...)
	todo := added
	end := 8
	for _, s := range w.m.Sections {
		if s.ID == wasmbin.SectionCustom {
			name := wasmbin.NewReader(w.wasm[s.Offset:s.Offset+s.Size], s.Offset)
			if name.Name() == "name" { // it comes last
				for _, id := range todo {
					out = appendSection(out, id, w.create(id))
				}
				todo = nil
				out = appendSection(out, s.ID, w.names(w.wasm[s.Offset:s.Offset+s.Size]))
			} else {
				out = append(out, w.wasm[end:s.Offset+s.Size]...)
			}
			end = s.Offset + s.Size
			continue
		}
		for len(todo) > 0 && order(todo[0]) < order(s.ID) {
			out = appendSection(out, todo[0], w.create(todo[0]))
			todo = todo[1:]
		}
		if len(todo) > 0 && todo[0] == s.ID {
			todo = todo[1:]
		}
		r := wasmbin.NewReader(w.wasm[s.Offset:s.Offset+s.Size], s.Offset)
		body, same := w.section(s.ID, r)
		if err := r.Err(); err != nil {
			return nil, err
		}
		if same {
			out = append(out, w.wasm[end:s.Offset+s.Size]...)
		} else {
			out = appendSection(out, s.ID, body)
		}
		end = s.Offset + s.Size
	}
	for _, id := range todo {
		out = appendSection(out, id, w.create(id))
	}
	return out, nil
}

func appendSection(out []byte, id wasmbin.SectionID, body []byte) []byte {
	out = append(out, byte(id))
	out = binary.AppendUvarint(out, uint64(len(body)))
	return append(out, body...)
}

func appendName(out []byte, name string) []byte {
	out = binary.AppendUvarint(out, uint64(len(name)))
	return append(out, name...)
}

// create returns a section of which the module has none.
func (w *rewriter) create(id wasmbin.SectionID) []byte {
	return w.add([]byte{1}, id)
}

// add appends the one entry that is added to a section.
func (w *rewriter) add(out []byte, id wasmbin.SectionID) []byte {
	switch id {
	case wasmbin.SectionType:
		return append(out, 0x60, 0, 1, byte(wasmbin.I64))
	case wasmbin.SectionImport:
		out = append(appendName(appendName(out, abi.Module), Tick), byte(wasmbin.KindFunc))
		return binary.AppendUvarint(out, uint64(len(w.m.Types)))
	case wasmbin.SectionGlobal:
		return append(out, byte(wasmbin.I64), 1, 0x42, 0, 0x0b)
	default:
		out = append(appendName(out, Fuel), byte(wasmbin.KindGlobal))
		return binary.AppendUvarint(out, uint64(w.fuel))
	}
}

// section returns the new content of a section, or that it stays the same.
func (w *rewriter) section(id wasmbin.SectionID, r *wasmbin.Reader) (body []byte, same bool) {
	switch id {
	case wasmbin.SectionType, wasmbin.SectionImport:
		body = binary.AppendUvarint(body, uint64(r.U32())+1)
		return w.add(append(body, r.Bytes(uint32(r.Len()))...), id), false
	case wasmbin.SectionGlobal:
		n := r.U32()
		body = binary.AppendUvarint(body, uint64(n)+1)
		c := coder{w: w, r: r, out: body, constant: true}
		for range n {
			c.valType()
			c.copyByte()
			c.run()
		}
		return w.add(c.out, id), false
	case wasmbin.SectionExport:
		n := r.U32()
		body = binary.AppendUvarint(body, uint64(n)+1)
		for range n {
			body = appendName(body, r.Name())
			kind := r.Byte()
			body = append(body, kind)
			index := r.U32()
			if wasmbin.Kind(kind) == wasmbin.KindFunc {
				index = w.function(index)
			}
			body = binary.AppendUvarint(body, uint64(index))
		}
		return w.add(body, id), false
	case wasmbin.SectionStart:
		return binary.AppendUvarint(nil, uint64(w.function(r.U32()))), false
	case wasmbin.SectionElement:
		return w.elements(r), false
	case wasmbin.SectionCode:
		return w.code(r), false
	}
	return nil, true
}

// function returns the new index of a function.
func (w *rewriter) function(index uint32) uint32 {
	if index >= w.imported {
		index++
	}
	return index
}

// elements rewrites the element section.
func (w *rewriter) elements(r *wasmbin.Reader) []byte {
	n := r.U32()
	c := coder{w: w, r: r, out: binary.AppendUvarint(nil, uint64(n)), constant: true}
	for range n {
		if r.Err() != nil {
			break
		}
		flags := c.copyU32()
		if flags > 7 {
			r.Failf("an element segment with flags %d", flags)
		}
		if flags&1 == 0 { // active
			if flags&2 != 0 {
				c.copyU32() // its table
			}
			c.run()
		}
		switch {
		case flags&3 == 0:
		case flags&4 != 0:
			c.valType()
		default:
			c.copyByte()
		}
		for range c.copyU32() {
			if r.Err() != nil {
				break
			}
			if flags&4 != 0 {
				c.run()
			} else {
				c.out = binary.AppendUvarint(c.out, uint64(w.function(r.U32())))
			}
		}
	}
	return c.out
}

// code rewrites the bodies of all functions.
func (w *rewriter) code(r *wasmbin.Reader) []byte {
	n := r.U32()
	out := binary.AppendUvarint(nil, uint64(n))
	for range n {
		size := r.U32()
		at := r.Offset()
		c := coder{w: w, r: wasmbin.NewReader(r.Bytes(size), at)}
		for range c.copyU32() {
			c.copyU32()
			c.valType()
			if c.r.Err() != nil {
				break
			}
		}
		locals := c.out
		c.out = nil
		c.regions = append(c.regions, region{at: -1})
		c.run()
		if err := c.r.Err(); err != nil {
			r.Failf("%v", err)
			break
		}
		entry := []byte(nil)
		if c.ticks {
			entry = w.charge(nil)
			w.patch(entry, 0, c.total)
		}
		out = binary.AppendUvarint(out, uint64(len(locals)+len(entry)+len(c.out)))
		out = append(append(append(out, locals...), entry...), c.out...)
	}
	return out
}

// charge appends the instructions that take fuel, still 0, and tick.
func (w *rewriter) charge(out []byte) []byte {
	fuel := binary.AppendUvarint(nil, uint64(w.fuel))
	out = append(append(out, 0x23), fuel...)                          // global.get
	out = append(out, 0x42, 0x80, 0x80, 0x80, 0x80, 0x00)             // i64.const, see patch
	out = append(out, 0x7d)                                           // i64.sub
	out = append(append(out, 0x24), fuel...)                          // global.set
	out = append(append(out, 0x23), fuel...)                          // global.get
	out = append(out, 0x42, 0x00, 0x53, 0x04, 0x40)                   // i64.const 0, i64.lt_s, if
	out = binary.AppendUvarint(append(out, 0x10), uint64(w.imported)) // call
	out = append(append(out, 0x24), fuel...)                          // global.set
	return append(out, 0x0b)                                          // end
}

// patch sets the number of instructions in the charge at a place.
func (w *rewriter) patch(out []byte, at int, n uint64) {
	at += 1 + len(binary.AppendUvarint(nil, uint64(w.fuel))) // behind global.get
	for i := range 5 {
		b := byte(n>>(7*i)) & 0x7f
		if i < 4 {
			b |= 0x80
		}
		out[at+1+i] = b
	}
}

// names rewrites the name section: the functions have moved by one. One that
// cannot be read is dropped.
func (w *rewriter) names(section []byte) []byte {
	r := wasmbin.NewReader(section, 0)
	out := appendName(nil, r.Name())
	for r.Len() > 0 {
		id := r.Byte()
		sub := wasmbin.NewReader(r.Bytes(r.U32()), 0)
		if id > 2 || r.Err() != nil {
			continue
		}
		body := w.subsection(id, sub)
		if sub.Err() == nil {
			out = append(out, id)
			out = binary.AppendUvarint(out, uint64(len(body)))
			out = append(out, body...)
		}
	}
	return out
}

// subsection rewrites one part of the name section: 0 is the module's name, 1 the
// functions', 2 the locals'.
func (w *rewriter) subsection(id byte, r *wasmbin.Reader) []byte {
	if id == 0 {
		return appendName(nil, r.Name())
	}
	n := r.Count(2)
	out := binary.AppendUvarint(nil, uint64(n))
	for range n {
		out = binary.AppendUvarint(out, uint64(w.function(r.U32())))
		if id == 1 {
			out = appendName(out, r.Name())
			continue
		}
		locals := r.Count(2)
		out = binary.AppendUvarint(out, uint64(locals))
		for range locals {
			out = binary.AppendUvarint(out, uint64(r.U32()))
			out = appendName(out, r.Name())
		}
	}
	return out
}

// errInstruction is the text for what wazero could not run either.
func errInstruction(op byte, sub uint32) string {
	return fmt.Sprintf("unknown instruction %#02x %d", op, sub)
}
