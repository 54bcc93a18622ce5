package host

import (
	"bytes"
	"encoding/binary"
	"io"
	"reflect"
	"unsafe"

	"github.com/tetratelabs/wazero/api"
)

// The rewinding of a kept command under [IsolationReset]: when it waits for its first argument, its memory and its
// globals are saved as those of other tasks are (isolation.go), and where it stands in the engine besides: the engine's stack
// from there up, and what it needs to return from an import. When it waits for the next argument all that is put back, so
// that the read returns which was the first.
//
// The engine offers the same as an experimental feature. That lets the guest go on in the copy itself, which it changes, so that
// one cannot go back to it again; and it wraps the context of each import.

// engineFields are the fields of wazero v1.12.0's engine for a call, by reflection: it does not show them.
type engineFields struct {
	stack     *[]byte        // where the guest's frames are
	top       *uintptr       // where they begin, which is the highest address
	bottom    **byte         // where there is no room any more
	sp        **uint64       // the lowest address in use while the guest is in an import
	fp        *uintptr       // its frame there
	back      **byte         // where it goes on
	registers *[64][2]uint64 // some of which are kept across the import
}

// engineFieldsOf returns the fields of the call that f makes, or nil where the engine is not as is known.
func engineFieldsOf(f api.Function) *engineFields {
	v := reflect.ValueOf(f)
	if v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return nil
	}
	call := v.Elem()
	if context := call.FieldByName("execCtx"); context.IsValid() && context.Kind() == reflect.Struct {
		e := &engineFields{
			field[[]byte](call, "stack"), field[uintptr](call, "stackTop"), field[*byte](context, "stackBottomPtr"),
			field[*uint64](context, "stackPointerBeforeGoCall"), field[uintptr](context, "framePointerBeforeGoCall"),
			field[*byte](context, "goCallReturnAddress"), field[[64][2]uint64](context, "savedRegisters"),
		}
		if e.stack != nil && e.top != nil && e.bottom != nil && e.sp != nil && e.fp != nil && e.back != nil && e.registers != nil {
			return e
		}
	}
	return nil
}

// field returns a field of a struct that can be addressed, or nil if there is none of that type.
func field[T any](s reflect.Value, name string) *T {
	if f := s.FieldByName(name); f.IsValid() && f.Type() == reflect.TypeFor[T]() {
		return (*T)(f.Addr().UnsafePointer())
	}
	return nil
}

// A place is where a guest is in an import.
type place struct {
	engine    *engineFields
	stack     []byte // the engine's
	top       uintptr
	bottom    *byte
	sp        *uint64
	fp        uintptr
	back      *byte
	registers [64][2]uint64
	frames    []byte // what lies on the stack from sp up
}

// here returns where the guest is that is in an import.
func (e *engineFields) here() *place {
	p := &place{e, *e.stack, *e.top, *e.bottom, *e.sp, *e.fp, *e.back, *e.registers, nil}
	p.frames = bytes.Clone(p.onStack())
	return p
}

// onStack returns the part of the stack that is in use.
func (p *place) onStack() []byte {
	from := uintptr(unsafe.Pointer(p.sp)) - uintptr(unsafe.Pointer(&p.stack[0]))
	to := p.top - uintptr(unsafe.Pointer(&p.stack[0]))
	return p.stack[from:to]
}

// goBack has the guest return from the import where it was then, and not from the one where it is.
func (p *place) goBack() {
	copy(p.onStack(), p.frames)
	e := p.engine
	*e.stack, *e.top, *e.bottom, *e.sp, *e.fp, *e.back, *e.registers = p.stack, p.top, p.bottom, p.sp, p.fp, p.back, p.registers
}

// A reading is the read of its standard input in which a kept command waits for its first argument.
type reading struct {
	*place
	list, vectors, count uint32  // the read's parameters
	result               *uint64 // where it leaves its error
}

// newReading returns the read that a guest is in with these parameters, behind which it leaves its result.
func newReading(e *engineFields, params []uint64) *reading {
	return &reading{e.here(), uint32(params[1]), uint32(params[2]), uint32(params[3]), &params[0]}
}

// again goes back to the read, which then reads from source.
func (r *reading) again(mod api.Module, in *instance, source io.Reader) {
	r.goBack()
	*r.result = r.read(mod, in, source)
}

// read does what the import does that reads, and returns WASI's error.
func (r *reading) read(mod api.Module, in *instance, source io.Reader) uint64 {
	total := 0
	for i := range r.vectors {
		vector, ok := in.part(mod, uint64(r.list)+8*uint64(i), 8)
		if !ok {
			return wasiFault
		}
		at, n := binary.LittleEndian.Uint32(vector), binary.LittleEndian.Uint32(vector[4:])
		if n == 0 {
			continue // wherever it is, as in the engine
		}
		part, ok := in.part(mod, uint64(at), n)
		if !ok {
			return wasiFault
		}
		got, _ := source.Read(part) // it has no errors
		if total += got; got < len(part) {
			break
		}
	}
	count, ok := in.part(mod, uint64(r.count), 4)
	if !ok {
		return wasiFault
	}
	binary.LittleEndian.PutUint32(count, uint32(total))
	return wasiSuccess
}

// part returns n bytes of guest memory at an address, if they are there.
func (in *instance) part(mod api.Module, at uint64, n uint32) ([]byte, bool) {
	in.attach(mod)
	if in.mem == nil {
		return nil, false
	}
	in.follow()
	if at+uint64(n) > uint64(len(in.view)) {
		return nil, false
	}
	return in.view[at:][:n:n], true
}
