package meter

import (
	"encoding/binary"
	"fmt"

	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// A body is what survey finds out about one function.
type body struct {
	sites []site // the entry, then each loop's head and each block's end in their order
	calls []call // direct ones
	total uint64 // instructions
	leaf  bool   // it calls nothing and has no loop
	loops int

	locals uint64 // how many it declares
	more   byte   // the kinds of further locals that remedies need, a bit each

	helpers uint32 // how many its instructions need
	alters  bool   // tables or segments
}

// A site is where fuel may be taken off: at the entry, at a loop's head, or behind
// a block's end, where branches lead to.
type site struct {
	cost     uint64 // the instructions that follow, up to the next sites
	before   int    // behind a block: the site whose code leads to here; else -1
	opened   int    // behind a block: the site whose code the block begins in
	joined   bool   // it takes nothing: its cost belongs to the site before
	skips    bool   // a branch to here may have led past the site before
	branches bool   // its code may branch to a block's end
}

// A call is a direct call of a function from the code that belongs to a site.
type call struct {
	site   int
	callee uint32
}

// short reports whether the function takes no fuel itself.
func (b *body) short() bool { return b.leaf && b.total <= shortLeaf && b.helpers == 0 }

// holds reports whether the function holds the fuel in a local while it runs: that
// is what makes loops fast.
func (b *body) holds() bool { return b.loops > 0 && b.loops <= mostLoops }

// join lets short pieces of code behind blocks be paid with what leads to them, as
// long as that is short, too. So whatever way is taken through the function, it pays
// for all but a few instructions of it, and a branch that leads over much code does
// not pay for that. Code that such a branch reaches without paying leads to no other
// that it need not pay for: else a loop could be free but for its head.
func (b *body) join() {
	for i := range b.sites {
		s := &b.sites[i]
		if s.before < 0 || s.cost >= shortPiece {
			continue
		}
		s.before = b.payer(s.before)
		skips := s.before != b.payer(s.opened) || b.sites[s.opened].skips
		if before := &b.sites[s.before]; before.cost < shortPiece && (!skips || !s.branches) {
			before.cost += s.cost
			s.joined, s.skips = true, skips
		}
	}
}

// payer returns the site that pays for the code of site i.
func (b *body) payer(i int) int {
	for b.sites[i].joined {
		i = b.sites[i].before
	}
	return i
}

// measure fills bodies.
func (c *Code) measure() error {
	r := c.decoder(wasmbin.NewReader([]byte{0}, 0)) // without the section there is no function
	if section, ok := c.module.Section(c.wasm, wasmbin.SectionCode); ok {
		r = c.decoder(section)
	}
	n := r.Count(2)
	if declared := len(c.module.Funcs); n != declared && r.Err() == nil {
		return fmt.Errorf("it declares %d functions, and has the code of %d", declared, n)
	}
	c.bodies = make([]body, n)
	for i := 0; i < n && r.Err() == nil; i++ {
		c.bodies[i].measure(r, &c.Shape)
	}
	if r.Err() != nil {
		return r.Err()
	}
	for i := range c.bodies {
		b := &c.bodies[i]
		c.helpers = max(c.helpers, b.helpers)
		c.alters = c.alters || b.alters
		for _, to := range b.calls {
			if at := int64(to.callee) - int64(c.importedFuncs); at >= 0 && at < int64(n) && c.bodies[at].short() {
				b.sites[to.site].cost += c.bodies[at].total
			}
		}
		b.join()
	}
	return nil
}

// measure reads one function body, and makes the shape at least as large.
func (b *body) measure(r decoder, s *Shape) {
	end := r.U32()
	from := r.Offset()
	s.Body = max(s.Body, int(end))
	b.locals = r.locals()
	s.Locals = max(s.Locals, b.locals)
	b.sites, b.leaf = []site{{before: -1}}, true
	open := []scope{{}} // innermost last
	for len(open) > 0 && r.Err() == nil {
		inner := &open[len(open)-1]
		n, size := simple(r.Rest())
		r.Bytes(uint32(size))
		in := r.read()
		if !in.bracket() {
			n++
		}
		b.sites[inner.site].cost += n
		b.total += n
		s.Depth = max(s.Depth, len(open)-1)
		s.BranchTable = max(s.BranchTable, in.targets)
		b.helpers = max(b.helpers, in.helper())
		b.alters = b.alters || in.alters()
		if r := in.remedy(); r != nil {
			b.more |= r.locals
		}
		if in.leadsBehind(open) {
			b.sites[inner.site].branches = true
		}
		switch {
		case in.op == opLoop:
			b.leaf = false
			b.loops++
			open = append(open, scope{in.op, len(b.sites), len(b.sites)})
			b.sites = append(b.sites, site{before: -1})
		case in.opens():
			open = append(open, scope{in.op, inner.site, inner.site})
		case in.op == opElse && len(open) > 1: // it goes on where the if began
			inner.site = open[len(open)-2].site
		case in.op == opEnd:
			ended := *inner
			open = open[:len(open)-1]
			if ended.op == opBlock {
				open[len(open)-1].site = len(b.sites)
				b.sites = append(b.sites, site{before: ended.site, opened: ended.opened})
			}
		case in.calls():
			b.leaf = false
			if in.op == opCall {
				b.calls = append(b.calls, call{inner.site, in.index})
			}
		}
	}
	if r.Err() == nil && r.Offset()-from != int(end) {
		r.Failf("a function body of %d bytes ends after %d", end, r.Offset()-from)
	}
}

// A scope is a block that is open: what it is, and the sites that its code belongs
// to, now and at its start. The outermost is the function.
type scope struct {
	op     byte
	site   int
	opened int
}

// leadsBehind reports whether the instruction may branch to a block's end.
func (i instruction) leadsBehind(open []scope) bool {
	if !i.branches() || int64(i.label) >= int64(len(open)) {
		return false
	}
	return i.op == opBrTable || open[len(open)-1-int(i.label)].op == opBlock
}

// locals reads the declarations of locals and returns how many they declare.
func (r decoder) locals() uint64 { return r.localGroups(r.Count(2)) }

// localGroups reads n of them.
func (r decoder) localGroups(n int) (total uint64) {
	for ; n > 0 && r.Err() == nil; n-- {
		total += uint64(r.U32())
		r.valType()
	}
	return total
}

// code copies the function bodies and adds the counting.
func (e *editor) code() {
	n := e.U32()
	e.put(n + e.w.helpers)
	inner := &editor{w: e.w}
	for i := range n {
		if e.Err() != nil {
			return
		}
		e.U32()
		inner.decoder, inner.out = e.decoder, inner.out[:0]
		inner.body(i)
		e.put(uint32(len(inner.out)))
		e.out = append(e.out, inner.out...)
	}
	e.helperBodies()
}

// body copies the i-th function.
func (e *editor) body(i uint32) {
	b := &e.w.bodies[i]
	e.declare(i, b)
	if b.holds() {
		e.takeUp()
	}
	if !b.short() {
		e.chargeEntry(b.sites[0].cost)
	}
	next := b.sites[1:]
	open := []byte{0} // innermost last; the outermost is the function
	for len(open) > 0 && e.Err() == nil {
		_, size := simple(e.Rest())
		e.out = append(e.out, e.Bytes(uint32(size))...)
		in := e.instruction(len(open))
		isSite := in.op == opLoop
		switch {
		case isSite, in.opens():
			open = append(open, in.op)
		case in.op == opEnd:
			isSite = open[len(open)-1] == opBlock
			open = open[:len(open)-1]
		}
		if isSite {
			if !next[0].joined {
				e.charge(next[0].cost)
			}
			next = next[1:]
		}
	}
}

// expression copies a constant expression.
func (e *editor) expression() {
	for e.Err() == nil {
		switch in := e.instruction(0); {
		case in.op == opEnd:
			return
		case in.op >= opI32Add && in.op <= opI32Mul, in.op >= opI64Add && in.op <= opI64Mul:
			e.Failf("instruction 0x%02x belongs to %s", in.op, constants)
		case in.op == opGlobalGet && in.index >= e.w.importedGlobals:
			e.Failf("a first value is that of global %d, which is not imported: build for WebAssembly 2.0", in.index)
		}
	}
}

// instruction copies one instruction, with the new index of a function that it
// names, and what it needs of the added ones. So many blocks are open.
func (e *editor) instruction(open int) instruction {
	from := e.Offset()
	in := e.read()
	if e.Err() != nil {
		return in
	}
	helper, remedy := in.helper(), in.remedy()
	others := e.held != nil && (helper != 0 || in.calls() && !e.w.callsShort(in)) // they take fuel, too
	if others || e.held != nil && in.leaves(open) {
		e.putBack()
	}
	switch {
	case in.named():
		e.op(in.op)
		e.put(e.w.moved(in.index))
	case remedy != nil && open > 0: // in a function
		remedy.write(e, e.w.wasm[from:e.Offset()])
	default:
		if helper != 0 {
			e.call(e.w.helper(helper))
		}
		if helper <= helperPay {
			e.op(e.w.wasm[from:e.Offset()]...)
		}
	}
	if others {
		e.takeUp()
	}
	return in
}

// callsShort reports whether the instruction calls a function that takes no fuel.
func (c *Code) callsShort(in instruction) bool {
	return in.op == opCall && in.index >= c.importedFuncs && c.bodies[in.index-c.importedFuncs].short()
}

// declare copies the locals of the i-th function and adds those that it needs.
func (e *editor) declare(i uint32, b *body) {
	var added []byte // their types
	next := uint32(b.locals)
	if t, ok := e.w.module.FuncType(e.w.importedFuncs + i); ok {
		next += uint32(len(t.Params))
	} else {
		e.Failf("function %d has no type", i)
	}
	local := func(needed bool, typ byte) []byte {
		if !needed {
			return nil
		}
		added = append(added, typ)
		return unsigned(next + uint32(len(added)) - 1)
	}
	e.held = local(b.holds(), valI64)
	for i, typ := range remedyTypes {
		e.added[i] = local(b.more&(1<<i) != 0, typ)
	}
	n := e.Count(2)
	e.put(uint32(n + len(added)))
	e.copied(func() { e.localGroups(n) })
	for _, typ := range added {
		e.op(1, typ)
	}
}

// putBack makes the global hold the fuel, and takeUp the local.
func (e *editor) putBack() {
	e.op(append([]byte{opLocalGet}, e.held...)...)
	e.op(append([]byte{opGlobalSet}, unsigned(e.w.fuel())...)...)
}

func (e *editor) takeUp() {
	e.op(append([]byte{opGlobalGet}, unsigned(e.w.fuel())...)...)
	e.op(append([]byte{opLocalSet}, e.held...)...)
}

// charge takes a cost off the fuel.
func (e *editor) charge(cost uint64) { e.chargeWith(costCode(cost)...) }

func costCode(cost uint64) []byte { return appendSigned([]byte{opI64Const}, int64(cost)) }

// chargeWith takes the cost off the fuel that code puts on the stack.
func (e *editor) chargeWith(code ...byte) {
	if e.held != nil {
		e.chargeHeld(code)
		return
	}
	e.spend(code)
	e.op(opI64Const, 0, opI64LtS, opIf, emptyBlock)
	e.tick()
	e.op(opEnd)
}

// chargeEntry is charge at a function's entry.
func (e *editor) chargeEntry(cost uint64) {
	if e.held != nil {
		e.chargeHeld(costCode(cost))
		return
	}
	e.op(opBlock, emptyBlock, opBlock, emptyBlock)
	e.spend(costCode(cost))
	e.op(unlessSpent...)
	e.tick()
	e.op(opEnd)
}

// chargeHeld is chargeWith where a local holds the fuel.
func (e *editor) chargeHeld(code []byte) {
	e.op(opBlock, emptyBlock, opBlock, emptyBlock)
	e.op(append([]byte{opLocalGet}, e.held...)...)
	e.op(code...)
	e.op(opI64Sub)
	e.op(append([]byte{opLocalTee}, e.held...)...)
	e.op(unlessSpent...)
	e.putBack()
	e.tick()
	e.takeUp()
	e.op(opEnd)
}

// unlessSpent ends the inner of two blocks, and leaves the outer one, too, if the
// fuel on the stack is not below zero. An if would do the same, but the engine goes on
// behind it with its registers as they are after the call of the tick: all in memory.
var unlessSpent = []byte{opI64Const, 0, opI64LtS, opBrIf, 0, opBr, 1, opEnd}

// spend takes a cost off the global, and puts what is left on the stack.
func (e *editor) spend(code []byte) {
	fuel := unsigned(e.w.fuel())
	e.op(append([]byte{opGlobalGet}, fuel...)...)
	e.op(code...)
	e.op(opI64Sub)
	e.op(append([]byte{opGlobalSet}, fuel...)...)
	e.op(append([]byte{opGlobalGet}, fuel...)...)
}

// tick calls the tick, which gives new fuel.
func (e *editor) tick() {
	e.call(e.w.tick())
	e.op(append([]byte{opGlobalSet}, unsigned(e.w.fuel())...)...)
}

func unsigned(n uint32) []byte { return binary.AppendUvarint(nil, uint64(n)) }

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
