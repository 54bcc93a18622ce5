package difftest

import (
	"context"
	"testing"
)

// Modules on which the engine takes all memory are not given to it, and are refused.
func TestAnnouncesTooMuch(t *testing.T) {
	t.Parallel()
	b, err := newBench(t.Context(), Fences{})
	if err != nil {
		t.Fatal(err)
	}
	defer b.engines.close(context.Background())
	const (
		header = "\x00asm\x01\x00\x00\x00"
		fn     = "\x01\x04\x01\x60\x00\x00\x03\x02\x01\x00" // one function without parameters
		many   = "\xff\xff\xff\xff\x0f"
		some   = "\x80\x80\x80\x80\x04"
		end    = "\x0b"
	)
	for _, c := range []struct{ name, sections string }{
		{"parameters", "\x01\x09\x01\x60" + many + "\x00\x00"},
		{"results", "\x01\x09\x01\x60\x00" + many + "\x7f"},
		{"results, of an entry behind the section", "\x01\x04\x02\x60\x00\x00\x60" + many + "\x00"},
		{"functions", "\x03\x05" + many},
		{"imports", "\x02\x06" + many + "\x00"},
		{"the name of an import", "\x02\x08\x01" + many + "\x61\x00"},
		{"exports", fn + "\x07\x07" + many + "\x00\x00"},
		{"tables", "\x04\x08" + many + "\x70\x00\x00"},
		{"globals", "\x06\x09" + many + "\x7f\x00\x41\x00\x0b"},
		{"elements", "\x04\x04\x01\x70\x00\x01\x09\x05" + many},
		{"functions of an element", fn + "\x04\x04\x01\x70\x00\x01\x09\x0a\x01\x00\x41\x00\x0b" + many},
		{"functions of a passive element", fn + "\x09\x08\x01\x01\x00" + many},
		{"expressions of an element", fn + "\x09\x08\x01\x05\x70" + many},
		{"expressions of a declared element", fn + "\x09\x08\x01\x07\x70" + many},
		{"data segments", "\x05\x03\x01\x00\x01\x0b\x05" + many},
		{"bytes of data", "\x05\x03\x01\x00\x01\x0b\x0a\x01\x00\x41\x00\x0b" + many},
		{"bytes of passive data", "\x05\x03\x01\x00\x01\x0b\x07\x01\x01" + many},
		{"bodies", fn + "\x0a\x05" + many},
		{"bytes of a body", fn + "\x0a\x06\x01" + many},
		{"locals", fn + "\x0a\x0c\x01\x0a\x01" + many + "\x7f\x02\x7e" + end},
		{"locals, together", fn + "\x0a\x12\x01\x10\x02" + some + "\x7f" + some + "\x7f\x00\x00" + end},
		{"locals behind the body", fn + "\x0a\x11\x01\x0f\x02" + some + "\x7f\x02\x7e\x0b" + many},
		{"names of functions", fn + "\x0a\x04\x01\x02\x00\x0b\x00\x0c\x04name\x01\x05" + many},
		{"names of locals", fn + "\x0a\x04\x01\x02\x00\x0b\x00\x0c\x04name\x02\x05" + many},
		{"names of a function's locals", fn + "\x0a\x04\x01\x02\x00\x0b\x00\x0e\x04name\x02\x07\x01\x00" + many},
		{"names behind the part that they are in", fn + "\x0a\x04\x01\x02\x00\x0b\x00\x0f\x04name\x01\x00\x00\x01\x05" + many},
	} {
		wasm := []byte(header + c.sections)
		if !announcesTooMuch(wasm) {
			t.Errorf("%s: the engine would be given it", c.name)
			continue
		}
		if p, f := b.checkAcceptance(t.Context(), wasm); p != nil || f != nil {
			t.Errorf("%s: it is not refused: %v", c.name, f)
		}
	}
	for _, ok := range []string{
		"", fn + "\x0a\x04\x01\x02\x00\x0b",
		"\x04\x04\x01\x70\x00\x01\x09\x06\x01\x00\x41\x00\x0b\x00",
		"\x05\x03\x01\x00\x01\x0b\x08\x01\x00\x41\x00\x0b\x02ab",
		fn + "\x0a\x07\x01\x05\x01\xe8\x07\x7f\x0b", // a thousand locals
		fn + "\x0a\x04\x01\x02\x00\x0b\x00\x0c\x04name\x01\x05\x01\x00\x02ab",
	} {
		if _, err := b.valid(t.Context(), []byte(header+ok)); err != nil {
			t.Errorf("%q is not valid: %v", ok, err)
		}
	}
	for seed := range uint64(50) {
		wasm := generate(seed, b.features).encode()
		if announcesTooMuch(wasm) {
			t.Errorf("the module of seed %d is not given to the engine", seed)
		}
	}
}
