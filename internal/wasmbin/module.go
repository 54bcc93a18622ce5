package wasmbin

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	magic   = "\x00asm"
	version = "\x01\x00\x00\x00"

	// headerSize is where the first section starts.
	headerSize = len(magic) + len(version)

	// leastImport is how many bytes an import takes at least.
	leastImport = 4
)

// A Module is what a binary says about itself. It keeps views of the binary,
// which must not change.
type Module struct {
	Types    []FuncType
	Imports  []Import
	Funcs    []uint32 // of each function the module defines, the index of its type
	Memories []Limits // that the module defines
	Exports  []Export
	Custom   []Custom
	Sections []Section // in the order of the binary

	importedFuncs []uint32 // the types of imported functions
	byName        []uint32 // Exports, sorted
}

// FuncType returns the signature of a function. Imported functions come
// first, then those the module defines.
func (m *Module) FuncType(index uint32) (FuncType, bool) {
	typ, ok := m.TypeOf(index)
	if !ok {
		return FuncType{}, false
	}
	return m.Types[typ], true
}

// TypeOf returns the index in Types of a function's signature.
func (m *Module) TypeOf(index uint32) (typ uint32, ok bool) {
	switch imported := uint32(len(m.importedFuncs)); {
	case index < imported:
		typ = m.importedFuncs[index]
	case index-imported < uint32(len(m.Funcs)):
		typ = m.Funcs[index-imported]
	default:
		return 0, false
	}
	return typ, typ < uint32(len(m.Types))
}

// Section returns the content of the section with this id, a view of binary,
// from which the module was parsed. It is not for custom sections.
func (m *Module) Section(binary []byte, id SectionID) (*Reader, bool) {
	s, ok := m.find(id)
	if !ok {
		return nil, false
	}
	return NewReader(binary[s.Offset:s.Offset+s.Size], s.Offset), true
}

// Without returns binary, from which the module was parsed, without the custom sections whose names drop chooses. It is binary
// itself where there are none.
func (m *Module) Without(binary []byte, drop func(name string) bool) []byte {
	if !slices.ContainsFunc(m.Custom, func(c Custom) bool { return drop(c.Name) }) {
		return binary
	}
	left := append(make([]byte, 0, len(binary)), binary[:headerSize]...)
	from, custom := headerSize, m.Custom
	for _, s := range m.Sections {
		to, kept := s.Offset+s.Size, true
		if s.ID == SectionCustom {
			kept, custom = !drop(custom[0].Name), custom[1:]
		}
		if kept {
			left = append(left, binary[from:to]...)
		}
		from = to
	}
	return left
}

// Reimport returns wasm, from which the module was parsed, with other names for some of its imports: those for which rename
// reports true, by their number.
func (m *Module) Reimport(wasm []byte, rename func(n int, i Import) (module, name string, ok bool)) []byte {
	old, ok := m.find(SectionImport)
	if !ok {
		return wasm
	}
	r := NewReader(wasm[old.Offset:][:old.Size], old.Offset)
	count := r.Count(leastImport)
	section := binary.AppendUvarint(nil, uint64(count))
	for n := range count {
		from := r.Offset()
		i := Import{Module: r.Name(), Name: r.Name()}
		names := r.Offset()
		r.importedType(&i)
		if module, name, ok := rename(n, i); ok {
			for _, text := range []string{module, name} {
				section = append(binary.AppendUvarint(section, uint64(len(text))), text...)
			}
			from = names
		}
		section = append(section, wasm[from:r.Offset()]...)
	}
	head := headerSize
	for _, s := range m.Sections {
		if s.Offset < old.Offset {
			head = max(head, s.Offset+s.Size)
		}
	}
	out := append(append([]byte{}, wasm[:head]...), byte(SectionImport))
	out = binary.AppendUvarint(out, uint64(len(section)))
	return append(append(out, section...), wasm[old.Offset+old.Size:]...)
}

func (m *Module) find(id SectionID) (Section, bool) {
	if id == SectionCustom {
		return Section{}, false // there may be many
	}
	for _, s := range m.Sections {
		if s.ID == id {
			return s, true
		}
	}
	return Section{}, false
}

// Parse reads a core wasm module of version 1. The module keeps views of b.
// An error says what is wrong with the bytes, for a person to act on.
func Parse(b []byte) (*Module, error) {
	if err := CheckSize(int64(len(b))); err != nil {
		return nil, err
	}
	if err := checkHeader(b); err != nil {
		return nil, err
	}
	m := &Module{}
	r := NewReader(b[headerSize:], headerSize)
	for r.Len() > 0 {
		if err := m.section(r); err != nil {
			return nil, err
		}
	}
	if err := m.check(); err != nil {
		return nil, err
	}
	return m, nil
}

func checkHeader(b []byte) error {
	switch {
	case len(b) == 0:
		return errors.New("not a wasm module (empty)")
	case !bytes.HasPrefix(b, []byte(magic)):
		return fmt.Errorf("not a wasm module (starts with %q)", b[:min(len(b), 8)])
	case len(b) < headerSize:
		return errors.New("truncated: the file ends in the header")
	case b[6] == 1:
		return errors.New("a component-model binary, wasmpool runs core modules: build for wasip1 or wasm32-unknown-unknown, not wasip2")
	case string(b[len(magic):headerSize]) != version:
		return fmt.Errorf("wasm version %x is unknown, only version 1 runs", b[len(magic):headerSize])
	}
	return nil
}

// section reads one section.
func (m *Module) section(r *Reader) error {
	id := SectionID(r.Byte())
	size := r.U32()
	if r.Err() == nil && uint64(size) > uint64(r.Len()) {
		return fmt.Errorf("truncated: section %d says %d bytes, %d left", id, size, r.Len())
	}
	offset := r.Offset()
	content := NewReader(r.Bytes(size), offset)
	if err := r.Err(); err != nil {
		return err
	}
	if _, twice := m.find(id); twice {
		return fmt.Errorf("section %d appears twice", id)
	}
	m.Sections = append(m.Sections, Section{ID: id, Offset: offset, Size: int(size)})
	if m.content(id, content); content.Err() != nil {
		return fmt.Errorf("section %d: %w", id, content.Err())
	}
	return nil
}

// content reads what a section holds, if it is one of those that matter here.
func (m *Module) content(id SectionID, r *Reader) {
	switch id {
	case SectionCustom:
		if len(m.Custom) == maxCustom {
			r.Failf("more than %d custom sections: leave them out, for example with wasm-strip", maxCustom)
			return
		}
		m.Custom = append(m.Custom, Custom{Name: r.Name(), Data: r.Bytes(uint32(r.Len()))})
		return
	case SectionType:
		m.Types = vector(r, maxTypes, 3, (*Reader).funcType)
	case SectionImport:
		m.Imports = vector(r, maxImports, leastImport, (*Reader).imported)
	case SectionFunction:
		m.Funcs = vector(r, maxFuncs, 1, (*Reader).U32)
	case SectionMemory:
		m.Memories = vector(r, maxMemories, 2, (*Reader).limits)
	case SectionExport:
		m.Exports = vector(r, maxExports, 3, (*Reader).export)
	default:
		if id > SectionTag {
			r.Failf("an unknown section")
		}
		return
	}
	if r.Len() > 0 {
		r.Failf("%d bytes too many", r.Len())
	}
}

// check looks at what sections say about each other, and fills importedFuncs.
func (m *Module) check() error {
	for _, i := range m.Imports {
		if i.Kind == KindFunc {
			m.importedFuncs = append(m.importedFuncs, i.Type)
		}
	}
	funcs := uint32(len(m.importedFuncs) + len(m.Funcs))
	for i := range funcs {
		if _, ok := m.FuncType(i); !ok {
			return fmt.Errorf("function %d has a type that does not exist", i)
		}
	}
	for _, e := range m.Exports {
		if e.Kind == KindFunc && e.Index >= funcs {
			return fmt.Errorf("export %.100q is function %d of %d", e.Name, e.Index, funcs)
		}
	}
	m.byName = make([]uint32, len(m.Exports))
	for i := range m.byName {
		m.byName[i] = uint32(i)
	}
	slices.SortFunc(m.byName, func(a, b uint32) int { return strings.Compare(m.Exports[a].Name, m.Exports[b].Name) })
	for i, at := range m.byName[min(1, len(m.byName)):] {
		if name := m.Exports[at].Name; name == m.Exports[m.byName[i]].Name {
			return fmt.Errorf("export %.100q appears twice", name)
		}
	}
	return nil
}

// SortedExports returns the indices of the exports, in the order of their names. The
// list must not be changed.
func (m *Module) SortedExports() []uint32 { return m.byName }

// Export returns the export of that name.
func (m *Module) Export(name string) (Export, bool) {
	i, ok := slices.BinarySearchFunc(m.byName, name, func(at uint32, name string) int { return strings.Compare(m.Exports[at].Name, name) })
	if !ok {
		return Export{}, false
	}
	return m.Exports[m.byName[i]], true
}

// vector reads a list whose entries take at least size bytes each.
func vector[T any](r *Reader, limit bound, size int, read func(*Reader) T) []T {
	n := r.Count(size)
	if n > limit.most {
		r.Failf("%d %s, the limit is %d%s", n, limit.what, limit.most, limit.hint)
		return nil
	}
	list := make([]T, 0, n)
	for i := 0; i < n && r.Err() == nil; i++ {
		list = append(list, read(r))
	}
	return list
}

func (r *Reader) funcType() FuncType {
	if form := r.Byte(); form != 0x60 {
		r.Failf("type form 0x%02x (a garbage-collected type?) does not run here, only functions do", form)
		return FuncType{}
	}
	return FuncType{Params: vector(r, maxParams, 1, (*Reader).valType), Results: vector(r, maxResults, 1, (*Reader).valType)}
}

func (r *Reader) valType() ValType {
	t := ValType(r.Byte())
	if t == Ref || t == RefNull {
		r.S33() // what it refers to
	} else if _, known := valTypeNames[t]; !known {
		r.Failf("unknown value %v", t)
	}
	return t
}

func (r *Reader) imported() Import {
	i := Import{Module: r.Name(), Name: r.Name()}
	r.importedType(&i)
	return i
}

// importedType reads what an import is, behind its names.
func (r *Reader) importedType(i *Import) {
	i.Kind = Kind(r.Byte())
	switch i.Kind {
	case KindFunc:
		i.Type = r.U32()
	case KindTable:
		r.valType()
		r.limits()
	case KindMemory:
		i.Memory = r.limits()
	case KindGlobal:
		i.Global = r.valType()
		r.Byte() // whether it is mutable
	case KindTag:
		r.Byte() // always an exception
		r.U32()
	default:
		r.Failf("import %.100s.%.100s is of unknown %v", i.Module, i.Name, i.Kind)
	}
}

func (r *Reader) limits() Limits {
	flags := r.Byte()
	switch {
	case flags > 15:
		r.Failf("unknown limits 0x%02x", flags)
	case flags > 7:
		r.Failf("a memory with pages of its own size, which does not run here: build for WebAssembly 2.0, with pages of 64 KiB")
	}
	l := Limits{HasMax: flags&1 != 0, Shared: flags&2 != 0, Wide: flags&4 != 0}
	l.Min = r.size(l.Wide)
	if l.HasMax {
		l.Max = r.size(l.Wide)
	}
	return l
}

func (r *Reader) size(wide bool) uint64 {
	if wide {
		return r.U64()
	}
	return uint64(r.U32())
}

func (r *Reader) export() Export {
	e := Export{Name: r.Name(), Kind: Kind(r.Byte()), Index: r.U32()}
	if e.Kind > KindTag {
		r.Failf("export %.100q is of unknown %v", e.Name, e.Kind)
	}
	return e
}
