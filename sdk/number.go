package sdk

import (
	"math"
	"strconv"
	"unsafe"
)

// Bare numbers are the most frequent arguments of very short tasks, for which
// encoding/json would take longer than the task. So they have a short way,
// which reads and writes exactly what encoding/json does, or steps aside.

// numberText holds the last number written, until the next call.
var numberText [32]byte

// decodeNumber decodes arg into what p points to, if that is a plain number
// type and arg is a JSON number that fits it.
func decodeNumber(arg []byte, p any) bool {
	switch p := p.(type) {
	case *int:
		n, ok := parseInt(arg)
		if ok && int64(int(n)) == n {
			*p = int(n)
			return true
		}
	case *int64:
		n, ok := parseInt(arg)
		if ok {
			*p = n
		}
		return ok
	case *float64:
		f, ok := parseFloat(arg)
		if ok {
			*p = f
		}
		return ok
	}
	return false
}

// encodeNumber encodes what p points to, if that is a plain number type.
func encodeNumber(p any) ([]byte, bool) {
	switch p := p.(type) {
	case *int:
		return strconv.AppendInt(numberText[:0], int64(*p), 10), true
	case *int64:
		return strconv.AppendInt(numberText[:0], *p, 10), true
	case *float64:
		// Outside these bounds encoding/json writes an exponent, or fails.
		if abs := math.Abs(*p); abs == 0 || abs >= 1e-6 && abs < 1e21 {
			return strconv.AppendFloat(numberText[:0], *p, 'f', -1, 64), true
		}
	}
	return nil, false
}

// parseInt parses a JSON integer of up to 18 digits, which cannot overflow.
func parseInt(s []byte) (int64, bool) {
	digits := s
	if len(s) > 0 && s[0] == '-' {
		digits = s[1:]
	}
	if len(digits) == 0 || len(digits) > 18 || digits[0] == '0' && len(digits) > 1 {
		return 0, false
	}
	var n int64
	for _, c := range digits {
		if c < '0' || c > '9' {
			return 0, false
		}
		n = 10*n + int64(c-'0')
	}
	if len(digits) < len(s) {
		n = -n
	}
	return n, true
}

// parseFloat parses a JSON number.
func parseFloat(s []byte) (float64, bool) {
	if !isNumber(s) {
		return 0, false
	}
	f, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(s), len(s)), 64)
	return f, err == nil
}

// isNumber reports whether s is a number of JSON's grammar, which is narrower
// than what strconv takes.
func isNumber(s []byte) bool {
	if len(s) > 0 && s[0] == '-' {
		s = s[1:]
	}
	rest := digits(s)
	if whole := len(s) - len(rest); whole == 0 || whole > 1 && s[0] == '0' {
		return false
	}
	if s = rest; len(s) > 0 && s[0] == '.' {
		if rest = digits(s[1:]); len(rest) == len(s)-1 {
			return false
		}
	}
	if s = rest; len(s) > 0 && (s[0] == 'e' || s[0] == 'E') {
		s = s[1:]
		if len(s) > 0 && (s[0] == '+' || s[0] == '-') {
			s = s[1:]
		}
		if rest = digits(s); len(rest) == len(s) {
			return false
		}
	}
	return len(rest) == 0
}

// digits returns what follows the digits that s starts with.
func digits(s []byte) []byte {
	for len(s) > 0 && s[0] >= '0' && s[0] <= '9' {
		s = s[1:]
	}
	return s
}
