package scripttest

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/unittest"
)

// A language is one in which scripts are.
type language struct {
	interpreter, file, script string
	instructions              uint64 // a call of area takes fewer under reuse, on average
	reuse, reset              int    // so many calls a second of CPU time there must be at least, on a slow and busy machine
	where                     string // is said of an error in fail
}

// Each script has functions area, same, fail, not_json, raw, say, state, forever, fill, deep and leave.
var languages = []language{
	{"python", "job.py", `
import os, random, sys, time
count = 0
def area(x): return x["w"] * x["h"]
def same(x): return x
def fail(x):
    return {}["a{}"]
def not_json(x): return {"a": float("nan")}
def raw(x): return b"\x01\x00\xff"
def say(x): print("said", x); sys.stdout.write("more\n")
def state(x):
    global count
    count += 1
    return [count, random.random(), time.time(), time.monotonic(), id(object()), hash("text")]
def forever(x):
    while True: pass
def fill(x): return len(bytearray(2_000_000_000))
def deep(x): return deep(x)
def leave(x): os._exit(7)
files = []
def open_more(x):
    files.append(open("/data/file"))
    return [f.fileno() for f in files]
`, 450_000, 1000, 150, "KeyError: 'a{}'\n  File \"job.py\", line 7, in fail"},

	{"qjs", "job.js", `
let count = 0
export function area(x) { return x.w * x.h }
export const same = x => x
function fail(x) {
  return x.a.b
}
const not_json = () => ({a: 0 / 0})
function raw() { return new Uint8Array([9, 1, 0, 255, 9]).subarray(1, 4) }
function say(x) { print("said", x); console.log("more") }
async function state() { await null; return [++count, Math.random(), Date.now(), performance.now()] }
function forever() { for (;;); }
function fill() { let all = []; for (;;) all.push(new ArrayBuffer(1e8)) }
function deep(x) { return deep(x) + 1 }
function leave() { std.exit(7) }
`, 180_000, 5000, 500, "TypeError: cannot read property 'b' of undefined\n    at fail (job.js:6:"},

	{"lua", "job.lua", luaScript, 220_000, 2500, 500, luaWhere},
	{"lua-plain", "job.lua", luaScript, 700_000, 1000, 500, luaWhere},
}

const (
	luaScript = `
local M, count = {}, 0
function area(x) return x.w * x.h end
function M.same(x) return x end
function fail(x)
  return x.a.b.c
end
function not_json() return {a = 0 / 0} end
function raw() return bytes("\1\0\255") end
function say(x) print("said", x); io.write("more\n") end
function state() count = count + 1; return {count, math.random(), os.time(), os.clock(), tostring({})} end
function forever() while true do end end
function fill() local all = {}; while true do all[#all + 1] = ("x"):rep(1e8) .. #all end end
function deep(x) return deep(x) + 1 end
function leave() os.exit(7) end
return M
`
	luaWhere = "job.lua:6: attempt to index a non-table object(nil) with key 'b'"
)

// runner is a slot for one function of a script.
type runner struct {
	t    *testing.T
	slot *host.Slot
	task *host.Task
	said []string
}

func (l language) runner(t *testing.T, function string, cfg host.Config) *runner {
	t.Helper()
	return l.runnerOn(t, newHost(t, cfg), function)
}

// newHost returns a host for runners. One for many saves the time to load the interpreter for each.
func newHost(t *testing.T, cfg host.Config) *host.Host {
	t.Helper()
	cfg.CacheDir = CacheDir()
	cfg.Grants = map[string]host.Grants{host.EveryModule: {Output: true, Folders: map[string]string{"/data": "testdata"}}}
	h, err := host.New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := h.Close(); err != nil {
			t.Error(err)
		}
	})
	return h
}

func (l language) runnerOn(t *testing.T, h *host.Host, function string) *runner {
	t.Helper()
	mod, err := h.Load(t.Context(), Script(t, l.interpreter, l.file, l.script, function))
	if err != nil {
		t.Fatal(err)
	}
	task, err := mod.Task(function)
	if err != nil {
		t.Fatal(err)
	}
	r := &runner{t: t, slot: h.NewSlot(), task: task}
	t.Cleanup(r.close)
	return r
}

// close closes the slot, which may be closed.
func (r *runner) close() {
	if err := r.slot.Close(); err != nil {
		r.t.Error(err)
	}
}

func (r *runner) run(arg string) (string, error) {
	r.said = nil
	out, err := r.slot.Run(r.t.Context(), r.task, &host.Call{Number: 1, Attempt: 1, Arg: []byte(arg), Log: func(_ int, line string) { r.said = append(r.said, line) }})
	return string(out), err
}

// gives runs a call that must have this result.
func (r *runner) gives(arg, want string) {
	r.t.Helper()
	if got, err := r.run(arg); err != nil || got != want {
		r.t.Errorf("%s gives %q, %v, want %q", arg, got, err, want)
	}
}

// fails runs a call that must fail in this way, and for a reason that has these words.
func (r *runner) fails(arg, words string, kinds ...host.Kind) {
	r.t.Helper()
	got, err := r.run(arg)
	for _, kind := range kinds {
		if errors.Is(err, kind) && strings.Contains(err.Error(), words) {
			return
		}
	}
	r.t.Errorf("%s gives %q, %v, want an error of kind %v with %q", arg, got, err, kinds, words)
}

func each(t *testing.T, f func(*testing.T, language)) {
	t.Helper()
	for _, l := range languages {
		t.Run(l.interpreter, func(t *testing.T) { f(t, l) })
	}
}

// A function gets values and gives values, or bytes; what it cannot give, what it throws and what is no JSON is an error, and
// the interpreter goes on.
func TestScripts(t *testing.T) {
	each(t, func(t *testing.T, l language) {
		same := l.runner(t, "same", host.Config{})
		for _, value := range []string{
			"null", "true", "-1.5", "[1, [], {}, \"ä\\u0000\\n\"]", `{"a": {"b": [null, false]}}`, `"\ud83d\ude00"`, "1e300",
			"[" + strings.Repeat("1234567, ", 50) + `"` + strings.Repeat("long ", 50) + `\n", {"` + strings.Repeat("name", 50) + `": 0}]`,
		} {
			got, err := same.run(value)
			if squeeze(got) != squeeze(value) && got != "\"😀\"" && got != "1e+300" || err != nil {
				t.Errorf("%s comes back as %s, %v", value, got, err)
			}
		}
		many := "[" + strings.Repeat(`"text",`, 20_000) + "0]"
		if got, err := same.run(many); squeeze(got) != many || err != nil {
			t.Errorf("a list of 20,001 values comes back as %d bytes, %v", len(got), err)
		}
		for _, bad := range []string{"", "{", "[1,]", "01", "nul", `"\q"`, "1 2", "\"a\tb\"", "{1:2}"} {
			same.fails(bad, "the argument is not JSON", host.KindBadInput)
		}
		same.fails(strings.Repeat("[", 200_000), "", host.KindBadInput, host.KindApplication, host.KindTrap)
		same.gives(`"still here"`, `"still here"`)
		l.runner(t, "fail", host.Config{}).fails("{}", l.where, host.KindApplication)
		l.runner(t, "not_json", host.Config{}).fails("1", "", host.KindApplication)
		l.runner(t, "raw", host.Config{}).gives("1", "\x01\x00\xff")
		l.runner(t, "nosuch", host.Config{}).fails("1", l.file+" has no function nosuch, it has: area", host.KindApplication)
		say := l.runner(t, "say", host.Config{})
		say.gives("3", "null")
		if got := strings.Join(say.said, "|"); got != "said 3|more" && got != "said\t3|more" {
			t.Errorf("the log has %q", got)
		}
	})
}

func squeeze(text string) string { return strings.ReplaceAll(text, " ", "") }

// However a call ends, the next one on its slot runs as if nothing had happened.
func TestEnds(t *testing.T) {
	each(t, func(t *testing.T, l language) {
		for _, c := range []struct {
			function, words string
			kinds           []host.Kind
			limits          host.Limits
		}{
			{"forever", "", []host.Kind{host.KindTimeout}, host.Limits{Time: 200 * time.Millisecond}},
			{"forever", "", []host.Kind{host.KindBudget}, host.Limits{Instructions: 50_000_000}},
			{"fill", "", []host.Kind{host.KindMemory}, host.Limits{Memory: 64 << 20}},
			{"deep", "", []host.Kind{host.KindApplication, host.KindTrap}, host.Limits{}},
			{"leave", "7", []host.Kind{host.KindExit}, host.Limits{}},
		} {
			cfg := host.Config{Limits: c.limits}
			r := l.runner(t, c.function, cfg)
			r.fails("1", c.words, c.kinds...)
			r.fails("{", "", host.KindBadInput)
			r.fails("1", c.words, c.kinds...)
		}
	})
}

// With reset, and fresh, what a call finds does not depend on what ran before, nor on where.
func TestResetSame(t *testing.T) {
	each(t, func(t *testing.T, l language) {
		want := map[string]string{}
		for round := range 2 {
			r := l.runner(t, "state", host.Config{Isolation: host.IsolationReset})
			for i := range 20 {
				arg := fmt.Sprint((i + round) % 3)
				got, err := r.run(arg)
				if err != nil {
					t.Fatal(err)
				}
				if want[arg] == "" {
					want[arg] = got
				}
				if got != want[arg] || !strings.HasPrefix(got, "[1,") {
					t.Errorf("round %d, call %d, %s: got %s, want %s", round, i, arg, got, want[arg])
				}
			}
		}
		fresh := l.runner(t, "state", host.Config{Isolation: host.IsolationFresh})
		first, err := fresh.run("1")
		if err != nil || !strings.HasPrefix(first, "[1,") {
			t.Errorf("a fresh program gives %s, %v", first, err)
		}
		fresh.gives("1", first)
		reused := l.runner(t, "state", host.Config{})
		reused.run("1") //nolint:errcheck // the next one shows whether it ran
		if got, err := reused.run("1"); err != nil || !strings.HasPrefix(got, "[2,") {
			t.Errorf("the second call of a program that goes on gives %s, %v", got, err)
		}
	})
}

// A call ends as its program would go on to the next, also where there is none: nothing that a script has for its end runs.
func TestFreshEnds(t *testing.T) {
	python := languages[0]
	python.script = "import atexit, os\natexit.register(os._exit, 7)\n" + quietPython
	for _, isolation := range []host.Isolation{host.IsolationReset, host.IsolationFresh} {
		r := python.runner(t, "f", host.Config{Isolation: isolation})
		r.gives(`"quiet"`, "1")
		r.gives(`"wrapped"`, "2")
		if got := strings.Join(r.said, "|"); got != "in a wrapper" {
			t.Errorf("%v: the log has %q", isolation, got)
		}
	}
}

// A file that a call left open is not open in the next.
func TestResetFiles(t *testing.T) {
	python := languages[0]
	r := python.runner(t, "open_more", host.Config{Isolation: host.IsolationReset})
	want, err := r.run("1")
	if err != nil {
		t.Fatal(err)
	}
	r.gives("2", want)
	reused := python.runner(t, "open_more", host.Config{})
	reused.gives("1", want)
	if got, err := reused.run("1"); err != nil || len(got) <= len(want) {
		t.Errorf("a program that goes on has the files %s open, %v, want more than %s", got, err, want)
	}
}

// Calls cost little once the interpreter has started.
func TestRates(t *testing.T) {
	if unittest.Race {
		t.Skip("the race detector is on")
	}
	each(t, func(t *testing.T, l language) {
		for isolation, least := range map[host.Isolation]int{host.IsolationReuse: l.reuse, host.IsolationReset: l.reset} {
			r := l.runner(t, "area", host.Config{Isolation: isolation})
			r.gives(`{"w": 2, "h": 3}`, "6")
			const calls = 2000
			var instructions uint64
			before := unittest.CPUTime(t)
			for i := range calls {
				r.gives(fmt.Sprintf(`{"w": %d, "h": 3}`, i), fmt.Sprint(3*i))
				instructions += r.slot.Usage().Instructions
			}
			rate := calls / (unittest.CPUTime(t) - before).Seconds()
			instructions /= calls
			t.Logf("%s, %v: %.0f calls a second of CPU time, %d instructions a call", l.interpreter, isolation, rate, instructions)
			if isolation == host.IsolationReuse && instructions > l.instructions {
				t.Errorf("%s takes %d instructions a call, want at most %d", l.interpreter, instructions, l.instructions)
			}
			if rate < float64(least) {
				t.Errorf("%s, %v: %.0f calls a second of CPU time, want %d", l.interpreter, isolation, rate, least)
			}
		}
	})
}
