package sdk

import (
	"encoding/json"
	"math"
	"testing"
)

var numbers = []string{
	"0", "-0", "7", "-7", "12", "012", "+1", "1.5", "-1.5e-3", "1E+9", "1e", "1.", ".5", "-", "", " 1", "1 ", "1_0", "0x1", "Inf", "NaN", "null",
	"999999999999999999", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "1e400", "1e-400", "0.1", "00", "-01", "1e05", "\"1\"",
}

// The short way for numbers must do what encoding/json does.
func TestDecodeNumber(t *testing.T) {
	t.Parallel()
	for _, s := range numbers {
		checkDecode(t, []byte(s))
	}
	for _, s := range []string{"0", "-7", "999999999999999999"} {
		if n, ok := parseInt([]byte(s)); !ok {
			t.Errorf("parseInt(%s) = %d, %v", s, n, ok)
		}
	}
	for _, s := range []string{"0", "-1.5e-3", "1E+9", "0.1"} {
		if f, ok := parseFloat([]byte(s)); !ok {
			t.Errorf("parseFloat(%s) = %g, %v", s, f, ok)
		}
	}
}

func TestEncodeNumber(t *testing.T) {
	t.Parallel()
	for _, f := range []float64{0, math.Copysign(0, -1), 1, -1.5, 1e-6, 9.99e-7, 1e20, 1e21, math.MaxFloat64, math.SmallestNonzeroFloat64, math.Inf(1), math.NaN(), math.Pi} {
		checkEncode(t, f)
	}
}

func FuzzNumber(f *testing.F) {
	for _, s := range numbers {
		f.Add([]byte(s), 1.5)
	}
	f.Fuzz(func(t *testing.T, arg []byte, float float64) {
		checkDecode(t, arg)
		checkEncode(t, float)
	})
}

func checkDecode(t *testing.T, arg []byte) {
	t.Helper()
	checkDecodeAs[int](t, arg)
	checkDecodeAs[int64](t, arg)
	checkDecodeAs[float64](t, arg)
}

func checkDecodeAs[N int | int64 | float64](t *testing.T, arg []byte) {
	t.Helper()
	var got, want N
	if !decodeNumber(arg, &got) {
		return
	}
	if err := json.Unmarshal(arg, &want); err != nil || got != want {
		t.Errorf("%q is %v, want %v, %v", arg, got, want, err)
	}
}

func checkEncode(t *testing.T, f float64) {
	t.Helper()
	got, ok := encodeNumber(&f)
	if !ok {
		return
	}
	if want, err := json.Marshal(f); err != nil || string(got) != string(want) {
		t.Errorf("%g is %s, want %s, %v", f, got, want, err)
	}
}
