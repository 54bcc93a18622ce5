package difftest

import (
	"encoding/binary"
	"slices"
)

// expr makes an expression of a type.
func (g *generator) expr(t valType, depth int) *node {
	g.left--
	if g.left <= 0 || depth > 8 || g.one(4) {
		return g.simple(t)
	}
	if t == funcref {
		return g.reference(depth)
	}
	for {
		if n := g.tryExpr(t, depth+1); n != nil {
			return n
		}
	}
}

func (g *generator) tryExpr(t valType, depth int) *node {
	switch n := g.r.IntN(20); n {
	case 0, 1:
		return g.choose(t, depth)
	case 2:
		return g.blockExpr(pick[byte](g, opBlock, opIf, opIf), t, depth)
	case 3, 4:
		return g.callExpr(t, depth)
	case 5:
		if locals := g.localsOf(t); len(locals) > 0 {
			return &node{typ: t, kids: []*node{g.expr(t, depth)}, code: localOp(opLocalTee, pick(g, locals...))}
		}
	case 6:
		b := g.target()
		if w := wants(b); len(w) == 1 && w[0] == t {
			return &node{typ: t, kids: []*node{g.expr(t, depth), g.expr(i32, depth)}, code: []byte{opBrIf}, to: []*block{b}}
		}
	case 7:
		if t == i32 {
			return g.question(depth)
		}
		if t == v128 {
			return g.shuffle(depth)
		}
	default:
		if o := pick(g, ops[t]...); g.has(o) && (o.traps == 0 || g.one(3)) {
			return g.apply(o, depth)
		}
	}
	return nil
}

// simple makes a constant, or reads a local or a global.
func (g *generator) simple(t valType) *node {
	locals, globals := g.localsOf(t), g.globalsOf(t, false)
	switch n := g.r.IntN(6); {
	case n < 3 && len(locals) > 0:
		return &node{typ: t, code: localOp(opLocalGet, pick(g, locals...))}
	case n < 4 && len(globals) > 0:
		return &node{typ: t, code: localOp(opGlobalGet, pick(g, globals...))}
	}
	return constant(t, g.bits(t))
}

// has reports whether the module may have the instruction.
func (g *generator) has(o op) bool {
	switch {
	case o.access && g.m.memory == nil, o.atomic && !g.atomics:
		return false
	case o.code[0] == opVector:
		return g.vectors
	}
	return true
}

// apply makes an instruction with its operands.
func (g *generator) apply(o op, depth int) *node {
	n := &node{typ: o.out, code: slices.Clone(o.code)}
	for i, t := range o.in {
		if o.access && i == 0 {
			n.kids = append(n.kids, g.address(depth, o.alignedTo()))
			continue
		}
		kid := g.expr(t, depth+1)
		switch {
		case o.leaks&(1<<i) != 0 && (t == f32 || t == f64):
			kid = g.canonical(kid)
		case o.traps == 1 && i == 1 && !g.one(10):
			kid = &node{typ: t, kids: []*node{kid, constant(t, 1)}, code: []byte{map[valType]byte{i32: 0x72, i64: 0x84}[t]}}
		}
		n.kids = append(n.kids, kid)
	}
	if o.access {
		n.code = append(n.code, g.memArg(o)...)
	}
	if o.lanes > 0 {
		n.code = append(n.code, byte(g.r.IntN(int(o.lanes))))
	}
	if o.nan && o.out == v128 {
		return g.canonicalLanes(n, o)
	}
	return n
}

func (o op) alignedTo() byte {
	if o.atomic {
		return o.align
	}
	return 0
}

// memArg makes the alignment and offset of an access.
func (g *generator) memArg(o op) []byte {
	align := o.align
	if !o.atomic {
		align = byte(g.r.IntN(int(align) + 1))
	}
	offset := uint64(0)
	switch {
	case o.atomic:
		offset = uint64(g.r.IntN(20)) << o.align
	case g.wide && g.one(8):
		offset = pick(g, g.farAddress(), 0x7fffffff, 0x80000000, 0xffffffff)
	case g.one(2):
		offset = uint64(pick(g, 1, 4, 8, 100, g.r.IntN(3000)))
	case g.one(60):
		offset = uint64(g.r.Uint32())
	}
	return append([]byte{align}, uleb(offset)...)
}

// address makes an expression that is mostly inside the memory.
func (g *generator) address(depth int, align byte) *node {
	if len(g.far) > 0 && align == 0 && g.one(2) {
		return &node{typ: i32, code: localOp(opLocalGet, pick(g, g.far...))}
	}
	switch {
	case g.one(4):
		return constant(i32, uint64(g.r.IntN(60000))&^(1<<align-1))
	case g.wide && g.one(6):
		return constant(i32, g.farAddress()&^(1<<align-1))
	case g.one(40):
		return g.expr(i32, depth+1)
	}
	mask := append(append([]byte{opI32Const}, sleb(0xfff8)...), 0x71)
	return &node{typ: i32, kids: []*node{g.expr(i32, depth+1)}, code: mask}
}

// farAddress returns an address near 2^31, 2^32 or the memory's end, mostly in it.
func (g *generator) farAddress() uint64 {
	size := g.m.memory.least << 16
	at := pick(g, size-16, size-4096, 1<<31-16, 1<<31, 1<<31+16, 1<<31+4096, 3<<30, 1<<32-65536-4096, size/2)
	if at > size-16 && !g.one(10) {
		at = size - 64 - uint64(g.r.IntN(64))
	}
	return at
}

// canonical makes a NaN the canonical one, before its bits get out.
func (g *generator) canonical(n *node) *node {
	t := n.typ
	if _, ok := g.canon[t]; !ok {
		g.canon[t] = g.local(t)
	}
	eq, nan := byte(0x5b), uint64(0x7fc00000)
	if t == f64 {
		eq, nan = 0x61, 0x7ff8000000000000
	}
	k := g.canon[t]
	return &node{typ: t, kids: []*node{n}, code: slices.Concat(localOp(opLocalTee, k), constant(t, nan).code,
		localOp(opLocalGet, k), localOp(opLocalGet, k), []byte{eq, opSelect})}
}

// canonicalLanes does so for each lane of a vector.
func (g *generator) canonicalLanes(n *node, o op) *node {
	if _, ok := g.canon[v128]; !ok {
		g.canon[v128] = g.local(v128)
	}
	nan := []byte{opVector, 12}
	eq := byte(65)
	if o.single() {
		for range 4 {
			nan = binary.LittleEndian.AppendUint32(nan, 0x7fc00000)
		}
	} else {
		eq = 71
		for range 2 {
			nan = binary.LittleEndian.AppendUint64(nan, 0x7ff8000000000000)
		}
	}
	k := g.canon[v128]
	return &node{typ: v128, kids: []*node{n}, code: slices.Concat(localOp(opLocalTee, k), nan,
		localOp(opLocalGet, k), localOp(opLocalGet, k), []byte{opVector, eq, opVector, 82})}
}

// single reports whether an instruction that makes NaNs makes lanes of 32 bits.
func (o op) single() bool {
	n, _ := binary.Uvarint(o.code[1:])
	return n == 94 || n >= 103 && n <= 106 || n >= 224 && n <= 235
}

// choose makes a select, with or without its type.
func (g *generator) choose(t valType, depth int) *node {
	n := &node{typ: t, kids: []*node{g.expr(t, depth), g.expr(t, depth), g.expr(i32, depth)}, code: []byte{opSelect}}
	if t == funcref || g.one(3) {
		n.code = []byte{opSelectTyped, 1, byte(t)}
	}
	return n
}

// blockExpr makes a block or an if that gives a value.
func (g *generator) blockExpr(op byte, t valType, depth int) *node {
	b := &block{op: op, sig: signature{results: []valType{t}}}
	n := &node{typ: t, block: b}
	if op == opIf {
		n.kids = []*node{g.expr(i32, depth)}
	}
	g.inside(b, depth)
	return n
}

func (g *generator) callExpr(t valType, depth int) *node {
	if g.f.leaf {
		return nil
	}
	f := pick(g, g.m.funcs...)
	if r := g.m.types[f.typ].results; len(r) != 1 || r[0] != t {
		return nil
	}
	n, _ := g.call(f, depth)
	if n.typ != t {
		return nil
	}
	return n
}

// question makes an i32 of something else than numbers.
func (g *generator) question(depth int) *node {
	switch n := g.r.IntN(6); {
	case n == 0 && g.m.memory != nil:
		return &node{typ: i32, code: []byte{opMemorySize, 0}}
	case n == 1 && g.m.memory != nil && g.one(3):
		return &node{typ: i32, kids: []*node{constant(i32, uint64(pick(g, 0, 1, 1, 2, 70000)))}, code: []byte{opMemoryGrow, 0}}
	case n == 2 && g.tables:
		return &node{typ: i32, kids: []*node{g.expr(funcref, depth)}, code: []byte{opRefIsNull}}
	case n == 3 && g.tables:
		return &node{typ: i32, code: []byte{opBulk, 16, 0}}
	case n == 4 && g.tables && g.one(4):
		return &node{typ: i32, kids: []*node{g.expr(funcref, depth), g.length(3)}, code: []byte{opBulk, 15, 0}}
	}
	return nil
}

func (g *generator) shuffle(depth int) *node {
	n := &node{typ: v128, kids: []*node{g.expr(v128, depth), g.expr(v128, depth)}, code: []byte{opVector, 13}}
	for range 16 {
		n.code = append(n.code, byte(g.r.IntN(32)))
	}
	return n
}

// reference makes a reference to a function.
func (g *generator) reference(depth int) *node {
	switch {
	case g.one(3):
		f := g.m.elems[0].funcs[0]
		if f >= 0 {
			return &node{typ: funcref, code: append([]byte{opRefFunc}, uleb(uint64(g.m.imports+f))...)}
		}
	case g.one(3):
		return g.choose(funcref, depth+1)
	case g.one(2):
		return &node{typ: funcref, kids: []*node{constant(i32, uint64(g.r.IntN(int(g.m.tables[0].least)+1)))}, code: []byte{opTableGet, 0}}
	}
	return g.simple(funcref)
}
