package difftest

import "slices"

// statement makes one.
func (g *generator) statement(depth int) *node {
	g.left--
	if depth > 9 {
		return g.assign(depth)
	}
	for {
		if n := g.tryStatement(depth); n != nil {
			return n
		}
	}
}

func (g *generator) tryStatement(depth int) *node {
	switch g.r.IntN(33) {
	case 0, 1, 2, 3, 4:
		return g.assign(depth)
	case 5, 6, 7, 8:
		return g.store(depth)
	case 9, 10:
		return g.structured(opBlock, depth)
	case 11, 12:
		return g.structured(opIf, depth)
	case 13, 14, 15:
		return g.loop(depth)
	case 16, 17:
		return g.branchIf(depth)
	case 18:
		return g.branch(depth)
	case 19:
		return g.branchTable(depth)
	case 20, 21, 22, 23:
		return g.callStatement(depth)
	case 24:
		return g.tailCall(depth)
	case 25, 26:
		return g.bulkStatement(depth)
	case 27:
		return g.tableStatement(depth)
	case 28:
		if g.one(20) {
			return &node{code: []byte{opUnreachable}}
		}
		return &node{code: []byte{opNop}}
	case 29, 30, 31:
		return g.chooseOverCalls()
	default:
		return g.dropped(g.expr(g.valType(), depth))
	}
}

// chooseOverCalls selects between floats or vectors that live over a call, and gives the
// first of them to another call, which wants it in a certain register.
func (g *generator) chooseOverCalls() *node {
	f := pick(g, g.m.funcs...)
	params := g.m.types[f.typ].params
	i := slices.IndexFunc(params, func(t valType) bool { return t == f32 || t == f64 || t == v128 })
	if g.f.leaf || i < 0 {
		return nil
	}
	t := params[i]
	locals := g.localsOf(t)
	if len(locals) < 2 {
		return nil
	}
	g.r.Shuffle(len(locals), func(i, j int) { locals[i], locals[j] = locals[j], locals[i] })
	get := func(i int) *node { return &node{typ: t, code: localOp(opLocalGet, i)} }
	which := g.simple(i32)
	if g.one(2) {
		which = constant(i32, 0)
	}
	chosen := set(pick(g, locals[1:]...), &node{typ: t, kids: []*node{get(locals[0]), get(locals[1]), which}, code: []byte{opSelect}})
	if globals := g.globalsOf(t, true); len(globals) > 0 {
		chosen.code = localOp(opGlobalSet, globals[0])
	}
	return &node{block: &block{op: opBlock, body: []*node{g.callWith(pick(g, g.m.funcs...), -1, nil), chosen, g.callWith(f, i, get(locals[0]))}}}
}

// callWith calls a function with constants and locals, and with one as argument at.
func (g *generator) callWith(f *function, at int, one *node) *node {
	sig := g.m.types[f.typ]
	n := &node{code: append([]byte{opCall}, uleb(uint64(g.m.imports+slices.Index(g.m.funcs, f)))...), after: g.receive(sig.results)}
	for i, t := range sig.params {
		if i == at {
			n.kids = append(n.kids, one)
		} else {
			n.kids = append(n.kids, g.simple(t))
		}
	}
	return n
}

func (g *generator) dropped(n *node) *node { return &node{kids: []*node{n}, code: []byte{opDrop}} }

// assign sets a local or a global.
func (g *generator) assign(depth int) *node {
	t := g.valType()
	if globals := g.globalsOf(t, true); len(globals) > 0 && g.one(3) {
		return &node{kids: []*node{g.expr(t, depth)}, code: localOp(opGlobalSet, pick(g, globals...))}
	}
	if locals := g.localsOf(t); len(locals) > 0 {
		return set(pick(g, locals...), g.expr(t, depth))
	}
	return g.dropped(g.expr(t, depth))
}

func (g *generator) store(depth int) *node {
	if g.m.memory == nil {
		return nil
	}
	o := pick(g, ops[0]...)
	if !g.has(o) {
		return nil
	}
	return g.apply(o, depth)
}

// results returns the types that a block gives.
func (g *generator) results() []valType {
	if g.one(3) {
		return g.valTypes(2)
	}
	return nil
}

// structured makes a block or an if, which may take and give values.
func (g *generator) structured(op byte, depth int) *node {
	b := &block{op: op, sig: signature{results: g.results()}}
	n := &node{block: b}
	if g.one(4) {
		b.sig.params = g.valTypes(2)
	}
	for _, t := range b.sig.params {
		n.kids = append(n.kids, g.expr(t, depth+1))
	}
	if op == opIf {
		n.kids = append(n.kids, g.condition(depth+1))
		b.els = g.take(b.sig.params)
	}
	b.body = g.take(b.sig.params)
	g.inside(b, depth)
	if op == opIf && b.els == nil && len(b.sig.params) > 0 {
		b.els = g.take(b.sig.params)
	}
	n.after = g.receive(b.sig.results)
	return n
}

// take makes nodes that take values off the stack.
func (g *generator) take(types []valType) (list []*node) {
	for _, t := range slices.Backward(types) {
		list = append(list, &node{code: g.receive([]valType{t}), fixed: true})
	}
	return list
}

// receive is code that takes values off the stack.
func (g *generator) receive(types []valType) (code []byte) {
	for _, t := range slices.Backward(types) {
		if locals := g.localsOf(t); len(locals) > 0 && !g.one(4) {
			code = append(code, localOp(opLocalSet, pick(g, locals...))...)
		} else {
			code = append(code, opDrop)
		}
	}
	return code
}

// loop makes a loop that a counter ends, or the steps of the call.
func (g *generator) loop(depth int) *node {
	if g.f.leaf || len(g.loops) > 2 && g.nested() > 2 {
		return nil
	}
	b := &block{op: opLoop, sig: signature{results: g.results()}}
	if g.one(3) {
		b.body = []*node{g.step()}
		g.inside(b, depth)
		return &node{block: b, after: g.receive(b.sig.results)}
	}
	counter := g.local(i32)
	g.loops[b] = counter
	g.open = append(g.open, b)
	b.body = g.content(nil, depth+1)
	b.body = append(b.body, g.again(b))
	for _, t := range b.sig.results {
		b.body = append(b.body, g.expr(t, depth+1))
	}
	g.open = g.open[:len(g.open)-1]
	first := set(counter, constant(i32, uint64(1+g.r.IntN(8))))
	return &node{kids: []*node{first}, block: b, after: g.receive(b.sig.results)}
}

// nested returns how many loops are open.
func (g *generator) nested() (n int) {
	for _, b := range g.open {
		if b.op == opLoop {
			n++
		}
	}
	return n
}

// counted reports whether the block is a loop with a counter.
func (g *generator) counted(b *block) bool {
	_, ok := g.loops[b]
	return ok
}

// again branches to a loop if its counter allows.
func (g *generator) again(b *block) *node {
	c := g.loops[b]
	count := slices.Concat(localOp(opLocalGet, c), []byte{opI32Const, 1, 0x6b}, localOp(opLocalTee, c), []byte{opI32Const, 0, 0x4a})
	return &node{kids: []*node{{code: count, typ: i32}}, code: []byte{opBrIf}, to: []*block{b}}
}

// wants returns the types of what a branch to b takes along.
func wants(b *block) []valType {
	if b.op == opLoop {
		return b.sig.params
	}
	return b.sig.results
}

// target picks a block to branch to, but for loops with a counter.
func (g *generator) target() *block {
	for {
		if b := pick(g, g.open...); !g.counted(b) {
			return b
		}
	}
}

func (g *generator) exprs(types []valType, depth int) (list []*node) {
	for _, t := range types {
		list = append(list, g.expr(t, depth+1))
	}
	return list
}

func (g *generator) branchIf(depth int) *node {
	b := pick(g, g.open...)
	if g.counted(b) {
		return g.again(b)
	}
	n := &node{kids: append(g.exprs(wants(b), depth), g.condition(depth+1)), code: []byte{opBrIf}, to: []*block{b}}
	n.after = g.receive(wants(b))
	return n
}

// condition makes what a branch depends on: often bits of a number, which the engine
// tests and branches upon at once.
func (g *generator) condition(depth int) *node {
	if !g.one(6) {
		return g.expr(i32, depth)
	}
	t := pick(g, i32, i64)
	and, first := byte(0x71), 0x46
	if t == i64 {
		and, first = 0x83, 0x51
	}
	bits := &node{typ: t, kids: []*node{g.expr(t, depth), g.expr(t, depth)}, code: []byte{and}}
	kids := []*node{bits, constant(t, 0)}
	if g.one(2) {
		kids = []*node{constant(t, 0), bits}
	}
	return &node{typ: i32, kids: kids, code: []byte{byte(first + g.r.IntN(10))}}
}

func (g *generator) branch(depth int) *node {
	b := g.target()
	if b.op == 0 && g.one(2) {
		return &node{kids: g.exprs(b.sig.results, depth), code: []byte{opReturn}}
	}
	return &node{kids: g.exprs(wants(b), depth), code: []byte{opBr}, to: []*block{b}}
}

func (g *generator) branchTable(depth int) *node {
	first := g.target()
	to := []*block{first}
	for range g.r.IntN(5) {
		if b := g.target(); slices.Equal(wants(b), wants(first)) {
			to = append(to, b)
		}
	}
	index := g.expr(i32, depth+1)
	if g.one(2) {
		index = &node{typ: i32, kids: []*node{index}, code: []byte{opI32Const, 3, 0x71}}
	}
	return &node{kids: append(g.exprs(wants(first), depth), index), code: append([]byte{opBrTable}, uleb(uint64(len(to)-1))...), to: to}
}

// callStatement calls a function and does something with the results.
func (g *generator) callStatement(depth int) *node {
	if g.f.leaf {
		return nil
	}
	n, results := g.call(pick(g, g.m.funcs...), depth)
	return &node{kids: []*node{n}, code: g.receive(results), fixed: len(results) == 0}
}

// call makes a call of f, or one of its type through a table.
func (g *generator) call(f *function, depth int) (n *node, results []valType) {
	if g.random && g.m.memory != nil && g.one(5) {
		at := constant(i32, uint64(g.r.IntN(4000)))
		return &node{typ: i32, kids: []*node{at, constant(i32, uint64(g.r.IntN(200)))}, code: []byte{opCall, 0}}, []valType{i32}
	}
	sig := g.m.types[f.typ]
	n = &node{kids: g.arguments(sig.params, depth)}
	if len(sig.results) == 1 {
		n.typ = sig.results[0]
	}
	if len(g.m.tables) > 0 && g.one(3) {
		n.kids = append(n.kids, g.entry(f))
		n.code = slices.Concat([]byte{opCallInd}, uleb(uint64(f.typ)), []byte{0})
		return n, sig.results
	}
	n.code = append([]byte{opCall}, uleb(uint64(g.m.imports+slices.Index(g.m.funcs, f)))...)
	return n, sig.results
}

// arguments makes those of a call. A float's is often one of two locals: the engine
// wants it in a certain register, as it does a result.
func (g *generator) arguments(types []valType, depth int) (list []*node) {
	for _, t := range types {
		if n := g.eitherLocal(t); n != nil && g.one(2) {
			list = append(list, n)
		} else {
			list = append(list, g.expr(t, depth+1))
		}
	}
	return list
}

// eitherLocal makes a select of two locals that hold floats or vectors.
func (g *generator) eitherLocal(t valType) *node {
	locals := g.localsOf(t)
	if t != f32 && t != f64 && t != v128 || len(locals) < 2 {
		return nil
	}
	read := func() *node { return &node{typ: t, code: localOp(opLocalGet, pick(g, locals...))} }
	return &node{typ: t, kids: []*node{read(), read(), g.expr(i32, 8)}, code: []byte{opSelect}}
}

// entry makes an index into the first table, mostly one with a function of f's type.
func (g *generator) entry(f *function) *node {
	if g.one(12) {
		return g.expr(i32, 8)
	}
	for i, other := range g.m.elems[0].funcs {
		if other >= 0 && g.m.funcs[other].typ == f.typ && g.one(2) {
			return constant(i32, uint64(i))
		}
	}
	return constant(i32, uint64(max(0, slices.IndexFunc(g.m.elems[0].funcs, func(o int) bool { return o >= 0 && g.m.funcs[o].typ == f.typ }))))
}

func (g *generator) tailCall(depth int) *node {
	if g.f.leaf || !g.tail {
		return nil
	}
	f := pick(g, g.m.funcs...)
	sig := g.m.types[f.typ]
	if !slices.Equal(sig.results, g.open[0].sig.results) {
		return nil
	}
	n := &node{kids: g.exprs(sig.params, depth)}
	if len(g.m.tables) > 0 && g.one(3) {
		n.kids = append(n.kids, g.entry(f))
		n.code = slices.Concat([]byte{opTailCallInd}, uleb(uint64(f.typ)), []byte{0})
		return n
	}
	n.code = append([]byte{opTailCall}, uleb(uint64(g.m.imports+slices.Index(g.m.funcs, f)))...)
	return n
}

// length makes a number of bytes or entries, mostly a small one.
func (g *generator) length(most int) *node {
	if g.one(20) {
		return g.expr(i32, 8)
	}
	return constant(i32, uint64(g.r.IntN(most)))
}

func (g *generator) bulkStatement(depth int) *node {
	if !g.bulk || g.m.memory == nil {
		return nil
	}
	passive := slices.IndexFunc(g.m.datas, func(s segment) bool { return s.passive })
	small := &node{typ: i32, kids: []*node{g.expr(i32, depth+1)}, code: slices.Concat([]byte{opI32Const}, sleb(0x1fff), []byte{0x71})}
	most := pick(g, 100, 5000)
	if g.one(30) {
		most = 3 << 20
	}
	switch {
	case passive >= 0 && g.one(4):
		return &node{kids: []*node{g.address(depth, 0), constant(i32, uint64(g.r.IntN(10))), g.length(50)}, code: slices.Concat([]byte{opBulk, 8}, uleb(uint64(passive)), []byte{0})}
	case passive >= 0 && g.one(10):
		return &node{code: append([]byte{opBulk, 9}, uleb(uint64(passive))...)}
	case g.one(2):
		return &node{kids: []*node{g.address(depth, 0), g.expr(i32, depth+1), constant(i32, uint64(g.r.IntN(most)))}, code: []byte{opBulk, 11, 0}}
	}
	return &node{kids: []*node{g.address(depth, 0), small, constant(i32, uint64(g.r.IntN(most)))}, code: []byte{opBulk, 10, 0, 0}}
}

func (g *generator) tableStatement(depth int) *node {
	if len(g.m.tables) == 0 {
		return nil
	}
	table := uleb(uint64(g.r.IntN(len(g.m.tables))))
	index := func() *node { return g.length(int(g.m.tables[0].least) + 1) }
	passive := slices.IndexFunc(g.m.elems, func(s segment) bool { return s.passive })
	switch g.r.IntN(5) {
	case 0:
		return &node{kids: []*node{index(), g.expr(funcref, depth+1)}, code: slices.Concat([]byte{opTableSet}, table)}
	case 1:
		return &node{kids: []*node{index(), g.expr(funcref, depth+1), g.length(3)}, code: slices.Concat([]byte{opBulk, 17}, table)}
	case 2:
		return &node{kids: []*node{index(), index(), g.length(3)}, code: slices.Concat([]byte{opBulk, 14}, table, []byte{0})}
	case 3:
		if passive < 0 {
			return nil
		}
		return &node{kids: []*node{index(), index(), g.length(2)}, code: slices.Concat([]byte{opBulk, 12}, uleb(uint64(passive)), table)}
	}
	if passive < 0 || !g.one(8) {
		return nil
	}
	return &node{code: append([]byte{opBulk, 13}, uleb(uint64(passive))...)}
}
