package difftest

import (
	"errors"
	"slices"

	"github.com/wasmpool/wasmpool/internal/meter"
)

// The truth is a module that counts each instruction before it executes it: slowly,
// and with nothing of package meter. What docs/limits.md allows the rewriting to leave
// out, it counts as well, in a second number. Opening and closing a block is none.

const (
	// A branch to the end of a block may leave the pieces behind two blocks' ends
	// uncounted, of less than 64 instructions each, if it leads past the end of
	// another block: what follows there may have been paid for with what it skips.
	branchAllowance = 63 + 63

	// A function of at most so many instructions, without calls and loops, does not
	// count when it is called through a table or by the host.
	shortFunction = 64
)

// Exports of a module that truth made: i64 globals.
const (
	truthCount   = "truth_count"   // instructions
	truthAllowed = "truth_allowed" // instructions that need not be counted
	truthMoves   = "truth_moves"   // what the bulk instruction that runs counts
)

var errNotRead = errors.New("difftest: the code cannot be read")

// truth returns the module with the counting, and which functions, imported ones
// not among them, are short.
func truth(wasm []byte) (out []byte, short []bool, err error) {
	c, err := read(wasm)
	if err != nil {
		return nil, nil, err
	}
	return c.write(), c.short, nil
}

// A reader reads bytes. Behind their end, and behind what makes no sense, there is
// nothing but zeros.
type reader struct {
	b   []byte
	at  int
	bad bool
	cut bool // a list has more entries than bytes follow
}

func (r *reader) fail() { r.at, r.bad = len(r.b), true }

func (r *reader) byte() byte {
	if r.at == len(r.b) {
		r.fail()
		return 0
	}
	r.at++
	return r.b[r.at-1]
}

func (r *reader) bytes(n int) []byte {
	if n < 0 || n > len(r.b)-r.at {
		r.fail()
		return nil
	}
	r.at += n
	return r.b[r.at-n : r.at]
}

// u reads an unsigned number, or the bytes of a signed one.
func (r *reader) u() (n uint64) {
	for shift := 0; shift < 70; shift += 7 {
		b := r.byte()
		n |= uint64(b&0x7f) << shift
		if b < 0x80 {
			return n
		}
	}
	r.fail()
	return 0
}

// count reads how many entries follow, of at least a byte each.
func (r *reader) count() int {
	n := r.u()
	if n > uint64(len(r.b)-r.at) {
		r.fail()
		r.cut = true
		return 0
	}
	return int(n)
}

// sized reads bytes behind their number.
func (r *reader) sized() []byte { return r.bytes(r.count()) }

func (r *reader) rest() []byte { return r.b[r.at:] }

func (r *reader) done() bool { return r.at == len(r.b) }

// A counter makes the truth.
type counter struct {
	sections map[byte]*reader
	params   []int // of each type
	types    []int // of each function that is defined
	imported int   // functions
	globals  uint64
	short    []bool
	anyShort bool
	standIns []standIn // of the instructions in known that it has
	silent   bool      // it does not count
}

// global returns the index of a global that the truth adds.
func (c *counter) global(i uint64) []byte { return uleb(c.globals + i) }

// read reads a module, which need not be valid.
func read(wasm []byte) (*counter, error) {
	c := &counter{sections: map[byte]*reader{}}
	r := &reader{b: wasm}
	for r.bytes(8); !r.done(); {
		id := r.byte()
		c.sections[id] = &reader{b: r.sized()}
	}
	if s := c.sections[1]; s != nil {
		for range s.count() {
			s.byte()
			c.params = append(c.params, len(s.sized()))
			s.sized()
		}
	}
	if s := c.sections[2]; s != nil {
		for range s.count() {
			c.imports(s)
		}
	}
	if s := c.sections[3]; s != nil {
		for range s.count() {
			c.types = append(c.types, int(s.u()))
		}
	}
	if s := c.sections[6]; s != nil {
		c.globals += s.u()
	}
	bad := r.bad
	c.eachBody(func(i int, r *reader) {
		c.short = append(c.short, c.survey(r))
		bad = bad || r.bad || i >= len(c.types) || c.types[i] >= len(c.params)
	})
	c.anyShort = slices.Contains(c.short, true)
	for _, s := range c.sections {
		bad = bad || s.bad
		s.at = 0
	}
	if bad {
		return nil, errNotRead
	}
	return c, nil
}

func (c *counter) imports(s *reader) {
	s.sized()
	s.sized()
	switch s.byte() {
	case 0:
		s.u()
		c.imported++
	case 1:
		s.byte()
		s.limits()
	case 2:
		s.limits()
	case 3:
		s.bytes(2)
		c.globals++
	}
}

func (r *reader) limits() {
	flags := r.byte()
	r.u()
	if flags&1 != 0 {
		r.u()
	}
}

func (c *counter) eachBody(do func(i int, r *reader)) {
	s := c.sections[10]
	if s == nil {
		return
	}
	for i := range s.count() {
		do(i, &reader{b: s.sized()})
	}
	s.at = 0
}

// locals reads the declarations of locals.
func (r *reader) locals() (n int) {
	for range r.count() {
		n += int(r.u())
		r.byte()
	}
	return n
}

// survey notes which instructions need a stand-in, and reports whether the function is
// short.
func (c *counter) survey(r *reader) bool {
	r.locals()
	n := 0
	for !r.done() {
		from := r.at
		in := r.instruction()
		c.noteKnown(string(r.b[from:r.at]))
		switch {
		case in.op == opLoop || in.op >= opCall && in.op <= opTailCallRef:
			n += shortFunction + 1
		case !in.bracket():
			n++
		}
	}
	return n <= shortFunction
}

// An instr is an instruction: what it is, and where its bytes end.
type instr struct {
	op, sub uint64
	to      []uint64 // labels
}

// bracket reports whether it only opens or closes a piece of code.
func (i instr) bracket() bool {
	return i.op == opBlock || i.op == opLoop || i.op == opElse || i.op == opEnd
}

// moves reports whether it moves as many bytes or entries as its last operand says.
func (i instr) moves() bool {
	return i.op == opBulk && slices.Contains([]uint64{8, 10, 11, 12, 14, 15, 17}, i.sub)
}

func (r *reader) instruction() (in instr) {
	in.op = uint64(r.byte())
	switch op := in.op; {
	case op == opBlock, op == opLoop, op == opIf:
		r.u()
	case op == opBr, op == opBrIf:
		in.to = []uint64{r.u()}
	case op == opBrTable:
		for range r.count() + 1 {
			in.to = append(in.to, r.u())
		}
	case op == opCall, op == opTailCall, op >= opLocalGet && op <= opTableSet, op == opMemorySize, op == opMemoryGrow,
		op == opI32Const, op == opI64Const, op == opRefNull, op == opRefFunc:
		r.u()
	case op == opCallInd, op == opTailCallInd, op >= 0x28 && op <= 0x3e:
		r.u()
		r.u()
	case op == opSelectTyped:
		r.sized()
	case op == opF32Const:
		r.bytes(4)
	case op == opF64Const:
		r.bytes(8)
	case op == opBulk:
		in.sub = r.u()
		switch n := in.sub; {
		case n == 8, n == 10, n == 12, n == 14:
			r.u()
			r.u()
		case n > 7:
			r.u()
		}
	case op == opVector:
		in.sub = r.u()
		r.vectorOperands(in.sub)
	case op == opAtomic:
		if in.sub = r.u(); in.sub == 3 {
			r.byte()
		} else {
			r.u()
			r.u()
		}
	case op <= opNop, op == opElse, op == opEnd, op == opReturn, op == opDrop, op == opSelect, op >= 0x45 && op <= 0xc4, op == opRefIsNull:
	default:
		r.fail()
	}
	return in
}

func (r *reader) vectorOperands(sub uint64) {
	switch {
	case sub <= 11, sub == 92, sub == 93:
		r.u()
		r.u()
	case sub == 12, sub == 13:
		r.bytes(16)
	case sub >= 21 && sub <= 34:
		r.byte()
	case sub >= 84 && sub <= 91:
		r.u()
		r.u()
		r.byte()
	}
}

func (c *counter) write() []byte {
	out := []byte("\x00asm\x01\x00\x00\x00")
	for _, id := range []byte{1, 2, 3, 4, 5, 6, 7, 8, 9, 12, 10, 11} {
		content := c.section(id)
		if content != nil {
			out = append(append(out, id), sized(content)...)
		}
	}
	return out
}

// section returns the content of a section, nil if there is none.
func (c *counter) section(id byte) []byte {
	counting := []byte{byte(i64), 1, opI64Const, 0, opEnd}
	switch s := c.sections[id]; {
	case id == 1:
		types := [][]byte{signature{[]valType{i32}, []valType{i32}}.encode()}
		for _, i := range c.standIns {
			types = append(types, i.sig.encode())
		}
		return s.extended(types...)
	case id == 3:
		var types [][]byte
		for i := range 1 + len(c.standIns) {
			types = append(types, uleb(uint64(len(c.params)+i)))
		}
		return s.extended(types...)
	case id == 6 && !c.silent:
		return s.extended(counting, counting, counting)
	case id == 7 && !c.silent:
		var entries [][]byte
		for i, name := range []string{truthCount, truthAllowed, truthMoves} {
			entries = append(entries, slices.Concat(named(name), []byte{3}, c.global(uint64(i))))
		}
		return s.extended(entries...)
	case id == 10:
		return c.code()
	case s != nil:
		return s.b
	}
	return nil
}

// extended returns a list with entries added; r may be nil.
func (r *reader) extended(entries ...[]byte) []byte {
	if r == nil {
		return list(entries)
	}
	n := r.u()
	defer func() { r.at = 0 }()
	return slices.Concat(uleb(n+uint64(len(entries))), r.rest(), slices.Concat(entries...))
}

func (c *counter) code() []byte {
	var bodies [][]byte
	c.eachBody(func(i int, r *reader) { bodies = append(bodies, sized(c.body(r, c.params[c.types[i]]))) })
	// This function takes the number of bytes that a bulk instruction moves, and returns it.
	count := []byte{opLocalGet, 0, opI32Const, 4, 0x76, 0xad}
	moves := slices.Concat([]byte{0}, count, []byte{opGlobalSet}, c.global(2), c.add(0, count), []byte{opLocalGet, 0, opEnd})
	if c.silent {
		moves = []byte{0, opLocalGet, 0, opEnd} // nobody calls it
	}
	bodies = append(bodies, sized(moves))
	for _, s := range c.standIns {
		bodies = append(bodies, sized(s.body()))
	}
	return list(bodies)
}

// function returns the index of a function that is added.
func (c *counter) function(i int) []byte { return uleb(uint64(c.imported + len(c.types) + i)) }

// add adds what code puts on the stack to a global.
func (c *counter) add(to uint64, code []byte) []byte {
	return slices.Concat([]byte{opGlobalGet}, c.global(to), code, []byte{0x7c, opGlobalSet}, c.global(to))
}

// A frame is a block that is open, and where the blocks end that lie directly in it.
type frame struct {
	op   uint64
	ends []int
}

// body counts in a function.
func (c *counter) body(r *reader, params int) []byte {
	from := r.at
	groups := r.u()
	at := r.at
	r.at = from
	scratch := uleb(uint64(params + r.locals()))
	out := slices.Concat(uleb(groups+1), r.b[at:r.at], []byte{1, byte(i32)})
	frames := framesOf(&reader{b: r.b, at: r.at})
	var open []*frame
	open = append(open, frames[r.at])
	for !r.done() {
		start := r.at
		in := r.instruction()
		code := c.without(r.b[start:r.at])
		if c.silent {
			out = append(out, code...)
			continue
		}
		if !in.bracket() {
			out = append(out, c.add(0, []byte{opI64Const, 1})...)
		}
		out = append(out, c.allow(in, open, start, scratch)...)
		if in.moves() {
			out = slices.Concat(out, []byte{opCall}, c.function(0))
		}
		out = append(out, code...)
		if in.moves() {
			out = slices.Concat(out, []byte{opI64Const, 0, opGlobalSet}, c.global(2))
		}
		switch in.op {
		case opBlock, opLoop, opIf:
			open = append(open, frames[start])
		case opEnd:
			open = open[:len(open)-1]
		}
	}
	return out
}

// framesOf returns the frames of a body, by where they begin.
func framesOf(r *reader) map[int]*frame {
	all := map[int]*frame{r.at: {op: opEnd}}
	open := []*frame{all[r.at]}
	for !r.done() {
		start := r.at
		switch in := r.instruction(); in.op {
		case opBlock, opLoop, opIf:
			all[start] = &frame{op: in.op}
			open = append(open, all[start])
		case opEnd:
			ended := open[len(open)-1]
			if open = open[:len(open)-1]; len(open) > 0 && ended.op == opBlock {
				open[len(open)-1].ends = append(open[len(open)-1].ends, start)
			}
		}
	}
	return all
}

// allow counts what need not be counted.
func (c *counter) allow(in instr, open []*frame, at int, scratch []byte) []byte {
	allowance := func(n int64) []byte { return append([]byte{opI64Const}, sleb(n)...) }
	switch {
	case (in.op == opCallInd || in.op == opTailCallInd) && c.anyShort:
		return c.add(1, allowance(shortFunction))
	case !slices.ContainsFunc(in.to, func(label uint64) bool { return open[len(open)-1-int(label)].skips(at) }):
		return nil
	case in.op == opBrIf:
		taken := slices.Concat(allowance(branchAllowance), []byte{opI64Const, 0, opLocalGet}, scratch, []byte{opSelect})
		return slices.Concat([]byte{opLocalSet}, scratch, c.add(1, taken), []byte{opLocalGet}, scratch)
	}
	return c.add(1, allowance(branchAllowance))
}

// skips reports whether a branch to the block from at leads past the end of another.
func (f *frame) skips(at int) bool {
	return f.op == opBlock && slices.ContainsFunc(f.ends, func(end int) bool { return end > at })
}

// boundTables returns the module with its tables bounded as the rewriting does, so that
// one that grows far is refused that in both.
func boundTables(wasm []byte) []byte {
	c, err := read(wasm)
	if err != nil || c.sections[4] == nil {
		return wasm
	}
	s := c.sections[4]
	var tables [][]byte
	n := s.count()
	for range n {
		typ, flags, least := s.byte(), s.byte(), s.u()
		most := meter.MostOfTable(n, least)
		if flags&1 != 0 {
			most = min(most, s.u())
		}
		tables = append(tables, slices.Concat([]byte{typ, flags | 1}, uleb(least), uleb(most)))
	}
	if s.bad || !s.done() {
		return wasm
	}
	return (&mutator{id: 4, content: list(tables)}).write(wasm)
}
