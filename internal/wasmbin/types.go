package wasmbin

import (
	"fmt"
	"strings"
)

// A ValType is the type of one value, as the binary spells it.
type ValType byte

// The value types. Ref and RefNull stand for all typed references: what they
// refer to is not kept.
const (
	I32       ValType = 0x7f
	I64       ValType = 0x7e
	F32       ValType = 0x7d
	F64       ValType = 0x7c
	V128      ValType = 0x7b
	FuncRef   ValType = 0x70
	ExternRef ValType = 0x6f
	ExnRef    ValType = 0x69
	Ref       ValType = 0x64
	RefNull   ValType = 0x63
)

var valTypeNames = map[ValType]string{
	I32: "i32", I64: "i64", F32: "f32", F64: "f64", V128: "v128",
	FuncRef: "funcref", ExternRef: "externref", ExnRef: "exnref", Ref: "ref", RefNull: "ref null",
}

// String returns the type's name in the text format, such as "i32".
func (t ValType) String() string {
	if name, ok := valTypeNames[t]; ok {
		return name
	}
	return fmt.Sprintf("type 0x%02x", byte(t))
}

// Numeric reports whether the type is one of i32, i64, f32 and f64.
func (t ValType) Numeric() bool { return t >= F64 && t <= I32 }

// A FuncType is a function's signature.
type FuncType struct {
	Params, Results []ValType
}

// String writes the signature as "(i32, i32) -> i32". No result is "()",
// several are "(i32, f64)".
func (t FuncType) String() string {
	if len(t.Results) == 1 {
		return "(" + join(t.Params) + ") -> " + t.Results[0].String()
	}
	return "(" + join(t.Params) + ") -> (" + join(t.Results) + ")"
}

func join(types []ValType) string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = t.String()
	}
	return strings.Join(names, ", ")
}

// A Kind says what an import or export is.
type Kind byte

// The kinds of imports and exports.
const (
	KindFunc   Kind = 0
	KindTable  Kind = 1
	KindMemory Kind = 2
	KindGlobal Kind = 3
	KindTag    Kind = 4
)

// String returns the kind's name in the text format.
func (k Kind) String() string {
	names := [...]string{"func", "table", "memory", "global", "tag"}
	if int(k) < len(names) {
		return names[k]
	}
	return fmt.Sprintf("kind %d", byte(k))
}

// PageSize is the unit of a memory's size, in bytes.
const PageSize = 64 << 10

// Limits are the bounds of a memory, in units of [PageSize], or of a table.
type Limits struct {
	Min, Max uint64 // Max counts only when HasMax
	HasMax   bool
	Shared   bool // between threads
	Wide     bool // 64-bit addresses
}

// An Import is something the module needs from its host.
type Import struct {
	Module, Name string
	Kind         Kind
	Type         uint32  // of a function: index into Module.Types
	Memory       Limits  // of a memory
	Global       ValType // of a global
}

// An Export is something the module offers. Index counts what it imports and
// defines of that kind.
type Export struct {
	Name  string
	Kind  Kind
	Index uint32
}

// A Custom is a custom section. Data is a view of the binary.
type Custom struct {
	Name string
	Data []byte
}

// A Section says where a section's content lies in the binary.
type Section struct {
	ID           SectionID
	Offset, Size int
}

// A SectionID is the byte that starts a section.
type SectionID byte

// The sections of a module.
const (
	SectionCustom    SectionID = 0
	SectionType      SectionID = 1
	SectionImport    SectionID = 2
	SectionFunction  SectionID = 3
	SectionTable     SectionID = 4
	SectionMemory    SectionID = 5
	SectionGlobal    SectionID = 6
	SectionExport    SectionID = 7
	SectionStart     SectionID = 8
	SectionElement   SectionID = 9
	SectionCode      SectionID = 10
	SectionData      SectionID = 11
	SectionDataCount SectionID = 12
	SectionTag       SectionID = 13
)
