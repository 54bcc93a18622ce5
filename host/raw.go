package host

import (
	"bytes"
	"errors"
	"fmt"
	"math"
	"strconv"

	"github.com/tetratelabs/wazero/api"
)

// A numeric is the type of a parameter or result of a raw export.
type numeric = api.ValueType

// numerics translates the names of types. Those of a raw export are numeric;
// others are not used.
func numerics(names []string) []numeric {
	list := make([]numeric, len(names))
	for i, name := range names {
		list[i] = map[string]numeric{
			"i32": api.ValueTypeI32, "i64": api.ValueTypeI64, "f32": api.ValueTypeF32, "f64": api.ValueTypeF64,
		}[name]
	}
	return list
}

// mostRawArg bounds the text of a raw export's parameters: a function has at
// most a thousand, and a number is rarely longer than 24 bytes.
const mostRawArg = 64 << 10

// runRaw runs the prepared task, which takes and gives numbers.
func (s *Slot) runRaw(t *Task, c *Call) ([]byte, error) {
	arg, err := s.wholeArg(c, mostRawArg)
	if err != nil {
		return nil, err
	}
	if n := max(len(t.params), len(t.result)); n > len(s.numbers) {
		s.numbers = make([]uint64, n)
	}
	if err := parseNumbers(arg, t.params, s.numbers); err != nil {
		return nil, errorf(KindBadInput, "%w", err)
	}
	in := s.instance
	in.beginRead(c, arg)
	s.dirty = true
	if err := s.export.CallWithStack(in, s.numbers); err != nil {
		return nil, s.crashed(err)
	}
	s.out = appendNumbers(s.out[:0], t.result, s.numbers)
	return s.out, nil
}

// wholeArg returns a call's argument for a task that does not read it by
// imports, if it is no longer than most.
func (s *Slot) wholeArg(c *Call, most int64) ([]byte, error) {
	if n := argLen(c); n > most {
		return nil, errorf(KindBadInput, "the argument has %d bytes, the task takes at most %d", n, most)
	}
	if c.ReadArg == nil {
		return c.Arg, nil
	}
	arg, err := s.argMemory(c.ArgLen)
	if err != nil {
		return nil, errorf(KindMemory, "%w", err)
	}
	if err := c.ReadArg(arg); err != nil {
		if ended := (*Error)(nil); errors.As(err, &ended) {
			return nil, ended
		}
		return nil, errorf(endedKind(err), "reading the argument: %w", err)
	}
	return arg, nil
}

// parseNumbers reads a JSON array with one number for each of params. A single
// number may stand alone; nothing, or null, stands for no parameters.
func parseNumbers(arg []byte, params []numeric, stack []uint64) error {
	rest, isArray, err := unwrapArray(bytes.TrimSpace(arg))
	if err != nil {
		return err
	}
	n := 0
	for more := len(rest) > 0; more; n++ {
		word := rest
		if more = false; isArray {
			word, rest, more = bytes.Cut(rest, []byte{','})
		}
		if n >= len(params) {
			continue // to count them
		}
		if stack[n], err = parseNumber(bytes.TrimSpace(word), params[n]); err != nil {
			return fmt.Errorf("parameter %d of %d: %w", n+1, len(params), err)
		}
	}
	if n != len(params) {
		return fmt.Errorf("the argument has %d numbers, the function has %d parameters: give a JSON array such as [1, 2.5]", n, len(params))
	}
	return nil
}

// unwrapArray returns what stands between the brackets.
func unwrapArray(arg []byte) (inner []byte, isArray bool, err error) {
	switch {
	case string(arg) == "null":
		return nil, false, nil
	case len(arg) == 0 || arg[0] != '[':
		return arg, false, nil
	case arg[len(arg)-1] != ']':
		return nil, false, errors.New("the argument starts with [ and does not end with ]")
	}
	return bytes.TrimSpace(arg[1 : len(arg)-1]), true, nil
}

// parseNumber reads one number as a value of type t. An integer may be written
// as signed or unsigned.
func parseNumber(word []byte, t numeric) (uint64, error) {
	switch t {
	case api.ValueTypeI32:
		v, err := parseInteger(word, 32)
		return uint64(uint32(v)), err
	case api.ValueTypeI64:
		return parseInteger(word, 64)
	case api.ValueTypeF32:
		v, err := parseFloat(word, 32)
		return api.EncodeF32(float32(v)), err
	default:
		v, err := parseFloat(word, 64)
		return api.EncodeF64(v), err
	}
}

func parseInteger(word []byte, bits int) (uint64, error) {
	if !isJSONNumber(word) || bytes.ContainsAny(word, ".eE") {
		return 0, fmt.Errorf("%.40q is not an integer", word)
	}
	v, err := strconv.ParseInt(string(word), 10, bits)
	if err == nil {
		return uint64(v), nil
	}
	u, err := strconv.ParseUint(string(word), 10, bits)
	if err != nil {
		return 0, fmt.Errorf("%.40s does not fit into %d bits", word, bits)
	}
	return u, nil
}

func parseFloat(word []byte, bits int) (float64, error) {
	switch string(word) {
	case `"NaN"`:
		return math.NaN(), nil
	case `"Infinity"`:
		return math.Inf(1), nil
	case `"-Infinity"`:
		return math.Inf(-1), nil
	}
	if !isJSONNumber(word) {
		return 0, fmt.Errorf("%.40q is not a number", word)
	}
	v, err := strconv.ParseFloat(string(word), bits)
	if err != nil {
		return 0, fmt.Errorf("%.40s does not fit into a %d-bit float", word, bits)
	}
	return v, nil
}

// isJSONNumber reports whether word is a number as JSON writes it, which is
// less than what strconv takes.
func isJSONNumber(word []byte) bool {
	rest := bytes.TrimPrefix(word, []byte{'-'})
	whole, rest := digits(rest)
	if len(whole) == 0 || len(whole) > 1 && whole[0] == '0' {
		return false
	}
	if len(rest) > 0 && rest[0] == '.' {
		var fraction []byte
		if fraction, rest = digits(rest[1:]); len(fraction) == 0 {
			return false
		}
	}
	if len(rest) > 0 && (rest[0] == 'e' || rest[0] == 'E') {
		rest = rest[1:]
		if len(rest) > 0 && (rest[0] == '+' || rest[0] == '-') {
			rest = rest[1:]
		}
		var exponent []byte
		if exponent, rest = digits(rest); len(exponent) == 0 {
			return false
		}
	}
	return len(rest) == 0
}

// digits splits off the digits at the start of b.
func digits(b []byte) (run, rest []byte) {
	n := 0
	for n < len(b) && '0' <= b[n] && b[n] <= '9' {
		n++
	}
	return b[:n], b[n:]
}

// appendNumbers writes no result as nothing, one as a number, and several as
// an array.
func appendNumbers(out []byte, types []numeric, stack []uint64) []byte {
	if len(types) == 1 {
		return appendNumber(out, types[0], stack[0])
	}
	for i, t := range types {
		out = append(out, "[,"[min(i, 1)])
		out = appendNumber(out, t, stack[i])
	}
	if len(types) > 0 {
		out = append(out, ']')
	}
	return out
}

func appendNumber(out []byte, t numeric, v uint64) []byte {
	switch t {
	case api.ValueTypeI32:
		return strconv.AppendInt(out, int64(int32(v)), 10)
	case api.ValueTypeI64:
		return strconv.AppendInt(out, int64(v), 10)
	case api.ValueTypeF32:
		return appendFloat(out, float64(api.DecodeF32(v)), 32)
	default:
		return appendFloat(out, api.DecodeF64(v), 64)
	}
}

// appendFloat writes the shortest number that reads back as f, and what JSON
// has no number for as a string.
func appendFloat(out []byte, f float64, bits int) []byte {
	switch {
	case math.IsNaN(f):
		return append(out, `"NaN"`...)
	case math.IsInf(f, 1):
		return append(out, `"Infinity"`...)
	case math.IsInf(f, -1):
		return append(out, `"-Infinity"`...)
	}
	format := byte('f')
	if size := math.Abs(f); size != 0 && (size < 1e-6 || size >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(out, f, format, -1, bits)
}
