package meter

import (
	"encoding/binary"
	"fmt"

	"github.com/wasmpool/wasmpool/internal/abi"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

const (
	// Fuel is the name under which a rewritten module exports its fuel, a
	// mutable i64 global: the instructions it may execute before the next tick.
	Fuel = "wasmpool_fuel"

	// Alters is the name of a custom section, by which a module says that it can
	// change what is neither memory nor a global.
	Alters = "wasmpool_alters"

	// Tick is the import of a rewritten module, from [abi.Module]: a function
	// () -> i64 that is called when the fuel has fallen below zero, and returns
	// the new fuel.
	Tick = "tick"
)

// Version is that of what Rewrite writes, and of what Read refuses: rewritten modules
// are kept under it, and not read again.
const Version = "18"

const (
	// shortLeaf is the most instructions of a function that need not take fuel
	// itself.
	shortLeaf = 64

	// shortPiece is how many instructions behind a block's end need not, if what
	// leads to them has no more.
	shortPiece = 64

	// mostLoops is how many loops a function may have to hold the fuel in a local:
	// with very many, one more local takes the compiler long.
	mostLoops = 500
)

// Read reads a module's code. m is what [wasmbin.Parse] says about wasm. It does
// not validate: it sees the form of the code, and not whether it makes sense.
func Read(wasm []byte, m *wasmbin.Module) (*Code, error) {
	c := &Code{wasm: wasm, module: m}
	for _, i := range m.Imports {
		switch i.Kind {
		case wasmbin.KindFunc:
			c.importedFuncs++
		case wasmbin.KindGlobal:
			c.importedGlobals++
		}
	}
	if err := c.survey(); err != nil {
		return nil, err
	}
	return c, nil
}

// Rewrite returns the module with the counting added. A module that is wrong in
// a way that Read does not see is wrong afterwards, too. Sections with debug
// information are dropped, as they tell where code lies; the names of functions
// are kept. Tables may grow as [MostOfTable] says.
func (c *Code) Rewrite() ([]byte, error) {
	out, err := c.write()
	if err != nil {
		return nil, err
	}
	return c.Mark(out), nil
}

// Mark adds a custom section called [Alters] to a module whose code can change its
// tables or drop its segments, and returns another as it is.
func (c *Code) Mark(wasm []byte) []byte {
	if !c.alters {
		return wasm
	}
	wasm = append(wasm[:len(wasm):len(wasm)], byte(wasmbin.SectionCustom), byte(len(Alters)+2), byte(len(Alters)))
	return append(append(wasm, Alters...), 1) // the engine reads no section without data
}

// MostTable is how many entries the tables of a rewritten module may have, all together:
// to begin with, and where they grow. They take the process's memory, 8 bytes each, which
// no limit of a call bounds.
const MostTable = 1 << 20

// MostOfTable returns the length to which one of so many tables can grow that begins with
// least entries.
func MostOfTable(tables int, least uint64) uint64 {
	return max(least, MostTable/uint64(max(tables, 1)))
}

// A Code is a module whose code was read.
type Code struct {
	Shape Shape

	wasm            []byte
	module          *wasmbin.Module
	importedFuncs   uint32
	importedGlobals uint32

	bodies  []body
	helpers uint32 // how many functions are added for their instructions
	alters  bool   // the code changes tables or segments
}

// A Shape says how large the parts of a module are: what a compiler's work
// depends on.
type Shape struct {
	Globals  uint32 // that the module defines
	Tables   uint32
	Table    uint64 // entries of all tables, to begin with
	Elements uint32 // segments
	Data     uint32 // segments

	// Of the function where it is largest.
	Body        int    // bytes
	Locals      uint64 // declared
	Depth       int    // blocks in each other
	BranchTable int    // targets of a br_table
}

// fuel returns the index of the fuel.
func (c *Code) fuel() uint32 { return c.importedGlobals + c.Shape.Globals }

// funcs returns how many functions the module has.
func (c *Code) funcs() uint32 { return c.importedFuncs + uint32(len(c.module.Funcs)) }

// tick returns the index of the tick: it is the last import.
func (c *Code) tick() uint32 { return c.importedFuncs }

// moved returns the new index of a function.
func (c *Code) moved(f uint32) uint32 {
	if f >= c.importedFuncs {
		f++
	}
	return f
}

// survey reads what must be known before anything is written.
func (c *Code) survey() error {
	if err := c.checkDeclared(); err != nil {
		return err
	}
	for id, n := range map[wasmbin.SectionID]*uint32{
		wasmbin.SectionGlobal: &c.Shape.Globals, wasmbin.SectionElement: &c.Shape.Elements, wasmbin.SectionData: &c.Shape.Data,
	} {
		r, ok := c.module.Section(c.wasm, id)
		if !ok {
			continue
		}
		if *n = uint32(r.Count(2)); r.Err() != nil {
			return fmt.Errorf("section %d: %w", id, r.Err())
		}
	}
	if err := c.readThrough(); err != nil {
		return err
	}
	if err := c.measure(); err != nil {
		return err
	}
	return c.checkTags()
}

// readThrough reads the sections whose lists nobody has read yet: the engine takes memory
// for as many entries, bytes and names as a list announces, before it looks whether they
// are there.
func (c *Code) readThrough() error {
	lists := map[wasmbin.SectionID]func(*editor){
		wasmbin.SectionTable: (*editor).tables, wasmbin.SectionGlobal: (*editor).globalList,
		wasmbin.SectionElement: (*editor).elements, wasmbin.SectionData: (*editor).data,
	}
	for _, s := range c.module.Sections {
		e := c.editor(wasmbin.NewReader(c.wasm[s.Offset:s.Offset+s.Size], s.Offset))
		what := fmt.Sprintf("section %d", s.ID)
		if read := lists[s.ID]; read != nil {
			read(e)
		} else if s.ID == wasmbin.SectionCustom && e.Name() == "name" {
			what = "the name section"
			e.names()
		}
		if e.Err() != nil {
			return fmt.Errorf("%s: %w", what, e.Err())
		}
	}
	return nil
}

// order is the order of the sections in a binary. Custom sections stay where
// they are.
var order = map[wasmbin.SectionID]int{
	wasmbin.SectionType: 1, wasmbin.SectionImport: 2, wasmbin.SectionFunction: 3, wasmbin.SectionTable: 4,
	wasmbin.SectionMemory: 5, wasmbin.SectionGlobal: 6, wasmbin.SectionExport: 7, wasmbin.SectionStart: 8,
	wasmbin.SectionElement: 9, wasmbin.SectionDataCount: 10, wasmbin.SectionCode: 11, wasmbin.SectionData: 12,
}

// added are the sections that every rewritten module has.
var added = []wasmbin.SectionID{wasmbin.SectionType, wasmbin.SectionImport, wasmbin.SectionGlobal, wasmbin.SectionExport}

// write writes the module, with the added sections in their places where it
// has none yet.
func (c *Code) write() ([]byte, error) {
	out := append(make([]byte, 0, len(c.wasm)+len(c.wasm)/2), c.wasm[:8]...)
	missing := added
	upTo := func(place int) error {
		for len(missing) > 0 && order[missing[0]] < place {
			var err error
			if out, err = c.section(out, missing[0], wasmbin.NewReader([]byte{0}, 0)); err != nil {
				return err
			}
			missing = missing[1:]
		}
		return nil
	}
	last := len(order) + 1
	end := c.behindLast()
	for i, s := range c.module.Sections {
		place := order[s.ID]
		if i >= end {
			place = last
		}
		if err := upTo(place); err != nil {
			return nil, err
		}
		if len(missing) > 0 && missing[0] == s.ID {
			missing = missing[1:]
		}
		r := wasmbin.NewReader(c.wasm[s.Offset:s.Offset+s.Size], s.Offset)
		var err error
		if out, err = c.section(out, s.ID, r); err != nil {
			return nil, err
		}
	}
	return out, upTo(last)
}

// behindLast returns where the custom sections begin that end the module. They may
// be of a kind that must come last.
func (c *Code) behindLast() int {
	end := 0
	for i, s := range c.module.Sections {
		if s.ID != wasmbin.SectionCustom {
			end = i + 1
		}
	}
	return end
}

// section appends one section, rewritten where it must be.
func (c *Code) section(out []byte, id wasmbin.SectionID, r *wasmbin.Reader) ([]byte, error) {
	e := c.editor(r)
	switch id {
	case wasmbin.SectionType:
		e.appendEntries(append([][]byte{{0x60, 0, 1, valI64}}, c.helperTypes()...)...)
	case wasmbin.SectionImport:
		entry := appendName(nil, abi.Module)
		entry = appendName(entry, Tick)
		entry = append(entry, byte(wasmbin.KindFunc))
		e.appendEntries(binary.AppendUvarint(entry, uint64(len(c.module.Types))))
	case wasmbin.SectionFunction:
		e.appendEntries(c.helperFuncs()...)
	case wasmbin.SectionTable:
		e.tables()
	case wasmbin.SectionGlobal:
		e.globalList()
	case wasmbin.SectionExport:
		e.exports()
	case wasmbin.SectionStart:
		e.function()
	case wasmbin.SectionElement:
		e.elements()
	case wasmbin.SectionCode:
		e.code()
	case wasmbin.SectionCustom:
		if !e.custom() {
			return out, nil
		}
	default:
		e.rest()
	}
	if n := e.Len(); n > 0 {
		e.Failf("%d bytes too many", n)
	}
	if err := e.Err(); err != nil {
		return nil, fmt.Errorf("section %d: %w", id, err)
	}
	out = append(out, byte(id))
	out = binary.AppendUvarint(out, uint64(len(e.out)))
	return append(out, e.out...), nil
}

func appendName(b []byte, name string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(name))), name...)
}
