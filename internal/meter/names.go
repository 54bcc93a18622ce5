package meter

import (
	"strings"
)

// The parts of a name section that the engine reads.
const (
	nameOfModule = iota
	namesOfFunctions
	namesOfLocals
)

// custom copies a custom section, or reports that it must be dropped.
func (e *editor) custom() bool {
	var name string
	e.copied(func() { name = e.Name() })
	switch {
	case strings.HasPrefix(name, ".debug_"), strings.HasPrefix(name, "reloc."), name == "linking", name == "sourceMappingURL":
		return false
	case name == "name":
		e.names()
	default:
		e.rest()
	}
	return true
}

// names copies the names of the module and its functions. It reads the section as the
// engine does, which looks at the lengths of the parts that it does not know only, and
// refuses a module whose names are wrong.
func (e *editor) names() {
	for e.Len() > 0 && e.Err() == nil {
		switch id, size := e.Byte(), e.U32(); id {
		case nameOfModule:
			e.namePart(id, func(part *editor) { part.copied(func() { part.Name() }) })
		case namesOfFunctions:
			e.namePart(id, (*editor).functionNames)
		case namesOfLocals:
			for n := e.Count(2); n > 0 && e.Err() == nil; n-- {
				e.U32()
				for m := e.Count(2); m > 0 && e.Err() == nil; m-- {
					e.U32()
					e.Name()
				}
			}
		default:
			e.Bytes(size)
		}
	}
}

// namePart writes a part with the length that it has now.
func (e *editor) namePart(id byte, write func(*editor)) {
	part := &editor{decoder: e.decoder, w: e.w}
	write(part)
	e.out = append(e.out, id)
	e.put(uint32(len(part.out)))
	e.out = append(e.out, part.out...)
}

// functionNames copies the names of functions. The engine does not mind those of functions
// that do not exist.
func (e *editor) functionNames() {
	for n := e.count(2); n > 0 && e.Err() == nil; n-- {
		e.put(e.w.moved(e.U32()))
		e.copied(func() { e.Name() })
	}
}
