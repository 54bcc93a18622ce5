package host

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero/api"

	"github.com/wasmpool/wasmpool/internal/guesttest"
)

const rawWAT = `(module
  (func (export "i32") (param i32) (result i32) (local.get 0))
  (func (export "i64") (param i64) (result i64) (local.get 0))
  (func (export "f32") (param f32) (result f32) (local.get 0))
  (func (export "f64") (param f64) (result f64) (local.get 0))
  (func (export "all") (param i32 i64 f32 f64) (result f64 f32 i64 i32)
    (local.get 3) (local.get 2) (local.get 1) (local.get 0))
  (func (export "none"))
  (func (export "answer") (result i32) (i32.const 42))
  (func (export "take") (param i32 i32))
  (func (export "div") (param i32 i32) (result i32) (i32.div_s (local.get 0) (local.get 1))))`

func TestRaw(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	mod := load(t, h, guesttest.Module(t, "raw", rawWAT))
	slot := newSlot(t, h)
	tests := []struct {
		task, arg, want string // want of a bad argument starts with !
	}{
		{"i32", "1", "1"},
		{"i32", " [ 1 ] ", "1"},
		{"i32", "-2147483648", "-2147483648"},
		{"i32", "2147483647", "2147483647"},
		{"i32", "4294967295", "-1"},
		{"i32", "-0", "0"},
		{"i32", "4294967296", "!does not fit into 32 bits"},
		{"i32", "-2147483649", "!does not fit into 32 bits"},
		{"i32", "1.0", `!"1.0" is not an integer`},
		{"i32", "1e2", "!not an integer"},
		{"i32", "0x10", "!not an integer"},
		{"i32", "+1", "!not an integer"},
		{"i32", "01", "!not an integer"},
		{"i32", `"1"`, "!not an integer"},
		{"i32", "", "!has 0 numbers, the function has 1"},
		{"i32", "1,2", "!not an integer"},
		{"i32", "[1,2]", "!has 2 numbers"},
		{"i32", "[1,]", "!has 2 numbers"},
		{"i32", "[1", "!does not end with ]"},
		{"i32", "[", "!does not end with ]"},
		{"i32", "[[1]]", "!not an integer"},
		{"i64", "9223372036854775807", "9223372036854775807"},
		{"i64", "-9223372036854775808", "-9223372036854775808"},
		{"i64", "18446744073709551615", "-1"},
		{"i64", "9007199254740993", "9007199254740993"},
		{"i64", "18446744073709551616", "!does not fit into 64 bits"},
		{"f32", "0.1", "0.1"},
		{"f32", "16777217", "16777216"},
		{"f32", "3.4028235e38", "3.4028235e+38"},
		{"f32", "1e39", "!does not fit into a 32-bit float"},
		{"f64", "0.1", "0.1"},
		{"f64", "-0", "-0"},
		{"f64", "5e-324", "5e-324"},
		{"f64", "1.7976931348623157e308", "1.7976931348623157e+308"},
		{"f64", "123456789012345680000", "123456789012345680000"},
		{"f64", "1e400", "!does not fit"},
		{"f64", `"NaN"`, `"NaN"`},
		{"f64", `"Infinity"`, `"Infinity"`},
		{"f64", `["-Infinity"]`, `"-Infinity"`},
		{"f32", `"NaN"`, `"NaN"`},
		{"f64", "NaN", "!not a number"},
		{"f64", "inf", "!not a number"},
		{"f64", "1_000", "!not a number"},
		{"f64", "1.", "!not a number"},
		{"f64", ".5", "!not a number"},
		{"f64", "1e", "!not a number"},
		{"f64", "-", "!not a number"},
		{"all", "[-1, -9223372036854775808, 1.5, \"Infinity\"]", `["Infinity",1.5,-9223372036854775808,-1]`},
		{"all", "[1, 2, 3, x]", "!parameter 4 of 4"},
		{"none", "", ""},
		{"none", "[]", ""},
		{"none", "[ ]", ""},
		{"none", "null", ""},
		{"none", "1", "!has 1 numbers, the function has 0"},
		{"answer", "", "42"},
		{"take", "[1,2]", ""},
		{"div", "[7,2]", "3"},
	}
	for _, tt := range tests {
		task := taskOf(t, mod, tt.task)
		want, bad := strings.CutPrefix(tt.want, "!")
		if !bad {
			if got := run(t, slot, task, tt.arg); got != want {
				t.Errorf("%s(%s) = %s, want %s", tt.task, tt.arg, got, want)
			}
			continue
		}
		if e := runFailing(t, slot, task, tt.arg); e.Kind != KindBadInput || !strings.Contains(e.Message, want) {
			t.Errorf("%s(%s): %v, want bad input with %q", tt.task, tt.arg, e, want)
		}
	}
	if e := runFailing(t, slot, taskOf(t, mod, "div"), "[1,0]"); e.Kind != KindTrap || !strings.Contains(e.Message, "divide by zero") {
		t.Errorf("got %v, want a trap", e)
	}
}

func TestRawLongArgument(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	task := taskOf(t, load(t, h, guesttest.Module(t, "raw", rawWAT)), "i32")
	slot := newSlot(t, h)
	result, err := slot.Run(t.Context(), task, &Call{ArgLen: 2, ReadArg: func(dst []byte) error {
		copy(dst, "17")
		return nil
	}})
	if err != nil || string(result) != "17" {
		t.Errorf("got %q, %v", result, err)
	}
	lost := errors.New("lost")
	_, err = slot.Run(t.Context(), task, &Call{ArgLen: 2, ReadArg: func([]byte) error { return lost }})
	if e := errorOf(t, err); e.Kind != KindHost || !errors.Is(err, lost) {
		t.Errorf("got %v", err)
	}
	if e := runFailing(t, slot, task, strings.Repeat(" ", mostRawArg+1)); e.Kind != KindBadInput {
		t.Errorf("got %v", e)
	}
}

func FuzzNumbers(f *testing.F) {
	f.Add("[1, 2, 3.5, \"NaN\"]")
	f.Add("[-1,18446744073709551615,1e30,-0]")
	types := []numeric{api.ValueTypeI32, api.ValueTypeI64, api.ValueTypeF32, api.ValueTypeF64}
	f.Fuzz(func(t *testing.T, arg string) {
		var first, second [4]uint64
		if parseNumbers([]byte(arg), types, first[:]) != nil {
			return
		}
		text := appendNumbers(nil, types, first[:])
		if err := parseNumbers(text, types, second[:]); err != nil {
			t.Fatalf("%q was written as %s: %v", arg, text, err)
		}
		if first != second && !math.IsNaN(api.DecodeF64(first[3])) && !math.IsNaN(float64(api.DecodeF32(first[2]))) {
			t.Errorf("%q was written as %s and came back as %v, not %v", arg, text, second, first)
		}
	})
}
