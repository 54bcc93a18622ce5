package difftest

import (
	"bytes"
	"cmp"
	"math/rand/v2"
	"slices"
)

// Functions with more values than the CPU has registers, some of them in memory after a
// call, of which a few are operands of an instruction and afterwards arguments of another
// call: the compiler wants those in certain registers, which others must leave, in the
// middle of what it makes of the instruction.

const pressedFunctions = 5

// pressed makes a module with such functions, for instructions of a list.
func pressed(seed, features uint64, of []op) *tree {
	g := &generator{r: rand.New(rand.NewPCG(seed, 7)), features: features, m: &tree{start: -1}, vectors: true}
	m := g.m
	m.memory = &limits{1, 1}
	m.globals = []global{{i32, true, append(constant(i32, mostSteps).code, opEnd)}}
	m.funcs = append(m.funcs, &function{typ: m.typeOf(signature{}), body: &block{body: []*node{{code: []byte{opNop}}}}})
	for range pressedFunctions {
		o := pick(g, of...)
		class := pick(g, o.in...)
		g.sink(class, o.in)
		m.exports = append(m.exports, len(m.funcs))
		g.press(o, class)
	}
	return m
}

// pressedOps are the instructions that may be pressed: all but those that trap over a float,
// which would seldom not do so.
var pressedOps = func() (all []op) {
	for t, list := range ops {
		all = append(all, slices.DeleteFunc(slices.Clone(list), func(o op) bool { return o.atomic || o.traps == 2 })...)
		if t != 0 {
			all = append(all, op{code: []byte{opSelect}, in: []valType{t, t, i32}, out: t})
		}
	}
	slices.SortFunc(all, func(a, b op) int { return cmp.Or(bytes.Compare(a.code, b.code), cmp.Compare(a.out, b.out)) })
	return all
}()

// sink adds a function that returns one of its parameters.
func (g *generator) sink(class valType, wanted []valType) {
	sig := signature{params: make([]valType, 1+g.r.IntN(9))}
	for i := range sig.params {
		sig.params[i] = pick(g, append(wanted, class, g.valType())...)
	}
	which := g.r.IntN(len(sig.params))
	sig.results = sig.params[which : which+1]
	get := &node{typ: sig.results[0], code: localOp(opLocalGet, which)}
	g.m.funcs = append(g.m.funcs, &function{typ: g.m.typeOf(sig), body: &block{sig: sig, body: []*node{get}}})
}

// press adds a function with the instruction.
func (g *generator) press(o op, class valType) {
	sig := signature{}
	for range 6 + g.r.IntN(8) {
		sig.params = append(sig.params, g.near(class))
	}
	sig.params = append(append(sig.params, o.in...), i32)
	f := &function{body: &block{}}
	g.m.funcs = append(g.m.funcs, f)
	g.f, g.params, g.loops, g.canon, g.far = f, sig.params, map[*block]int{}, map[valType]int{}, nil
	g.open = []*block{f.body}

	var body []*node
	call := func() { body = append(body, &node{code: []byte{opCall, 0}}) }
	if !g.one(4) {
		call()
	}
	var held []int
	for range pick(g, 0, 1, 4, 10+g.r.IntN(10), 14+g.r.IntN(6)) {
		t := g.near(class)
		n := g.mixed(t)
		held = append(held, g.local(t))
		body = append(body, set(held[len(held)-1], n))
	}
	if g.one(4) {
		call()
	}
	var operands []int
	for _, t := range o.in {
		operands = append(operands, pick(g, g.localsOf(t)...))
	}
	given := slices.Clone(held)
	n := g.applied(o, operands)
	if o.out != 0 {
		result := g.local(o.out)
		given = append(given, result)
		n = set(result, n)
	}
	body = append(body, n)
	for range g.r.IntN(3) {
		body = append(body, g.pour(operands))
	}
	body = g.around(body)
	if g.one(2) {
		body = append(body, g.pour(held))
	}
	g.r.Shuffle(len(given), func(i, j int) { given[i], given[j] = given[j], given[i] })
	given = append(given, operands...) // used last
	for _, i := range given {
		body = append(body, g.read(i))
		sig.results = append(sig.results, g.typeOf(i))
	}
	f.body.body, f.body.sig, f.typ = body, sig, g.m.typeOf(sig)
}

// applied makes the instruction with locals as operands, which hold no NaN that an
// instruction has made.
func (g *generator) applied(o op, operands []int) *node {
	n := &node{typ: o.out, code: slices.Clone(o.code)}
	for i, local := range operands {
		kid := g.read(local)
		switch {
		case o.access && i == 0: // inside the memory
			kid = &node{typ: i32, kids: []*node{kid}, code: slices.Concat([]byte{opI32Const}, sleb(0x7ff8), []byte{0x71})}
		case o.traps == 1 && i == 1: // not 0
			kid = &node{typ: kid.typ, kids: []*node{kid, constant(kid.typ, 1)}, code: []byte{map[valType]byte{i32: 0x72, i64: 0x84}[kid.typ]}}
		}
		n.kids = append(n.kids, kid)
	}
	if o.access {
		n.code = append(n.code, 0, 8)
	}
	if o.lanes > 0 {
		n.code = append(n.code, byte(g.r.IntN(int(o.lanes))))
	}
	if o.nan && o.out == v128 {
		return g.canonicalLanes(n, o)
	}
	return n
}

// near returns a type, mostly the given one.
func (g *generator) near(class valType) valType {
	if g.one(5) {
		return g.valType()
	}
	return class
}

func (g *generator) typeOf(local int) valType { return slices.Concat(g.params, g.f.locals)[local] }

func (g *generator) read(local int) *node {
	return &node{typ: g.typeOf(local), code: localOp(opLocalGet, local)}
}

// mixed makes a new value of a type, which depends on another, and is no new NaN.
func (g *generator) mixed(t valType) *node {
	locals := g.localsOf(t)
	if len(locals) == 0 {
		return constant(t, g.bits(t))
	}
	code := map[valType][]byte{i32: {0x73}, i64: {0x85}, f32: {0x8c}, f64: {0x9a}, v128: {opVector, 81}}[t]
	n := &node{typ: t, kids: []*node{g.read(pick(g, locals...))}, code: code}
	if t != f32 && t != f64 {
		n.kids = append(n.kids, constant(t, g.bits(t)))
	}
	return n
}

// pour gives values to a sink, those given where they fit.
func (g *generator) pour(first []int) *node {
	at := len(g.m.funcs) - 2
	sig := g.m.types[g.m.funcs[at].typ]
	n := &node{code: []byte{opCall, byte(at)}, after: []byte{opDrop}}
	for _, t := range sig.params {
		fit := slices.DeleteFunc(slices.Clone(first), func(i int) bool { return g.typeOf(i) != t })
		if len(fit) == 0 || g.one(4) {
			fit = g.localsOf(t)
		}
		if len(fit) == 0 {
			n.kids = append(n.kids, constant(t, g.bits(t)))
		} else {
			n.kids = append(n.kids, g.read(pick(g, fit...)))
		}
	}
	if locals := g.localsOf(sig.results[0]); len(locals) > 0 {
		n.after = localOp(opLocalSet, pick(g, locals...))
	}
	return n
}

// around may put a loop or a condition around statements. Where two ways meet, the values
// are wanted in the registers in which the first has left them.
func (g *generator) around(body []*node) []*node {
	last := len(g.params) - 1 // an i32
	switch g.r.IntN(5) {
	case 0:
		b := &block{op: opLoop, body: body}
		counter := g.local(i32)
		g.loops[b] = counter
		b.body = append(b.body, g.again(b))
		return []*node{{kids: []*node{set(counter, constant(i32, 3))}, block: b}}
	case 1:
		counter := g.local(i32)
		count := slices.Concat(localOp(opLocalGet, counter), []byte{opI32Const, 1, 0x6a}, localOp(opLocalTee, counter), []byte{opI32Const, 3, 0x4a})
		b, out := &block{op: opLoop}, &block{op: opBlock}
		b.body = append([]*node{{kids: []*node{{code: count, typ: i32}}, code: []byte{opBrIf}, to: []*block{out}, fixed: true}}, body...)
		b.body = append(b.body, &node{code: []byte{opBr}, to: []*block{b}})
		out.body = []*node{{block: b}}
		return []*node{{block: out}}
	case 2, 3:
		b := &block{op: opIf, body: body, els: g.others()}
		if g.one(2) {
			b.body, b.els = b.els, b.body
		}
		return []*node{{kids: []*node{g.read(last)}, block: b}}
	}
	return body
}

// others makes statements that use some values.
func (g *generator) others() (list []*node) {
	for range g.r.IntN(3) {
		list = append(list, g.pour(nil))
	}
	for range g.r.IntN(5) {
		i := g.r.IntN(len(g.params) - 1)
		list = append(list, set(i, g.mixed(g.typeOf(i))))
	}
	return list
}
