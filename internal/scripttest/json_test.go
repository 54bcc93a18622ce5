package scripttest

import (
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/host"
)

// In madeScript, made returns a random value of Lua's, whose tables may be no JSON; its strings have what a string of JSON cannot have as it is.
const madeScript = `
local seed
local function chance(n)
  seed = (seed * 16807) % 2147483647
  return seed % n
end
local texts = {"", "a", "b", "name", "\0\1\31\127", "\"/\\\b\f\n\r\t", "ä日😀", "1", "\195", "\237\160\128", ("long "):rep(60)}
local numbers = {0, -0, 1, -1, 0.5, 1e14, 1e15, -1e14, 123456789012345, 2 ^ 53, 2 ^ 63, 1e300, 1e-7, 0.1, 1 / 3, 5e-324, 1.7976931348623157e308, 1 / 0, -1 / 0, 0 / 0}
local function number() return chance(20) == 0 and numbers[chance(#numbers) + 1] or (chance(2000001) - 1000000) / 10 ^ chance(6) end
local function text() return texts[chance(chance(10) == 0 and #texts or 8) + 1] end
local value
local function key(kind)
  if kind == 0 then return chance(6) end
  if kind == 1 then return chance(3) == 0 or text() end
  return text() .. chance(100)
end
local function fill(t, depth, list)
  local kind = chance(40)
  for i = 1, chance(chance(10) == 0 and 50 or 5) do
    if list then t[#t + 1] = value(depth + 1) else t[key(kind)] = value(depth + 1) end
  end
  return t
end
function value(depth)
  local kind = chance(depth > 4 and 8 or 16)
  if kind < 4 then return number() end
  if kind < 6 then return text() end
  if kind == 6 then return chance(2) == 0 end
  if kind == 7 then return chance(50) == 0 and print or json.null end
  if kind < 11 then return fill({}, depth, true) end
  if kind < 14 then return fill({}, depth) end
  return fill(json.object({}), depth, chance(50) == 0)
end
function made(x) seed = x; return value(0) end
function same(x) return x end
`

// A Lua with the module cjson and one without take the same texts for JSON, and give the same results and errors.
func TestSameJSON(t *testing.T) {
	seed := uint64(time.Now().UnixNano())
	if text := os.Getenv("WASMPOOL_TEST_SEED"); text != "" {
		seed, _ = strconv.ParseUint(text, 10, 64)
	}
	t.Logf("WASMPOOL_TEST_SEED=%d runs it again", seed)
	both := func(function string) func(string) error {
		l := languages[2]
		l.script = madeScript
		native := l.runner(t, function, host.Config{})
		l.interpreter += "-plain"
		plain := l.runner(t, function, host.Config{})
		return func(arg string) error {
			want, wrong := plain.run(arg)
			got, err := native.run(arg)
			if got != want || said(err) != said(wrong) {
				t.Errorf("%.300q gives %.300q, %v with cjson, and %.300q, %v without", arg, got, err, want, wrong)
			}
			return err
		}
	}
	same, made := both("same"), both("made")
	for _, text := range textsOfJSON {
		same(text) //nolint:errcheck // they are compared
	}
	r, good := rand.New(rand.NewPCG(seed, 0)), 0
	for i := range 500 {
		text := randomJSON(r, 0)
		if i%2 == 0 {
			text = broken(r, text)
		}
		if same(text) == nil {
			good++
		}
		if made(fmt.Sprint(r.IntN(math.MaxInt32-1)+1)) == nil {
			good++
		}
	}
	if good < 400 || good > 950 {
		t.Errorf("%d of 1,000 are JSON: too many, or too few", good)
	}
}

// said is an error's first line: those behind it say where it was.
func said(err error) string {
	first, _, _ := strings.Cut(fmt.Sprint(err), "\n")
	return first
}

// textsOfJSON are some that are JSON and many that are not.
var textsOfJSON = []string{
	"", " ", "null", " null ", "nul", "nullx", "true", "false", "NaN", "-Infinity", "1 2", "1,", "[", "{", "]", "[1", "[1,", "[1,]", "[,1]", "[1 2]",
	"0", "-0", "-0.0", "00", "01", "-01", "-", "+1", ".5", "-.5", "1.", "1.e5", "1.5.5", "1e5", "1E+5", "1e-5", "1e", "1e400", "-1e400", "1e-400", "0x10", "1_0",
	"99999999999999", "100000000000000", "9007199254740992", "9007199254740993", "9223372036854775807", "9223372036854775808", "12345678901234567890123", "1e300", "1.0", "100e-2",
	"{}", "[]", "[{}, []]", `{"a"}`, `{"a":}`, `{"a":1,}`, `{,}`, `{1:2}`, `{"a":1 "b":2}`, `{"a":1,"a":2}`, `{"a":1,"a":null}`, `{"1":1,"2":2}`, `{"":{}}`, "{\"a\\u0000b\":1}",
	`"`, `"a`, `"\`, `"\"`, `"\q"`, `"\u12"`, `"\u12g4"`, `"\u+123"`, `"\u0000"`, `"\ud83d\ude00"`, `"\ud83d"`, `"\ude00"`, `"\ud83d\u0041"`, `"\ud83dx"`, `"\ud83d\ud83d\ude00"`, `"\/\b\f\n\r\t"`,
	"\"a\tb\"", "\"a\x00b\"", "\"\x7f\"", "\"\xff\"", "\"\xc0\x80\"", "\"\xed\xa0\x80\"", "\"\xf4\x90\x80\x80\"", "{\"\xff\": 1}", "[\"\xff\", }", "\xff", "1\x00", "\x00", "\f1", "\u00a01", "\ufeff1",
	strings.Repeat("[", 30) + strings.Repeat("]", 30), "[" + strings.Repeat("1,", 10_000) + "1]", "[" + strings.Repeat(" ", 1000) + "1, x]",
}

func randomJSON(r *rand.Rand, depth int) string {
	space := []string{"", "", "", " ", "\n\t", "  "}[r.IntN(6)]
	kind := r.IntN(10)
	if depth > 3 {
		kind %= 6
	}
	var parts []string
	switch {
	case kind < 2:
		return space + fmt.Sprint(r.IntN(2_000_001)-1_000_000) + space
	case kind == 2:
		return fmt.Sprint(r.NormFloat64() * math.Pow(10, float64(r.IntN(40)-20)))
	case kind == 3:
		return space + []string{"null", "true", "false", "0", "-1", "1e300"}[r.IntN(6)]
	case kind < 6:
		return randomString(r)
	case kind < 8:
		for range r.IntN(6) {
			parts = append(parts, randomJSON(r, depth+1))
		}
		return space + "[" + space + strings.Join(parts, ",") + "]"
	}
	for range r.IntN(6) {
		parts = append(parts, randomString(r)+space+":"+randomJSON(r, depth+1))
	}
	return "{" + space + strings.Join(parts, ","+space) + "}" + space
}

func randomString(r *rand.Rand) string {
	pieces := []string{"a", "b", "long words ", `\n`, `\"`, `\\`, `\u00e4`, `\ud83d\ude00`, `\ud800`, "ä", "😀", ":", ",", "{}[]", "\x7f"}
	text := `"`
	for range r.IntN(1 + r.IntN(12)) {
		text += pieces[r.IntN(len(pieces))]
	}
	return text + `"`
}

// broken returns the text with a byte or two that are others, gone, or new.
func broken(r *rand.Rand, text string) string {
	const bytes = "\",:{}[]0129e+-. \\ntfu\x00\x1f\x80\xff"
	for range 1 + r.IntN(2) {
		at := r.IntN(len(text) + 1)
		gone := min(r.IntN(2), len(text)-at)
		c := r.IntN(len(bytes))
		text = text[:at] + []string{"", bytes[c : c+1]}[r.IntN(2)] + text[at+gone:]
	}
	return text
}
