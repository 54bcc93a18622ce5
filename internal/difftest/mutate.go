package difftest

import (
	"math/rand/v2"
	"slices"

	"github.com/wasmpool/wasmpool/internal/mutant"
)

// mutate returns the module with a small change, which mostly makes it invalid: one
// that a rewriting may make valid again, if it gives the numbers behind the last local,
// global, function or type a meaning.
func mutate(r *rand.Rand, wasm []byte) []byte {
	c, err := read(wasm)
	if err != nil || r.IntN(3) == 0 {
		return mutant.Of(r, wasm, wasm)
	}
	m := &mutator{r: r, c: c}
	if r.IntN(5) == 0 || len(m.c.types) == 0 {
		m.section()
	} else {
		m.code()
	}
	return m.write(wasm)
}

// A mutator changes one section.
type mutator struct {
	r       *rand.Rand
	c       *counter
	id      byte   // that it changes
	content []byte // of that
	twice   bool   // it is there twice
}

func (m *mutator) write(wasm []byte) []byte {
	out := slices.Clone(wasm[:8])
	r := &reader{b: wasm, at: 8}
	for !r.done() {
		id := r.byte()
		content := r.sized()
		if id == m.id && id != 0 {
			content = m.content
		}
		out = append(append(out, id), sized(content)...)
		if id == m.id && m.twice {
			out = append(append(out, id), sized(content)...)
		}
	}
	return out
}

// beyond returns a number at or little behind the last valid one.
func (m *mutator) beyond(n int) []byte { return uleb(uint64(max(0, n+m.r.IntN(4)-m.r.IntN(2)))) }

func (m *mutator) functions() int { return m.c.imported + len(m.c.types) }

// section changes a section that is not code.
func (m *mutator) section() {
	ids := []byte{}
	for id := range m.c.sections {
		if id != 0 {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	if len(ids) == 0 {
		return
	}
	m.id = ids[m.r.IntN(len(ids))]
	s := m.c.sections[m.id]
	m.content = slices.Clone(s.b)
	switch n := m.r.IntN(6); {
	case n == 0: // one less or more than it says
		count := s.u()
		m.content = slices.Concat(uleb(uint64(int64(count)+int64(1-2*m.r.IntN(2)))), s.rest())
	case n == 1 && m.id == 3:
		s.u()
		m.content = slices.Concat(uleb(uint64(len(m.c.types)+1)), s.rest(), m.beyond(len(m.c.params)-1))
	case n == 2 && m.id == 8:
		m.content = m.beyond(m.functions())
	case n == 3 && m.id == 10: // a body too many
		count := s.u()
		m.content = slices.Concat(uleb(count+1), s.rest(), sized([]byte{0, opEnd}))
	case n == 4 && m.r.IntN(10) == 0:
		m.twice = true
	default:
		m.content = m.bytes(m.content)
	}
}

func (m *mutator) bytes(b []byte) []byte {
	if len(b) == 0 {
		return b
	}
	at := m.r.IntN(len(b))
	switch m.r.IntN(3) {
	case 0:
		b[at]++
	case 1:
		b[at]--
	default:
		b[at] = byte(m.r.Uint32())
	}
	return b
}

// bodies returns those of the functions.
func (c *counter) bodies() (all [][]byte) {
	c.eachBody(func(_ int, r *reader) { all = append(all, r.b) })
	return all
}

// code changes an instruction of a function.
func (m *mutator) code() {
	m.id = 10
	bodies := m.c.bodies()
	if len(bodies) == 0 {
		return
	}
	at := m.r.IntN(len(bodies))
	bodies[at] = m.body(bodies[at], m.c.params[m.c.types[at]])
	for i := range bodies {
		bodies[i] = sized(bodies[i])
	}
	m.content = list(bodies)
}

func (m *mutator) body(b []byte, params int) []byte {
	r := &reader{b: b}
	locals := params + r.locals()
	var starts []int
	for !r.done() {
		starts = append(starts, r.at)
		r.instruction()
	}
	start := starts[m.r.IntN(len(starts))]
	r.at = start
	in := r.instruction()
	with := m.instruction(in, b[start:r.at], locals)
	return slices.Concat(b[:start], with, b[r.at:])
}

// instruction returns what comes in the place of one.
func (m *mutator) instruction(in instr, code []byte, locals int) []byte {
	if m.r.IntN(2) == 0 {
		if with := m.index(in, code, locals); with != nil {
			return with
		}
	}
	other := []byte{byte(0x45 + m.r.IntN(0xc5-0x45))}
	switch m.r.IntN(8) {
	case 0:
		return nil
	case 1:
		return slices.Concat(code, code)
	case 2:
		return other
	case 3:
		return slices.Concat(other, code)
	case 4:
		one := [][]byte{{opDrop}, {opReturn}, {opUnreachable}, {opI32Const, 0}, {opI64Const, 0}, {opSelect}, {opEnd}, {opElse}, {opBr, 0}, {opBlock, 0x40}, {opNop}}
		return slices.Concat(code, one[m.r.IntN(len(one))])
	case 5: // what the rewriting adds has this type
		return slices.Concat(code, []byte{opLocalGet}, uleb(uint64(locals)), []byte{opDrop})
	case 6:
		return slices.Concat(code, []byte{opGlobalGet}, m.c.global(0), []byte{opDrop})
	}
	changed := slices.Clone(code)
	return m.bytes(changed)
}

// index returns the instruction with an index that is too large, if it has one.
func (m *mutator) index(in instr, code []byte, locals int) []byte {
	op := []byte{byte(in.op)}
	switch in.op {
	case opLocalGet, opLocalSet, opLocalTee:
		return slices.Concat(op, m.beyond(locals))
	case opGlobalGet, opGlobalSet:
		return slices.Concat(op, m.beyond(int(m.c.globals)))
	case opCall, opTailCall, opRefFunc:
		return slices.Concat(op, m.beyond(m.functions()))
	case opCallInd, opTailCallInd:
		return slices.Concat(op, m.beyond(len(m.c.params)), []byte{code[len(code)-1]})
	case opBlock, opLoop, opIf:
		return slices.Concat(op, sleb(int64(len(m.c.params)+m.r.IntN(4))))
	case opBr, opBrIf:
		return slices.Concat(op, uleb(in.to[0]+uint64(m.r.IntN(4))))
	case opBulk, opMemorySize, opMemoryGrow, opTableGet, opTableSet:
		with := slices.Clone(code)
		with[len(with)-1]++
		return with
	}
	return nil
}
