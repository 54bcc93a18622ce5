package difftest

import "slices"

// shrink leaves out of a module what it can while holds says that it still shows the
// fault, and returns what is left. It asks at most tries times.
func shrink(m *tree, tries int, holds func(*tree) bool) *tree {
	s := &shrinker{m: m, tries: tries, holds: func() bool { return holds(m) }}
	for before := -1; before != s.done; {
		before = s.done
		s.parts()
		for _, f := range m.funcs {
			s.content(&f.body.body)
		}
	}
	return m
}

// A shrinker changes the tree in place, and takes back what was one change too many.
type shrinker struct {
	m     *tree
	tries int
	done  int // changes that stayed
	holds func() bool
}

// try makes a change and keeps it if the fault is still there.
func (s *shrinker) try(change, back func()) bool {
	if s.tries == 0 {
		return false
	}
	s.tries--
	change()
	if s.holds() {
		s.done++
		return true
	}
	back()
	return false
}

// replace tries a value in the place of another.
func replace[T any](s *shrinker, at *T, with T) bool {
	old := *at
	return s.try(func() { *at = with }, func() { *at = old })
}

// parts leaves out exports, segments and the start.
func (s *shrinker) parts() {
	if s.m.start >= 0 {
		replace(s, &s.m.start, -1)
	}
	for i := len(s.m.exports) - 1; i >= 0; i-- {
		replace(s, &s.m.exports, slices.Delete(slices.Clone(s.m.exports), i, i+1))
	}
	for i := range s.m.datas { // indices stay
		if len(s.m.datas[i].data) > 0 {
			replace(s, &s.m.datas[i].data, nil)
		}
	}
	for _, f := range s.m.funcs {
		var results []*node
		for _, t := range f.body.sig.results {
			results = append(results, constant(t, 0))
		}
		if len(f.body.body) > len(results) || slices.ContainsFunc(f.body.body, func(n *node) bool { return !n.isConstant() }) {
			replace(s, &f.body.body, results)
		}
	}
}

// content shrinks a sequence.
func (s *shrinker) content(list *[]*node) {
	for i := len(*list) - 1; i >= 0; i-- {
		n := (*list)[i]
		if n.typ != 0 {
			s.expr(&(*list)[i])
			continue
		}
		if n.fixed || s.tries == 0 {
			continue
		}
		if replace(s, list, slices.Delete(slices.Clone(*list), i, i+1)) {
			continue
		}
		s.statement(list, i)
	}
}

func (s *shrinker) statement(list *[]*node, i int) {
	n := (*list)[i]
	for k := range n.kids {
		s.expr(&n.kids[k])
	}
	b := n.block
	if b == nil {
		return
	}
	if len(b.sig.params)+len(b.sig.results) == 0 && len(n.after) == 0 && !branchesTo(b) {
		flat := slices.Concat((*list)[:i], b.body, (*list)[i+1:])
		if b.op != opIf && replace(s, list, flat) {
			return
		}
	}
	s.inside(b)
}

func (s *shrinker) inside(b *block) {
	s.content(&b.body)
	if b.op == opIf {
		s.content(&b.els)
	}
}

// expr replaces an expression by a constant, or by one of its operands.
func (s *shrinker) expr(at **node) {
	n := *at
	if n.isConstant() || s.tries == 0 {
		return
	}
	if n.typ != 0 {
		if replace(s, at, constant(n.typ, 0)) || replace(s, at, constant(n.typ, 1)) {
			return
		}
		for _, k := range n.kids {
			if k.typ == n.typ && replace(s, at, k) {
				s.expr(at)
				return
			}
		}
	}
	for k := range n.kids {
		s.expr(&n.kids[k])
	}
	if n.block != nil {
		s.inside(n.block)
	}
}

// branchesTo reports whether anything inside branches to the block.
func branchesTo(b *block) bool {
	var anywhere func(list []*node) bool
	anywhere = func(list []*node) bool {
		return slices.ContainsFunc(list, func(n *node) bool {
			return slices.Contains(n.to, b) || anywhere(n.kids) || n.block != nil && (anywhere(n.block.body) || anywhere(n.block.els))
		})
	}
	return anywhere(b.body) || anywhere(b.els)
}

// shrinkBytes makes the functions of a module that nobody has the tree of empty, one
// by one.
func shrinkBytes(wasm []byte, holds func([]byte) bool) (out []byte) {
	out = wasm
	c, err := read(wasm)
	if err != nil {
		return out
	}
	m := &mutator{id: 10, c: c}
	bodies := c.bodies()
	for i := range bodies {
		bodies[i] = sized(bodies[i])
	}
	for i, b := range bodies {
		bodies[i] = sized([]byte{0, opUnreachable, opEnd})
		m.content = list(bodies)
		if smaller := m.write(wasm); holds(smaller) {
			out = smaller
		} else {
			bodies[i] = b
		}
	}
	return out
}
