package difftest

// mostLocals is how many locals of a function the engine is asked about: it takes 8 bytes
// for each that is declared. Far fewer are more than host takes.
const mostLocals = 1 << 20

// announcesTooMuch reports whether a list of the module has more entries, names and bytes
// included, than bytes follow it, or a function very many locals. The engine takes memory
// for them all before it looks, and may die of that. But for the locals, such a module
// is not valid; it is read as the engine reads it, which does not mind where a section
// ends before it has read it.
func announcesTooMuch(wasm []byte) bool {
	r := &reader{b: wasm}
	r.bytes(8)
	for !r.done() {
		id, size := r.byte(), r.u()
		end := uint64(r.at) + size
		r.section(id, end)
		if r.cut {
			return true
		}
		if uint64(r.at) != end { // the engine reads no further
			return false
		}
	}
	return false
}

// section reads a section that should end at end.
func (r *reader) section(id byte, end uint64) {
	switch id {
	case 0:
		r.custom(end)
	case 1:
		r.each((*reader).functionType)
	case 2:
		r.each((*reader).imported)
	case 3:
		r.each(func(r *reader) { r.u() })
	case 4:
		r.each((*reader).tableType)
	case 5:
		r.each((*reader).limits)
	case 6:
		r.each(func(r *reader) { r.globalType(); r.expression() })
	case 7:
		r.each(func(r *reader) { r.sized(); r.byte(); r.u() })
	case 8, 12:
		r.u()
	case 9:
		r.each((*reader).element)
	case 10:
		r.each((*reader).code)
	case 11:
		r.each((*reader).segment)
	case 13:
		r.each(func(r *reader) { r.byte(); r.u() })
	default:
		r.fail()
	}
}

// each reads a list.
func (r *reader) each(entry func(*reader)) {
	for n := r.count(); n > 0 && !r.bad; n-- {
		entry(r)
	}
}

func (r *reader) valType() {
	if b := r.byte(); b == 0x63 || b == 0x64 { // a reference to what follows
		r.u()
	}
}

func (r *reader) functionType() {
	if r.byte() != 0x60 {
		r.fail()
	}
	r.each((*reader).valType)
	r.each((*reader).valType)
}

func (r *reader) imported() {
	r.sized()
	r.sized()
	switch r.byte() {
	case 0:
		r.u()
	case 1:
		r.tableType()
	case 2:
		r.limits()
	case 3:
		r.globalType()
	case 4:
		r.byte()
		r.u()
	default:
		r.fail()
	}
}

func (r *reader) globalType() {
	r.valType()
	r.byte()
}

func (r *reader) tableType() {
	filled := !r.done() && r.b[r.at] == 0x40
	if filled {
		r.bytes(2)
	}
	r.valType()
	r.limits()
	if filled {
		r.expression()
	}
}

// expression reads a constant expression.
func (r *reader) expression() {
	for in := r.instruction(); in.op != opEnd && !r.bad; {
		in = r.instruction()
	}
}

func (r *reader) element() {
	flags := r.u()
	passive, second, expressions := flags&1 != 0, flags&2 != 0, flags&4 != 0
	if !passive {
		if second {
			r.u() // the table
		}
		r.expression()
	}
	if passive || second {
		r.valType() // or the kind
	}
	if expressions {
		r.each((*reader).expression)
	} else {
		r.each(func(r *reader) { r.u() })
	}
}

func (r *reader) segment() {
	flags := r.u()
	if flags == 2 {
		r.u() // the memory
	}
	if flags != 1 {
		r.expression()
	}
	r.sized()
}

// code reads a function's body, whose locals may reach beyond it.
func (r *reader) code() {
	n := r.count()
	locals := reader{b: r.b, at: r.at}
	sum := uint64(0)
	for groups := locals.u(); groups > 0 && !locals.bad; groups-- {
		sum += locals.u()
		locals.valType()
	}
	r.cut = r.cut || sum > mostLocals
	r.bytes(n)
}

// custom reads a custom section: that with names, and skips another.
func (r *reader) custom(end uint64) {
	name := string(r.sized())
	if name != "name" {
		r.bytes(int(min(end-min(end, uint64(r.at)), uint64(len(r.b)))))
		return
	}
	association := func(r *reader) { r.u(); r.sized() }
	for left := end - uint64(r.at); left > 0 && !r.done(); { // it may wrap, as in the engine
		id, from := r.byte(), r.at
		size := r.u()
		left -= uint64(1 + r.at - from)
		switch id {
		case 0:
			r.sized()
		case 1:
			r.each(association)
		case 2:
			r.each(func(r *reader) { r.u(); r.each(association) })
		default:
			r.bytes(int(min(size, uint64(len(r.b)))))
		}
		left -= size
	}
}
