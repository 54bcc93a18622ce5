package difftest

import (
	"math/rand/v2"
	"slices"
)

// stepsName is the export of the global that bounds a call of a generated module:
// loops and recursive functions take a step off it and end when it is below zero.
const stepsName = "steps"

// A generator makes a valid module of random code that always ends.
type generator struct {
	r *rand.Rand
	m *tree

	features       uint64 // of the engine, see run.go
	vectors, wide  bool   // wide: a memory of some GiB
	bulk, tail     bool
	atomics        bool
	tables, random bool

	f      *function
	params []valType
	open   []*block // innermost last; the outermost is the function
	loops  map[*block]int
	canon  map[valType]int // locals that make NaNs canonical
	far    []int           // locals with addresses far up
	left   int             // nodes that the function may still have
}

// generate makes the module of a seed.
func generate(seed, features uint64) *tree {
	g := &generator{r: rand.New(rand.NewPCG(seed, 0x7761736d)), features: features, m: &tree{start: -1}}
	g.vectors, g.wide, g.bulk = g.one(3), g.one(5), g.one(2)
	g.tail = g.one(4) && features&featureTailCall != 0
	g.atomics = g.one(6) && features&featureThreads != 0
	g.tables, g.random = g.one(2), g.one(4)
	g.module()
	return g.m
}

func (g *generator) one(in int) bool { return g.r.IntN(in) == 0 }

func pick[T any](g *generator, list ...T) T { return list[g.r.IntN(len(list))] }

// valType returns a type of numbers.
func (g *generator) valType() valType {
	if g.vectors && g.one(4) {
		return v128
	}
	return pick(g, i32, i32, i64, f32, f64, f64)
}

func (g *generator) valTypes(most int) []valType {
	list := make([]valType, g.r.IntN(most+1))
	for i := range list {
		list[i] = g.valType()
	}
	return list
}

func (g *generator) module() {
	m := g.m
	if g.random {
		m.imports = 1
		m.typeOf(randomGet)
	}
	for i := range 2 + g.r.IntN(5) {
		sig := signature{g.valTypes(4), g.valTypes(2)}
		if g.one(8) {
			sig.results = append(sig.results, g.valType())
		}
		if i > 0 && g.one(3) {
			sig = m.types[m.funcs[i-1].typ]
		}
		m.funcs = append(m.funcs, &function{typ: m.typeOf(sig), leaf: g.one(4)})
	}
	g.memory()
	m.globals = []global{{i32, true, append(constant(i32, mostSteps).code, opEnd)}}
	for range g.r.IntN(5) {
		t := g.valType()
		m.globals = append(m.globals, global{t, !g.one(5), g.init(t)})
	}
	if g.tables {
		for range 1 + g.r.IntN(2) {
			n := uint64(len(m.funcs) + g.r.IntN(4))
			m.tables = append(m.tables, limits{n, pick(g, 0, n, n+10)})
		}
		for i := range 1 + g.r.IntN(2) {
			s := segment{passive: i > 0}
			for range len(m.funcs) {
				s.funcs = append(s.funcs, g.r.IntN(len(m.funcs)+1)-1)
			}
			m.elems = append(m.elems, s)
		}
	}
	for i, f := range m.funcs {
		g.function(f)
		if !f.leaf || i == 0 || g.one(2) {
			m.exports = append(m.exports, i)
		}
	}
	if s := m.types[m.funcs[0].typ]; len(s.params)+len(s.results) == 0 && g.one(2) {
		m.start = 0
	}
}

func (g *generator) memory() {
	if g.one(12) {
		g.atomics = false
		return
	}
	n := uint64(1 + g.r.IntN(3))
	if g.wide {
		n = pick[uint64](g, 32767, 32768, 32768, 32769, 40000, 49152, 65535)
	}
	g.m.memory = &limits{n, min(pick(g, n, n+3, 65535), 65535)}
	for i := range g.r.IntN(3) {
		s := segment{passive: i > 0, at: uint32(g.r.IntN(60000)), data: make([]byte, g.r.IntN(100))}
		for j := range s.data {
			s.data[j] = byte(g.r.Uint32())
		}
		g.m.datas = append(g.m.datas, s)
	}
}

func (g *generator) init(t valType) []byte {
	c := constant(t, g.bits(t)).code
	if extended := g.one(3); extended && g.features&featureExtendedConst != 0 && (t == i32 || t == i64) {
		base := byte(0x6a)
		if t == i64 {
			base = 0x7c
		}
		c = slices.Concat(c, constant(t, g.bits(t)).code, []byte{base + byte(g.r.IntN(3))})
	}
	return append(c, opEnd)
}

// bits returns the bits of a number, often an odd one.
func (g *generator) bits(t valType) uint64 {
	switch t {
	case f32:
		return uint64(pick[uint32](g, 0, 0x80000000, 0x3f800000, 0xbf800000, 0x40490fdb, 0x7f800000, 0xff800000, 0x7fc00000, 1, 0x4f000000, 0x5f000000, 0x42280000, g.r.Uint32()))
	case f64:
		return pick(g, 0, 1<<63, 0x3ff0000000000000, 0xbff0000000000000, 0x400921fb54442d18, 0x7ff0000000000000, 0xfff0000000000000, 0x7ff8000000000000, 1,
			0x41e0000000000000, 0x43e0000000000000, 0x4045000000000000, g.r.Uint64())
	}
	return pick(g, 0, 1, 2, 3, 7, 8, 31, 32, 63, 100, 255, 256, 65535, 65536, 1<<31-1, 1<<31, 1<<32-1, 1<<32, 1<<63-1, 1<<63, ^uint64(0), ^uint64(0)-1, g.r.Uint64(), uint64(g.r.Uint32()), uint64(g.r.IntN(1000)))
}

func (g *generator) function(f *function) {
	sig := g.m.types[f.typ]
	g.f, g.params, g.loops, g.canon, g.far = f, sig.params, map[*block]int{}, map[valType]int{}, nil
	g.left = pick(g, 20, 60, 150, 300)
	if f.leaf {
		g.left = pick(g, 5, 15, 40)
	}
	f.locals = g.valTypes(6)
	if g.one(2) {
		f.locals = append(f.locals, slices.Repeat([]valType{pick(g, f32, f64)}, 3)...)
	}
	if g.tables && g.one(2) {
		f.locals = append(f.locals, funcref)
	}
	f.body = &block{sig: sig}
	g.open = []*block{f.body}
	var head []*node
	if !f.leaf {
		head = append(head, g.step())
	}
	if g.m.memory != nil && !f.leaf && g.wide {
		for range 1 + g.r.IntN(2) {
			g.far = append(g.far, g.local(i32))
			head = append(head, set(g.far[len(g.far)-1], constant(i32, g.farAddress())))
		}
	}
	f.body.body = append(head, g.content(sig.results, 0)...)
}

// local adds a local.
func (g *generator) local(t valType) int {
	g.f.locals = append(g.f.locals, t)
	return len(g.params) + len(g.f.locals) - 1
}

func localOp(op byte, i int) []byte { return append([]byte{op}, uleb(uint64(i))...) }

func set(i int, v *node) *node { return &node{kids: []*node{v}, code: localOp(opLocalSet, i)} }

// step leaves the function when the call has no steps left, else takes one.
func (g *generator) step() *node {
	out := &block{op: opIf, body: []*node{g.leave()}}
	take := []byte{opGlobalGet, 0, opI32Const, 1, 0x6b, opGlobalSet, 0, opGlobalGet, 0, opI32Const, 0, 0x48}
	return &node{kids: []*node{{code: take, typ: i32}}, block: out, fixed: true}
}

// leave returns constants.
func (g *generator) leave() *node {
	n := &node{code: []byte{opReturn}}
	for _, t := range g.open[0].sig.results {
		n.kids = append(n.kids, constant(t, 0))
	}
	return n
}

// content makes a sequence that gives values of these types.
func (g *generator) content(results []valType, depth int) (list []*node) {
	for n := 1 + g.r.IntN(5); n > 0 && g.left > 0; n-- {
		list = append(list, g.statement(depth))
	}
	return append(list, g.arguments(results, depth)...)
}

// inside makes the content of a block that can be branched to.
func (g *generator) inside(b *block, depth int) {
	g.open = append(g.open, b)
	b.body = append(b.body, g.content(b.sig.results, depth+1)...)
	if b.op == opIf {
		b.els = append(b.els, g.content(b.sig.results, depth+1)...)
		if len(b.sig.results) == 0 && g.one(2) {
			b.els = nil
		}
	}
	g.open = g.open[:len(g.open)-1]
}

// localsOf returns the locals of a type, parameters included, but for those that
// loops count with: they lie behind all others.
func (g *generator) localsOf(t valType) (list []int) {
	for i, p := range slices.Concat(g.params, g.f.locals) {
		if p == t && !slices.Contains(g.far, i) && !g.counts(i) && g.canon[t] != i {
			list = append(list, i)
		}
	}
	return list
}

func (g *generator) counts(i int) bool {
	for _, c := range g.loops {
		if c == i {
			return true
		}
	}
	return false
}

func (g *generator) globalsOf(t valType, mutable bool) (list []int) {
	for i, v := range g.m.globals {
		if i > 0 && v.typ == t && (v.mutable || !mutable) {
			list = append(list, i)
		}
	}
	return list
}
