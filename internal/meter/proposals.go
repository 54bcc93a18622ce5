package meter

import (
	"fmt"

	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// A proposal is a part of WebAssembly that came after version 2.0: it is refused by
// its name, with the way out. docs/engine.md says why of each.
type proposal string

const (
	exceptions proposal = "exceptions, which are off here: " + withoutExceptions
	legacy     proposal = "legacy exceptions, which are off here, as the newer ones are: " + withoutExceptions
	tailCalls  proposal = "tail calls, which are off here: compile without -mtail-call"
	typedRefs  proposal = "typed function references, which are off here: build for WebAssembly 2.0"
	atomics    proposal = "atomic instructions, which are off here: a task has one thread, compile without -pthread and -matomics"
	constants  proposal = "extended constant expressions, which are off here: compile without -mextended-const"
	managed    proposal = "garbage-collected types, which do not run here: build for WebAssembly 2.0"
	relaxed    proposal = "relaxed vector instructions, which do not run here, as their results depend on the CPU: compile without -mrelaxed-simd"
	wide       proposal = "wide arithmetic, which does not run here: compile without -mwide-arithmetic"
)

const withoutExceptions = "compile with -fno-exceptions, or take them out with wasm-opt --strip-eh"

// newer are the instructions that tell of a proposal.
var newer = map[byte]proposal{
	0x06: legacy,     // try
	0x07: legacy,     // catch
	0x08: exceptions, // throw
	0x09: legacy,     // rethrow
	0x0a: exceptions, // throw_ref
	0x18: legacy,     // delegate
	0x19: legacy,     // catch_all
	0x1f: exceptions, // try_table
	0x12: tailCalls,  // return_call
	0x13: tailCalls,  // return_call_indirect
	0x14: typedRefs,  // call_ref
	0x15: typedRefs,  // return_call_ref
	0xd3: managed,    // ref.eq
	0xd4: typedRefs,  // ref.as_non_null
	0xd5: typedRefs,  // br_on_null
	0xd6: typedRefs,  // br_on_non_null
	0xfb: managed,
	0xfe: atomics,
}

// refuse fails over an instruction that the meter does not know.
func (r decoder) refuse(op byte) {
	if p, ok := newer[op]; ok {
		r.Failf("instruction 0x%02x belongs to %s", op, p)
		return
	}
	r.Failf("unknown instruction 0x%02x", op)
}

// checkType fails over a value type that is none of version 2.0.
func (r decoder) checkType(t byte) {
	switch p := newerType(wasmbin.ValType(t)); {
	case p != "":
		r.Failf("%v belongs to %s", wasmbin.ValType(t), p)
	case !known(wasmbin.ValType(t)):
		r.Failf("unknown value type 0x%02x", t)
	}
}

func newerType(t wasmbin.ValType) proposal {
	switch t {
	case wasmbin.ExnRef:
		return exceptions
	case wasmbin.Ref, wasmbin.RefNull:
		return typedRefs
	}
	return ""
}

func known(t wasmbin.ValType) bool {
	switch t {
	case wasmbin.I32, wasmbin.I64, wasmbin.F32, wasmbin.F64, wasmbin.V128, wasmbin.FuncRef, wasmbin.ExternRef:
		return true
	}
	return false
}

// checkDeclared looks for proposals in what was parsed before.
func (c *Code) checkDeclared() error {
	for i, t := range c.module.Types {
		for _, list := range [][]wasmbin.ValType{t.Params, t.Results} {
			for _, v := range list {
				if p := newerType(v); p != "" {
					return fmt.Errorf("type %d has %v, which belongs to %s", i, v, p)
				}
			}
		}
	}
	return nil
}

// checkTags refuses a module that declares exceptions. Its code has been read, and would have told which.
func (c *Code) checkTags() error {
	for _, s := range c.module.Sections {
		if s.ID == wasmbin.SectionTag {
			return fmt.Errorf("the tag section belongs to %s", exceptions)
		}
	}
	return nil
}
