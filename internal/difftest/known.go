package difftest

import "slices"

// This file is about the instructions that the engine's compiler gets wrong where it has few
// registers, see docs/engine.md. The rewriting writes something else in their place. In a
// module that is not rewritten, but compiled, a function takes the place of each that does
// nothing but this: there are registers enough in it.

// known are the instructions, by their bytes, and what they take and give.
var known = func() map[string]signature {
	all := map[string]signature{f64Lane + "\x00": {[]valType{v128, f64}, []valType{v128}}}
	for _, o := range slices.Concat(ops[f32], ops[f64], ops[v128]) {
		if slices.Contains(knownCodes, string(o.code)) {
			all[string(o.code)] = signature{o.in, []valType{o.out}}
		}
	}
	return all
}()

const f64Lane = "\xfd\x22" // f64x2.replace_lane, wrong for the first lane

var knownCodes = []string{
	"\x98", "\xa6", // copysign
	"\xb5", "\xba", // convert_i64_u
	"\xfd\x52",     // v128.bitselect
	"\xfd\x62",     // i8x16.popcnt
	"\xfd\xd5\x01", // i64x2.mul
	"\xfd\xe8\x01", // f32x4.min
	"\xfd\xe9\x01", // f32x4.max
	"\xfd\xf4\x01", // f64x2.min
	"\xfd\xf5\x01", // f64x2.max
	"\xfd\xfb\x01", // f32x4.convert_i32x4_u
	"\xfd\xff\x01", // f64x2.convert_low_i32x4_u
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
