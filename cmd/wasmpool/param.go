package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/bits"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"
)

// A param is one of the parameters of a sweep.
type param struct {
	name   string
	member []byte        // the name as that of a JSON member: "name":
	values []paramValues // in order
	n      int64         // how many values
}

// paramValues are a range of numbers, or one value.
type paramValues struct {
	progression
	one []byte // as JSON; nil when it is a range
}

// looksLikeRange tells a range, which may be wrong, from text with dots, such as ../a.
var looksLikeRange = regexp.MustCompile(`^-?[0-9][0-9.]*\.\.`)

// parseParam parses text such as "size=1,2,5..9" or "kind=a,b".
func parseParam(text string) (*param, error) {
	name, list, ok := strings.Cut(text, "=")
	switch {
	case !ok || name == "":
		return nil, errors.New("want NAME=a,b,c or NAME=1..10")
	case !utf8.ValidString(text):
		return nil, errors.New("it is not UTF-8, and the argument is JSON")
	case strings.TrimSpace(list) == "":
		return nil, fmt.Errorf("%s has no values", name)
	}
	p := &param{name: name, member: append(appendJSONString(nil, name), ':')}
	var seen []string
	for _, value := range strings.Split(list, ",") {
		value = strings.TrimSpace(value)
		if slices.Contains(seen, value) {
			return nil, fmt.Errorf("%s has the value %s twice", name, value)
		}
		seen = append(seen, value)
		if err := p.add(value); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// add adds a value, or a range of them.
func (p *param) add(text string) error {
	v := paramValues{progression: progression{n: 1}}
	switch {
	case text == "":
		return fmt.Errorf("%s has an empty value", p.name)
	case looksLikeRange.MatchString(text):
		var err error
		if v.progression, err = parseProgression(text); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
	default:
		v.one = appendFieldJSON(nil, text)
	}
	if p.n > math.MaxInt64-v.n {
		return fmt.Errorf("%s has too many values", p.name)
	}
	p.n += v.n
	p.values = append(p.values, v)
	return nil
}

// append appends value i, as JSON.
func (p *param) append(dst []byte, i int64) []byte {
	for _, v := range p.values {
		switch {
		case i >= v.n:
			i -= v.n
		case v.one != nil:
			return append(dst, v.one...)
		default:
			return v.append(dst, i)
		}
	}
	return dst
}

// appendFieldJSON appends text as JSON: a number as it is, any other as a string.
func appendFieldJSON(dst []byte, text string) []byte {
	if isNumber(text) {
		return append(dst, text...)
	}
	return appendJSONString(dst, text)
}

// isNumber reports whether text is a number in JSON, and nothing more.
func isNumber(text string) bool {
	if text == "" || text[0] != '-' && !isDigit(text[0]) || !isDigit(text[len(text)-1]) {
		return false
	}
	return json.Valid([]byte(text))
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// A paramFlag is a flag that may be given several times. Its value is the product of all of them:
// the first changes slowest.
type paramFlag struct {
	params []*param
	n      int64
}

// Set adds a parameter.
func (f *paramFlag) Set(text string) error {
	p, err := parseParam(text)
	if err != nil {
		return err
	}
	if slices.ContainsFunc(f.params, func(other *param) bool { return other.name == p.name }) {
		return fmt.Errorf("%s is given twice: give all its values in one list", p.name)
	}
	high, n := bits.Mul64(uint64(max(f.n, 1)), uint64(p.n))
	if high > 0 || n > math.MaxInt64 {
		return fmt.Errorf("with %s there are more combinations than can be counted", p.name)
	}
	f.params, f.n = append(f.params, p), int64(n)
	return nil
}

// String names the parameters.
func (f *paramFlag) String() string {
	var names []string
	for _, p := range f.params {
		names = append(names, p.name)
	}
	return strings.Join(names, ",")
}

// Type names the value in help.
func (f *paramFlag) Type() string { return "param" }

// append appends combination i, as a JSON object.
func (f *paramFlag) append(dst []byte, i int64) []byte {
	each := f.n // combinations of the parameters that follow
	dst = append(dst, '{')
	for k, p := range f.params {
		if k > 0 {
			dst = append(dst, ',')
		}
		each /= p.n
		dst = p.append(append(dst, p.member...), i/each%p.n)
	}
	return append(dst, '}')
}

func (f *paramFlag) input() input { return &computed{n: f.n, append: f.append} }
