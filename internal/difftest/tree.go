package difftest

import (
	"bytes"
	"encoding/binary"
	"slices"
)

// A tree is a module as the generator makes it and the shrinker takes it apart.
type tree struct {
	types   []signature
	imports int // functions: 0, or 1 for random_get
	funcs   []*function
	tables  []limits // of funcref
	memory  *limits
	globals []global
	exports []int // functions, without the imported
	elems   []segment
	datas   []segment
	start   int // function, or -1
}

type signature struct{ params, results []valType }

type limits struct{ least, most uint64 } // most 0: none

type global struct {
	typ     valType
	mutable bool
	init    []byte // with its end
}

// A segment is of elements, functions or -1 for null, or of data.
type segment struct {
	passive bool
	at      uint32
	funcs   []int
	data    []byte
}

type function struct {
	typ    int
	locals []valType
	body   *block
	leaf   bool // it has neither calls nor loops
}

// A node is an instruction behind its operands. Those that give nothing are
// statements.
type node struct {
	typ   valType // 0: nothing, or several values
	kids  []*node
	code  []byte
	block *block   // instead of code
	to    []*block // targets: code is a branch to them
	after []byte   // behind a branch or a block
	fixed bool     // it takes values that lie on the stack
}

// A block is a structured instruction, or a function's body, for which op is 0.
type block struct {
	op   byte
	sig  signature
	body []*node
	els  []*node // of an if
}

func (s signature) equal(t signature) bool {
	return slices.Equal(s.params, t.params) && slices.Equal(s.results, t.results)
}

// typeOf returns the index of a type, which it may add.
func (m *tree) typeOf(s signature) int {
	if i := slices.IndexFunc(m.types, s.equal); i >= 0 {
		return i
	}
	m.types = append(m.types, s)
	return len(m.types) - 1
}

// encode writes the binary.
func (m *tree) encode() []byte {
	code := encodeAll(m.funcs, m.body) // may add types
	out := []byte("\x00asm\x01\x00\x00\x00")
	put := func(id byte, content []byte) { out = append(append(out, id), sized(content)...) }
	put(1, list(encodeAll(m.types, signature.encode)))
	if m.imports > 0 {
		entry := append(append(named("wasi_snapshot_preview1"), named("random_get")...), 0)
		put(2, list([][]byte{append(entry, uleb(uint64(m.typeOf(randomGet)))...)}))
	}
	put(3, list(encodeAll(m.funcs, func(f *function) []byte { return uleb(uint64(f.typ)) })))
	if len(m.tables) > 0 {
		put(4, list(encodeAll(m.tables, func(l limits) []byte { return append([]byte{byte(funcref)}, l.encode()...) })))
	}
	if m.memory != nil {
		put(5, list([][]byte{m.memory.encode()}))
	}
	put(6, list(encodeAll(m.globals, global.encode)))
	put(7, list(m.exported()))
	if m.start >= 0 {
		put(8, uleb(uint64(m.imports+m.start)))
	}
	if len(m.elems) > 0 {
		put(9, list(encodeAll(m.elems, m.element)))
	}
	if len(m.datas) > 0 {
		put(12, uleb(uint64(len(m.datas))))
	}
	put(10, list(code))
	if len(m.datas) > 0 {
		put(11, list(encodeAll(m.datas, segment.encodeData)))
	}
	return out
}

var randomGet = signature{[]valType{i32, i32}, []valType{i32}}

func encodeAll[T any](items []T, encode func(T) []byte) (all [][]byte) {
	for _, i := range items {
		all = append(all, encode(i))
	}
	return all
}

func valTypes(types []valType) []byte {
	b := uleb(uint64(len(types)))
	for _, t := range types {
		b = append(b, byte(t))
	}
	return b
}

func (s signature) encode() []byte {
	return slices.Concat([]byte{0x60}, valTypes(s.params), valTypes(s.results))
}

func (l limits) encode() []byte {
	if l.most == 0 {
		return append([]byte{0}, uleb(l.least)...)
	}
	return slices.Concat([]byte{1}, uleb(l.least), uleb(l.most))
}

func (g global) encode() []byte {
	mutable := byte(0)
	if g.mutable {
		mutable = 1
	}
	return append([]byte{byte(g.typ), mutable}, g.init...)
}

// exported are the functions, the memory, and the mutable globals that can be
// looked at; the first is what bounds a call.
func (m *tree) exported() (all [][]byte) {
	put := func(name string, kind byte, index int) {
		all = append(all, append(append(named(name), kind), uleb(uint64(index))...))
	}
	for _, f := range m.exports {
		put("f"+string(rune('0'+f)), 0, m.imports+f)
	}
	if m.memory != nil {
		put("memory", 2, 0)
	}
	for i, g := range m.globals {
		switch {
		case i == 0:
			put(stepsName, 3, 0)
		case g.mutable && g.typ <= i32 && g.typ >= f64:
			put("g"+string(rune('0'+i)), 3, i)
		}
	}
	return all
}

func (m *tree) element(s segment) (b []byte) {
	if s.passive {
		b = []byte{5, byte(funcref)}
	} else {
		b = slices.Concat([]byte{4, opI32Const}, sleb(int64(int32(s.at))), []byte{opEnd})
	}
	return append(b, list(encodeAll(s.funcs, func(f int) []byte {
		if f < 0 {
			return []byte{opRefNull, byte(funcref), opEnd}
		}
		return slices.Concat([]byte{opRefFunc}, uleb(uint64(m.imports+f)), []byte{opEnd})
	}))...)
}

func (s segment) encodeData() []byte {
	if s.passive {
		return append([]byte{1}, sized(s.data)...)
	}
	return slices.Concat([]byte{0, opI32Const}, sleb(int64(int32(s.at))), []byte{opEnd}, sized(s.data))
}

func (m *tree) body(f *function) []byte {
	e := encoder{tree: m}
	for i := 0; i < len(f.locals); {
		n := i
		for n < len(f.locals) && f.locals[n] == f.locals[i] {
			n++
		}
		e.groups++
		e.out = append(append(e.out, uleb(uint64(n-i))...), byte(f.locals[i]))
		i = n
	}
	e.out = append(uleb(e.groups), e.out...)
	e.open = []*block{f.body}
	e.nodes(f.body.body)
	return sized(append(e.out, opEnd))
}

// An encoder writes a body.
type encoder struct {
	*tree
	out    []byte
	open   []*block // innermost last
	groups uint64
}

func (e *encoder) nodes(list []*node) {
	for _, n := range list {
		e.node(n)
	}
}

func (e *encoder) node(n *node) {
	e.nodes(n.kids)
	if n.block != nil {
		e.block(n.block)
	}
	e.out = append(e.out, n.code...)
	for _, to := range n.to {
		e.out = append(e.out, uleb(uint64(e.depth(to)))...)
	}
	e.out = append(e.out, n.after...)
}

// depth returns the number of a label; the caller has made sure that it is open.
func (e *encoder) depth(to *block) int { return len(e.open) - 1 - slices.Index(e.open, to) }

func (e *encoder) block(b *block) {
	e.out = append(e.out, b.op)
	switch {
	case len(b.sig.params) > 0 || len(b.sig.results) > 1:
		e.out = append(e.out, sleb(int64(e.typeOf(b.sig)))...)
	case len(b.sig.results) == 1:
		e.out = append(e.out, byte(b.sig.results[0]))
	default:
		e.out = append(e.out, 0x40)
	}
	e.open = append(e.open, b)
	e.nodes(b.body)
	if b.op == opIf && (len(b.els) > 0 || len(b.sig.results) > 0) {
		e.out = append(e.out, opElse)
		e.nodes(b.els)
	}
	e.open = e.open[:len(e.open)-1]
	e.out = append(e.out, opEnd)
}

// constant makes a node that gives a number of the type, by its bits.
func constant(t valType, bits uint64) *node {
	n := &node{typ: t}
	switch t {
	case i32:
		n.code = append([]byte{opI32Const}, sleb(int64(int32(bits)))...)
	case i64:
		n.code = append([]byte{opI64Const}, sleb(int64(bits))...)
	case f32:
		n.code = binary.LittleEndian.AppendUint32([]byte{opF32Const}, uint32(bits))
	case f64:
		n.code = binary.LittleEndian.AppendUint64([]byte{opF64Const}, bits)
	case v128:
		n.code = binary.LittleEndian.AppendUint64([]byte{opVector, 12}, bits)
		n.code = binary.LittleEndian.AppendUint64(n.code, bits*0x9e3779b97f4a7c15)
	default:
		n.code = []byte{opRefNull, byte(t)}
	}
	return n
}

// isConstant reports whether the shrinker can do nothing more about the node.
func (n *node) isConstant() bool {
	return len(n.kids) == 0 && n.block == nil && len(n.to) == 0 && (bytes.ContainsRune([]byte{opI32Const, opI64Const, opF32Const, opF64Const, opRefNull}, rune(n.code[0])) ||
		n.code[0] == opVector && n.code[1] == 12)
}
