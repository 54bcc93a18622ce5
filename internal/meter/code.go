package meter

import (
	"encoding/binary"

	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// A body is what survey finds out about one function.
type body struct {
	costs []uint64 // of the entry, then of each loop in their order
	calls []call   // direct ones
	leaf  bool     // it calls nothing and has no loop
}

// A call is a direct call of a function from the code that belongs to a cost.
type call struct {
	cost   int
	callee uint32
}

// short reports whether the function takes no fuel itself.
func (b *body) short() bool { return b.leaf && b.costs[0] <= shortLeaf }

// measure fills bodies.
func (c *Code) measure() error {
	section, ok := c.module.Section(c.wasm, wasmbin.SectionCode)
	if !ok {
		return nil
	}
	r := c.decoder(section)
	n := r.Count(2)
	c.bodies = make([]body, n)
	for i := 0; i < n && r.Err() == nil; i++ {
		c.bodies[i].measure(r, &c.Shape)
	}
	if r.Err() != nil {
		return r.Err()
	}
	for i := range c.bodies {
		b := &c.bodies[i]
		for _, to := range b.calls {
			if at := int64(to.callee) - int64(c.importedFuncs); at >= 0 && at < int64(n) && c.bodies[at].short() {
				b.costs[to.cost] += c.bodies[at].costs[0]
			}
		}
	}
	return nil
}

// measure reads one function body, and makes the shape at least as large.
func (b *body) measure(r decoder, s *Shape) {
	end := r.U32()
	from := r.Offset()
	s.Body = max(s.Body, int(end))
	s.Locals = max(s.Locals, r.locals())
	b.costs, b.leaf = []uint64{0}, true
	open := []int{0} // the costs of the blocks around, innermost last
	for len(open) > 0 && r.Err() == nil {
		cost := open[len(open)-1]
		n, size := simple(r.Rest())
		r.Bytes(uint32(size))
		in := r.read()
		b.costs[cost] += n + 1
		s.Depth = max(s.Depth, len(open)-1)
		s.BranchTable = max(s.BranchTable, in.targets)
		switch {
		case in.op == opLoop:
			b.leaf = false
			open = append(open, len(b.costs))
			b.costs = append(b.costs, 0)
		case in.opens():
			open = append(open, cost)
		case in.op == opEnd:
			open = open[:len(open)-1]
		case in.calls():
			b.leaf = false
			if in.op == opCall || in.op == opReturnCall {
				b.calls = append(b.calls, call{cost, in.index})
			}
		}
	}
	if r.Err() == nil && r.Offset()-from != int(end) {
		r.Failf("a function body of %d bytes ends after %d", end, r.Offset()-from)
	}
}

// locals reads the declarations of locals and returns how many they declare.
func (r decoder) locals() (total uint64) {
	for n := r.Count(2); n > 0 && r.Err() == nil; n-- {
		total += uint64(r.U32())
		r.valType()
	}
	return total
}

// code copies the function bodies and adds the counting.
func (e *editor) code() {
	n := e.number()
	inner := &editor{w: e.w}
	for i := range n {
		if e.Err() != nil {
			return
		}
		e.U32()
		inner.decoder, inner.out = e.decoder, inner.out[:0]
		inner.body(&e.w.bodies[i])
		e.put(uint32(len(inner.out)))
		e.out = append(e.out, inner.out...)
	}
}

func (e *editor) body(b *body) {
	e.copied(func() { e.locals() })
	if !b.short() {
		e.charge(b.costs[0])
	}
	loops := 0
	for depth := 1; depth > 0 && e.Err() == nil; {
		_, size := simple(e.Rest())
		e.out = append(e.out, e.Bytes(uint32(size))...)
		in := e.instruction()
		switch {
		case in.op == opLoop:
			loops++
			e.charge(b.costs[loops])
			depth++
		case in.opens():
			depth++
		case in.op == opEnd:
			depth--
		}
	}
}

// expression copies a constant expression.
func (e *editor) expression() {
	for e.Err() == nil {
		if e.instruction().op == opEnd {
			return
		}
	}
}

// instruction copies one instruction, with the new index of a function that it
// names.
func (e *editor) instruction() instruction {
	from := e.Offset()
	in := e.read()
	switch {
	case e.Err() != nil:
	case in.named():
		e.out = append(e.out, in.op)
		e.put(e.w.moved(in.index))
	default:
		e.out = append(e.out, e.w.wasm[from:e.Offset()]...)
	}
	return in
}

// charge takes a cost off the fuel.
func (e *editor) charge(cost uint64) {
	fuel := binary.AppendUvarint(nil, uint64(e.w.fuel()))
	get := append([]byte{opGlobalGet}, fuel...)
	set := append([]byte{opGlobalSet}, fuel...)
	e.out = append(e.out, get...)
	e.out = appendSigned(append(e.out, opI64Const), int64(cost))
	e.out = append(e.out, opI64Sub)
	e.out = append(e.out, set...)
	e.out = append(e.out, get...)
	e.out = append(e.out, opI64Const, 0, opI64LtS, opIf, emptyBlock, opCall)
	e.put(e.w.tick())
	e.out = append(e.out, set...)
	e.out = append(e.out, opEnd)
}

// appendSigned appends a signed LEB128 number.
func appendSigned(b []byte, n int64) []byte {
	for {
		low := byte(n & 0x7f)
		n >>= 7
		if n == 0 && low&0x40 == 0 || n == -1 && low&0x40 != 0 {
			return append(b, low)
		}
		b = append(b, low|0x80)
	}
}
