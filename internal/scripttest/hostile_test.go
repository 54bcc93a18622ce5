package scripttest

import (
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/host"
)

// What a script changes, throws, prints, reads or returns does not change what the driver does: each call ends as its kind, as
// often as it is made.
func TestHostileScripts(t *testing.T) {
	t.Parallel()
	const good = host.Kind(0)
	for _, l := range languages {
		t.Run(l.interpreter, func(t *testing.T) {
			t.Parallel()
			var r *runner
			h := newHost(t, host.Config{})
			for _, c := range hostileScripts[strings.TrimSuffix(l.interpreter, "-plain")] {
				if c.script != "" {
					l.script = c.script
					if r != nil {
						r.close()
					}
					r = l.runnerOn(t, h, "f")
				}
				for i := range 2 {
					if c.kind == good {
						r.gives(c.arg, c.want)
					} else {
						r.fails(c.arg, c.want, c.kind)
					}
					if got := strings.Join(r.said, "|"); got != c.said {
						t.Errorf("call %d of %q: the log has %q, want %q", i, l.script, got, c.said)
					}
				}
			}
		})
	}
}

type hostileScript struct {
	script, arg string    // "" for that of the one before
	kind        host.Kind // good where it gives a result
	want, said  string
}

var hostileScripts = map[string][]hostileScript{
	"python": {
		{script: `
import gc, json, sys
first = sys.__stdin__.read(3)
json.loads = json.dumps = None
class E(Exception):
    @property
    def __traceback__(self): raise self
def ask(): return input()
def none(): sys.stderr = None
def rest(): return [first, sys.stdin.readline()]
def fake(): sys.__stdout__.write('\0fake\n'); gc.collect()
def tail(): print('tail', end=''); raise ValueError
def mine(): print('mine')
def interrupt(): raise KeyboardInterrupt('k')
def evil(): raise E()
def circle():
    a = []
    a.append(a)
    return a
def leave(): sys.stderr = sys.stdout; sys.exit('words')
def f(x): return globals()[x]() if isinstance(x, str) else x
`, arg: `"ask"`, kind: host.KindApplication, want: "EOFError"},
		{arg: `"none"`, want: "null"},
		{arg: `"rest"`, want: `["", ""]`},
		{arg: `"fake"`, want: "null", said: "\x00fake"},
		{arg: `"tail"`, kind: host.KindApplication, want: "ValueError", said: "tail"},
		{arg: `"mine"`, want: "null", said: "mine"},
		{arg: `"interrupt"`, kind: host.KindApplication, want: "KeyboardInterrupt: k"},
		{arg: `"evil"`, kind: host.KindApplication, want: "it raised a E, which cannot be shown"},
		{arg: `"circle"`, kind: host.KindApplication, want: "Circular reference"},
		{arg: `[1, -Infinity]`, kind: host.KindBadInput, want: "-Infinity is no number of JSON"},
		{arg: "1\x00", kind: host.KindBadInput, want: "the argument is not JSON"},
		{arg: "\"\xff\"", kind: host.KindBadInput, want: "the argument is not JSON"},
		{arg: "12345678901234567890123", want: "12345678901234567890123"},
		{arg: `"leave"`, kind: host.KindExit, want: "exit code 1: words", said: "words"},
		{script: quietPython, arg: `"quiet"`, want: "1"},
		{arg: `"wrapped"`, want: "2", said: "in a wrapper"},
		{arg: `"detached"`, want: "3"},
		{script: "from __future__ import annotations\nfrom dataclasses import dataclass, asdict\n@dataclass\nclass P:\n  x: int\ndef f(x): return asdict(P(x))", arg: "1", want: `{"x": 1}`},
		{script: "raise KeyboardInterrupt('k')\ndef f(x): return x", arg: "1", kind: host.KindApplication, want: "KeyboardInterrupt: k"},
		{script: "\ufeff#!/usr/bin/env python\r\ndef f(x):\r\n  return 'ä'\r\n", arg: "1", want: `"ä"`},
	},
	"qjs": {
		{script: "function f(x) { throw {toJSON() { throw 1 }} }", arg: "1", kind: host.KindApplication, want: "it threw what cannot be shown"},
		{script: "function f(x) { const a = {}; a.a = a; throw a }", arg: "1", kind: host.KindApplication, want: "it threw what cannot be shown"},
		{script: "function f(x) { const e = new Error(); e.toString = () => { throw 1 }; throw e }", arg: "1", kind: host.KindApplication, want: "it threw what cannot be shown"},
		{script: "function f(x) { const a = {toString() { throw 1 }}; a.a = a; print(a); return x }", arg: "1", want: "1", said: "[object]"},
		{script: "class U extends Uint8Array { get byteLength() { throw new Error('e') } }\nfunction f(x) { return new U(3) }", arg: "1", kind: host.KindApplication, want: "Error: e"},
		{script: "class U extends Uint8Array { get byteLength() { return 1e9 } }\nfunction f(x) { return new U(3) }", arg: "1", kind: host.KindApplication, want: "RangeError"},
		{script: "function f(x) { JSON.stringify = () => ({includes() {}}); JSON.parse = () => 7; return x }", arg: "1", want: "1"},
		{script: "function f(x) { JSON = Error = ArrayBuffer = Uint8Array = 0; print(1); return x }", arg: "1", want: "1", said: "1"},
		{script: "const first = std.in.readAsString(3); function f(x) { return [first, std.in.getByte(), std.in.getline()] }", arg: "1", want: `["",-1,null]`},
		{script: "\ufeff#!/usr/bin/env qjs\r\nfunction f(x) { return 'ä' }\r\n// end", arg: "1", want: `"ä"`},
		{script: "function f(x) { return x }", arg: "\"\xff\"", kind: host.KindBadInput, want: "it is not UTF-8"},
		{script: "function f(x) { return x }", arg: "\"\ufffd ä 😀\"", want: "\"\ufffd ä 😀\""},
		{script: "function f(x) { return x }", arg: `{"__proto__":{"a":1},"a":1,"a":2}`, want: `{"__proto__":{"a":1},"a":2}`},
		{script: "function f(x) { return x }", arg: "\"\xed\xa0\x80\"", kind: host.KindBadInput, want: "it is not UTF-8"},
		{script: "function f(x) { return x }", arg: "\"ä\xed\xa0\xbd\xed\xb8\x80\"", kind: host.KindBadInput, want: "it is not UTF-8"},
		{script: "function f(x) { return x }", arg: `"\ud800"`, want: `"\ud800"`},
		{script: "function f(x) { std.puts('put '); std.printf('printed\\n'); return x }", arg: "1", want: "1", said: "put printed"},
		{script: "function write(x) { return 'mine' }; function f(x) { return write(x) }", arg: "1", want: `"mine"`},
		{script: "function f(x) { return [new Number(0 / 0)] }", arg: "1", kind: host.KindApplication, want: "has a NaN"},
		{script: "function f(x) { return 10n }", arg: "1", kind: host.KindApplication, want: "TypeError"},
		{script: "function f(x) { return {then() { throw new Error('t') }} }", arg: "1", kind: host.KindApplication, want: "Error: t"},
	},
	"lua": {
		{script: "local first = io.read(3); function f(x) return {tostring(first), tostring(io.stdin:read(3)), tostring(io.input():read())} end", arg: "1", want: `["nil","nil","nil"]`},
		{script: "function f(x) for line in io.lines() do return line end return x end", arg: "1", want: "1"},
		{script: "function f(x) io.input('/data/file'); return io.read(1) end", arg: "1", want: `"t"`},
		{script: "function f(x) return io.read('*a') end", arg: "1", want: `""`},
		{script: "function f(x) return dofile() end", arg: "1", kind: host.KindApplication, want: "standard input is empty"},
		{script: "function f(x) string.gsub, string.rep, string.gmatch, string.match, string.find = nil; return '\"' end", arg: "1e5", want: `"\""`},
		{script: "function f(x) return setmetatable({1, 2}, {__len = function() return 5 end}) end", arg: "1", want: "[1,2]"},
		{script: "function f(x) return setmetatable({1, 2, nil, 4, [2.5] = 3}, {__index = function() return 0 end}) end", arg: "1", kind: host.KindApplication, want: "has holes"},
		{script: "function f(x) getmetatable(x).__newindex = error; return json.object({}) end", arg: `{"a":1}`, want: "{}"},
		{script: "function f(x) return {x.a.b == nil, type(x.a), x.a == json.null} end", arg: `{"a":null}`, want: `[true,"table",true]`},
		{script: "function f(x) return {1 / x > 0, string.format('%g', x)} end", arg: "-0", want: `[true,"0"]`},
		{script: "function f(x) return json.decode(5) end", arg: "1", kind: host.KindApplication, want: "json.decode takes a text, and got a number"},
		{script: "function f(x) local b = bytes(''); b[1] = setmetatable({}, {__concat = function() return '\\3no' end}); return b end", arg: "1", want: "[[]]"},
		{script: "function f(n) return #json.encode(('line\\n'):rep(n)) end", arg: "20000", want: "120002"},
		{script: "type, json, pairs, error, pcall, tostring, select = 1; function f(x) return {1} end", arg: "1", want: "[1]"},
		{script: "function f(x) debug.traceback = nil error('e') end", arg: "1", kind: host.KindApplication, want: "job.lua:1: e"},
		{script: "function f(x) return bytes(nil) end", arg: "1", kind: host.KindApplication, want: "bytes takes a text, and got a nil"},
		{script: "function f(x) error(setmetatable({}, {__metatable = true})) end", arg: "1", kind: host.KindApplication, want: "it threw []"},
		{script: "function f(x) error(setmetatable({}, {__tostring = function() error('inner') end})) end", arg: "1", kind: host.KindApplication, want: "it threw what cannot be shown"},
		{script: "function f(x) return {1, 2, nil, 4, [2.5] = 3} end", arg: "1", kind: host.KindApplication, want: "has holes"},
		{script: "\ufeff#!/usr/bin/env lua\r\nfunction f(x) return 'ä' end\r\n", arg: "1", want: `"ä"`},
		{script: "function f(x) return 1 end", arg: "\"\xff\"", kind: host.KindBadInput, want: "it is not UTF-8"},
		{script: "function f(x) coroutine.yield(1) end", arg: "1", kind: host.KindApplication, want: "outside of a coroutine"},
		{script: "function f(x) local a = {} a[1] = a return a end", arg: "1", kind: host.KindApplication, want: "stack overflow"},
		{script: "function f(x) return -1 / 0 end", arg: "1", kind: host.KindApplication, want: "which JSON has not"},
		{script: "function f(x) return {x, json.null, {}, json.object({}), 1e15 / 10, math.huge > 1e308} end", arg: "12345678901234567890", want: `[1.2345678901234567e+19,null,[],{},100000000000000,true]`},
		{script: "pcall(function() local c = require('cjson') c.decode, c.encode, c.null = nil end); function f(x) x.a = nil return {x, x == json.null, json.encode(x)} end", arg: `{"a":1}`, want: `[{},false,"{}"]`},
	},
}

const quietPython = `
import io, sys
wrappers = []
class Quiet:
    def write(self, s): pass
def f(x):
    if x == "quiet":
        sys.stdout = Quiet()
        print("not seen")
        return 1
    if x == "wrapped":
        wrappers.append(io.TextIOWrapper(sys.stderr.buffer, encoding="utf-8"))
        sys.stdout = wrappers[-1]
        print("in a wrapper", end="")
        return 2
    sys.stdout = sys.stderr = io.TextIOWrapper(sys.stderr.detach(), encoding="utf-8")
    return 3
`
