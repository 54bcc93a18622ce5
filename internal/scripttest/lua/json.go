package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	lua "github.com/yuin/gopher-lua"
)

const maxDepth = 1000 // so many lists and objects may be inside each other

// codec is the module cjson, with the functions of lua-cjson that scripts need most: decode, encode and null. It keeps the rules of
// wasmpool's driver for Lua, which are stricter than lua-cjson's; what it says of an error is the same, too.
type codec struct {
	null   *lua.LTable // a table, as it is without this module
	object *lua.LTable // the metatable of what was an object, so that one without members does not become a list
}

func loadJSON(state *lua.LState) int {
	c := codec{state.NewTable(), state.NewTable()}
	shown := state.NewTable()
	c.null.Metatable = shown
	shown.RawSetString("__tostring", state.NewFunction(func(state *lua.LState) int {
		state.Push(lua.LString("null"))
		return 1
	}))
	module := state.SetFuncs(state.NewTable(), map[string]lua.LGFunction{"decode": c.decode, "encode": c.encode})
	module.RawSetString("null", c.null)
	state.Push(module)
	return 1
}

func (c codec) decode(state *lua.LState) int {
	text, ok := state.Get(1).(lua.LString)
	if !ok {
		state.Error(lua.LString("json.decode takes a text, and got a "+state.Get(1).Type().String()), 0)
	}
	d := decoder{codec: c, state: state, text: string(text)}
	value := d.value(0)
	if d.skip() != 0 || d.at < len(d.text) {
		d.fail(d.at, "more behind the value")
	}
	if !utf8.ValidString(d.text) {
		state.Error(lua.LString("it is not UTF-8"), 0)
	}
	state.Push(value)
	return 1
}

// A decoder is at a byte of its text. It throws an error of Lua's, by panicking.
type decoder struct {
	codec
	state *lua.LState
	text  string
	at    int
}

func (d *decoder) fail(at int, what string) {
	d.state.Error(lua.LString(fmt.Sprintf("%s at byte %d", what, at+1)), 0)
}

// skip goes to the next byte that is no space, and returns it, or 0 at the end.
func (d *decoder) skip() byte {
	for ; d.at < len(d.text); d.at++ {
		if c := d.text[d.at]; c != ' ' && c != '\n' && c != '\t' && c != '\r' {
			return c
		}
	}
	return 0
}

func (d *decoder) value(depth int) lua.LValue {
	c := d.skip()
	if (c == '[' || c == '{') && depth == maxDepth {
		d.fail(d.at, fmt.Sprintf("more than %d lists and objects inside each other", maxDepth))
	}
	switch {
	case c == '"':
		return lua.LString(d.string())
	case c == '[':
		return d.list(depth + 1)
	case c == '{':
		return d.members(depth + 1)
	case c == '-' || c >= '0' && c <= '9':
		return d.number()
	}
	return d.word()
}

// while returns the bytes from here that are of a kind.
func (d *decoder) while(of func(byte) bool) string {
	stop := d.at
	for stop < len(d.text) && of(d.text[stop]) {
		stop++
	}
	return d.text[d.at:stop]
}

func (d *decoder) word() lua.LValue {
	word := d.while(func(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' })
	d.at += len(word)
	switch word {
	case "null":
		return d.null
	case "true":
		return lua.LTrue
	case "false":
		return lua.LFalse
	}
	d.fail(d.at-len(word), "no value")
	return nil
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func (d *decoder) number() lua.LValue {
	text := d.while(func(c byte) bool { return isDigit(c) || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E' })
	value, err := strconv.ParseFloat(text, 64)
	whole := strings.TrimPrefix(text, "-") + " "
	dot := strings.IndexByte(whole, '.')
	if err != nil || !isDigit(whole[0]) || whole[0] == '0' && isDigit(whole[1]) || dot >= 0 && !isDigit(whole[dot+1]) {
		d.fail(d.at, "a wrong number")
	}
	d.at += len(text)
	if text == "-0" {
		value = 0 // as Lua reads it
	}
	return lua.LNumber(value)
}

// string decodes the string whose first quote is here.
func (d *decoder) string() string {
	d.at++
	start := d.at
	var before []byte // what stands for the bytes before start, where there were escapes
	for ; d.at < len(d.text); d.at++ {
		switch c := d.text[d.at]; {
		case c == '"':
			d.at++
			if before == nil {
				return d.text[start : d.at-1]
			}
			return string(append(before, d.text[start:d.at-1]...))
		case c == '\\':
			before = d.escape(append(before, d.text[start:d.at]...))
			start = d.at
			d.at--
		case c < ' ':
			d.fail(d.at, "a control character in a string")
		}
	}
	d.fail(len(d.text), "a string without an end")
	return ""
}

// escape appends what the escape stands for that begins here, and goes behind it.
func (d *decoder) escape(out []byte) []byte {
	const short, meant = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	if d.at+1 < len(d.text) {
		if i := strings.IndexByte(short, d.text[d.at+1]); i >= 0 {
			d.at += 2
			return append(out, meant[i])
		}
	}
	c := d.codeUnit()
	if c < 0 {
		d.fail(d.at, "a wrong escape")
	}
	d.at += 6
	if utf16.IsSurrogate(c) {
		c = utf16.DecodeRune(c, d.codeUnit())
		if c != utf8.RuneError {
			d.at += 6
		}
	}
	return utf8.AppendRune(out, c)
}

// codeUnit returns what the \uXXXX here stands for, or a negative number if there is none.
func (d *decoder) codeUnit() rune {
	if len(d.text) < d.at+6 || d.text[d.at:d.at+2] != `\u` {
		return -1
	}
	c, err := strconv.ParseUint(d.text[d.at+2:d.at+6], 16, 16)
	if err != nil {
		return -1
	}
	return rune(c)
}

func (d *decoder) list(depth int) lua.LValue {
	list := d.state.CreateTable(4, 0)
	d.at++
	if d.skip() == ']' {
		d.at++
		return list
	}
	for {
		list.Append(d.value(depth))
		switch d.skip() {
		case ',':
			d.at++
		case ']':
			d.at++
			return list
		default:
			d.fail(d.at, "no , or ] in a list")
		}
	}
}

func (d *decoder) members(depth int) lua.LValue {
	members := d.state.CreateTable(0, 4)
	members.Metatable = d.object
	d.at++
	if d.skip() == '}' {
		d.at++
		return members
	}
	for {
		if d.skip() != '"' {
			d.fail(d.at, "no name in an object")
		}
		name := d.string()
		if d.skip() != ':' {
			d.fail(d.at, "no : in an object")
		}
		d.at++
		members.RawSetString(name, d.value(depth))
		switch d.skip() {
		case ',':
			d.at++
		case '}':
			d.at++
			return members
		default:
			d.fail(d.at, "no , or } in an object")
		}
	}
}

func (c codec) encode(state *lua.LState) int {
	e := encoder{codec: c, state: state}
	e.value(state.Get(1), 0)
	state.Push(lua.LString(e.out))
	return 1
}

// An encoder appends values to what it has. It throws an error of Lua's, by panicking.
type encoder struct {
	codec
	state *lua.LState
	out   []byte
}

func (e *encoder) fail(why string) { e.state.Error(lua.LString(why), 0) }

func (e *encoder) value(v lua.LValue, depth int) {
	switch v := v.(type) {
	case lua.LBool:
		e.out = strconv.AppendBool(e.out, bool(v))
	case lua.LNumber:
		e.number(float64(v))
	case lua.LString:
		e.string(string(v))
	case *lua.LTable:
		if v == e.null {
			e.out = append(e.out, "null"...)
			return
		}
		if depth == maxDepth {
			e.fail(fmt.Sprintf("stack overflow: the result has more than %d tables inside each other, or one inside itself", maxDepth))
		}
		e.table(v, depth+1)
	default:
		if v != lua.LNil {
			e.fail("the result has a " + v.Type().String() + ", which JSON has not")
		}
		e.out = append(e.out, "null"...)
	}
}

// number appends a whole number as its digits, another one with as few as tell it from all others, of 15 to 17.
func (e *encoder) number(x float64) {
	if math.IsNaN(x) || math.IsInf(x, 0) {
		e.fail(fmt.Sprintf("the result has a %v, which JSON has not", x))
	}
	if math.Abs(x) < 1e14 && x == math.Trunc(x) {
		e.out = strconv.AppendInt(e.out, int64(x), 10)
		return
	}
	for digits := 15; ; digits++ {
		text := fmt.Sprintf("%.*g", digits, x)
		if same, err := strconv.ParseFloat(text, 64); digits == 17 || err == nil && same == x {
			e.out = append(e.out, text...)
			return
		}
	}
}

func (e *encoder) string(s string) {
	if !utf8.ValidString(s) {
		e.fail("a string of the result is not UTF-8: return bytes(s) for a result that is no JSON")
	}
	e.out = append(e.out, '"')
	for i := range len(s) {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			e.out = append(e.out, '\\', c)
		case c >= ' ':
			e.out = append(e.out, c)
		case c == '\n':
			e.out = append(e.out, `\n`...)
		case c == '\t':
			e.out = append(e.out, `\t`...)
		case c == '\r':
			e.out = append(e.out, `\r`...)
		default:
			e.out = fmt.Appendf(e.out, `\u%04x`, c)
		}
	}
	e.out = append(e.out, '"')
}

func (e *encoder) table(t *lua.LTable, depth int) {
	n, names := 0, []string(nil)
	t.ForEach(func(key, _ lua.LValue) {
		n++
		if name, ok := key.(lua.LString); ok {
			names = append(names, string(name))
		}
	})
	switch {
	case len(names) == 0 && t.Metatable != e.object:
		e.list(t, n, depth)
	case len(names) == n:
		e.members(t, names, depth)
	default:
		e.fail("a table in the result has both texts and others as keys")
	}
}

func (e *encoder) list(t *lua.LTable, n, depth int) {
	for i := 1; i <= n; i++ {
		if t.RawGetInt(i) == lua.LNil {
			e.fail("a list in the result has holes, or keys that are neither texts nor 1, 2, 3 and so on")
		}
	}
	e.out = append(e.out, '[')
	for i := 1; i <= n; i++ {
		if i > 1 {
			e.out = append(e.out, ',')
		}
		e.value(t.RawGetInt(i), depth)
	}
	e.out = append(e.out, ']')
}

// members appends an object, with its members in the order of their names, so that the same table is the same text.
func (e *encoder) members(t *lua.LTable, names []string, depth int) {
	slices.Sort(names)
	e.out = append(e.out, '{')
	for i, name := range names {
		if i > 0 {
			e.out = append(e.out, ',')
		}
		e.string(name)
		e.out = append(e.out, ':')
		e.value(t.RawGetString(name), depth)
	}
	e.out = append(e.out, '}')
}
