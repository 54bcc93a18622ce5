package difftest

import "slices"

// What the engine's compiler gets wrong where it has few registers, see docs/engine.md.
// The rewriting writes something else for it. In a module that is not rewritten, but
// compiled, a function takes its place that does nothing but this: there are registers
// enough in it.

// known are the instructions, by their bytes, and what they take and give.
var known = map[string]signature{
	"\x98": {[]valType{f32, f32}, []valType{f32}}, // f32.copysign
	"\xa6": {[]valType{f64, f64}, []valType{f64}}, // f64.copysign
}

// A standIn is the function for an instruction.
type standIn struct {
	code string
	sig  signature
}

func (s standIn) body() []byte {
	out := []byte{0}
	for i := range s.sig.params {
		out = append(out, opLocalGet, byte(i))
	}
	return append(append(out, s.code...), opEnd)
}

// noteKnown notes that the module has an instruction.
func (c *counter) noteKnown(code string) {
	sig, ok := known[code]
	if ok && c.standIn(code) < 0 {
		c.standIns = append(c.standIns, standIn{code, sig})
	}
}

func (c *counter) standIn(code string) int {
	return slices.IndexFunc(c.standIns, func(s standIn) bool { return s.code == code })
}

// without returns an instruction, or the call of its stand-in.
func (c *counter) without(code []byte) []byte {
	if i := c.standIn(string(code)); i >= 0 {
		return slices.Concat([]byte{opCall}, c.function(1+i))
	}
	return code
}

// withoutKnown returns the module with functions in the place of what the compiler gets wrong.
func withoutKnown(wasm []byte) ([]byte, error) {
	c, err := read(wasm)
	if err != nil {
		return nil, err
	}
	if len(c.standIns) == 0 {
		return wasm, nil
	}
	c.silent = true
	return c.write(), nil
}
