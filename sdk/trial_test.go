//go:build !wasip1

package sdk

import (
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmpool/wasmpool/internal/abi"
)

type point struct{ X, Y float64 }

func upper() int32 {
	return Bytes(func(arg []byte) ([]byte, error) { return []byte(strings.ToUpper(string(arg))), nil })
}

func mirror() int32 {
	return JSON(func(p point) (point, error) { return point{p.Y, p.X}, nil })
}

func strict() int32 {
	return StrictJSON(func(p point) (point, error) { return point{p.Y, p.X}, nil })
}

func TestTrial(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name      string
		export    func() int32
		arg, want string
	}{
		{"bytes", upper, "abc", "ABC"},
		{"empty bytes", upper, "", ""},
		{"struct", mirror, ` {"X": 1, "Y": 2.5} `, `{"X":2.5,"Y":1}`},
		{"strictly a struct", strict, ` {"X": 1, "Y": 2.5} `, `{"X":2.5,"Y":1}`},
		{"strictly, a field less", strict, `{"Y": 2.5}`, `{"X":2.5,"Y":0}`},
		{"strictly a number", func() int32 { return StrictJSON(func(n int) (int, error) { return n * n, nil }) }, "-12", "144"},
		{"strictly nothing", func() int32 { return StrictJSON(func(struct{}) (string, error) { return "now", nil }) }, "", `"now"`},
		{"a field more", mirror, `{"X": 1, "Y": 2.5, "Z": 3}`, `{"X":2.5,"Y":1}`},
		{"int", func() int32 { return JSON(func(n int) (int, error) { return n * n, nil }) }, "-12", "144"},
		{"int64", func() int32 { return JSON(func(n int64) (int64, error) { return -n, nil }) }, "9223372036854775807", "-9223372036854775807"},
		{"float", func() int32 { return JSON(func(f float64) (float64, error) { return f / 2, nil }) }, "1e3", "500"},
		{"small float", func() int32 { return JSON(func(f float64) (float64, error) { return f, nil }) }, "1e-300", "1e-300"},
		{"null", func() int32 { return JSON(func(p *point) (bool, error) { return p == nil, nil }) }, "null", "true"},
		{"nothing", func() int32 { return JSON(func(struct{}) (string, error) { return "now", nil }) }, "", `"now"`},
		{"meta", func() int32 {
			return Bytes(func([]byte) ([]byte, error) { return fmt.Append(nil, Call(), Attempt(), Rank()), nil })
		}, "", "0 1 0"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got, err := Trial{Arg: []byte(tt.arg)}.Run(tt.export)
			if err != nil || string(got) != tt.want {
				t.Errorf("%q, %v, want %q", got, err, tt.want)
			}
		})
	}
}

func TestTrialFails(t *testing.T) {
	t.Parallel()
	failing := func(err error) func() int32 {
		return func() int32 { return Bytes(func([]byte) ([]byte, error) { return nil, err }) }
	}
	plain := errors.New("no luck")
	tests := []struct {
		name   string
		export func() int32
		arg    string
		want   Error
	}{
		{"error", failing(plain), "", Error{abi.StatusError, "no luck"}},
		{"code", failing(&Error{70, "no star"}), "", Error{70, "no star"}},
		{"wrapped code", failing(fmt.Errorf("looking: %w", &Error{70, "no star"})), "", Error{70, "looking: no star"}},
		{"code of wasmpool", failing(&Error{abi.StatusPanic, "x"}), "", Error{abi.StatusError, "x"}},
		{"code too large", failing(&Error{math.MaxInt32 + 1, "x"}), "", Error{abi.StatusError, "x"}},
		{"bad input", failing(fmt.Errorf("row 3: %w", BadInput(plain))), "", Error{abi.StatusBadInput, "row 3: no luck"}},
		{"no JSON", mirror, "{", Error{abi.StatusBadInput, "unexpected end of JSON input"}},
		{"empty JSON", mirror, "", Error{abi.StatusBadInput, "the argument is empty, want JSON"}},
		{"other JSON", mirror, "[]", Error{abi.StatusBadInput, "json: cannot unmarshal array into Go value of type sdk.point"}},
		{"more JSON", mirror, "{} {}", Error{abi.StatusBadInput, "invalid character '{' after top-level value"}},
		{"strictly no JSON", strict, "{", Error{abi.StatusBadInput, "unexpected end of JSON input"}},
		{"strictly empty JSON", strict, "", Error{abi.StatusBadInput, "the argument is empty, want JSON"}},
		{"strictly more JSON", strict, "{} {}", Error{abi.StatusBadInput, "invalid character '{' after top-level value"}},
		{"strictly a field more", strict, `{"X": 1, "Z": 3}`, Error{abi.StatusBadInput, `json: unknown field "Z"`}},
		{"strictly nothing more", func() int32 { return StrictJSON(func(struct{}) (int, error) { return 0, nil }) }, `{"Z": 3}`, Error{abi.StatusBadInput, `json: unknown field "Z"`}},
		{"result", func() int32 { return JSON(func(n int) (float64, error) { return math.Inf(n), nil }) }, "1", Error{abi.StatusError, "json: unsupported value: +Inf"}},
		{"JSON error", func() int32 { return JSON(func(int) (int, error) { return 0, plain }) }, "1", Error{abi.StatusError, "no luck"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := Trial{Arg: []byte(tt.arg)}.Run(tt.export)
			var got *Error
			if !errors.As(err, &got) {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(tt.want, *got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	if !errors.Is(BadInput(plain), plain) || BadInput(nil) != nil {
		t.Error("BadInput does not wrap")
	}
}

func TestTrialMeta(t *testing.T) {
	t.Parallel()
	var lines []string
	trial := Trial{Call: math.MaxUint64, Attempt: 2, Rank: 7, Log: func(level Level, line string) {
		lines = append(lines, fmt.Sprint(int(level), " ", line))
	}}
	got, err := trial.Run(func() int32 {
		return Bytes(func([]byte) ([]byte, error) {
			Log("starting %d", 1)
			LogAt(LevelWarn, "slow")
			return fmt.Append(nil, Call(), Attempt(), Rank(), meta(99)), nil
		})
	})
	if want := "18446744073709551615 2 7 -1"; err != nil || string(got) != want {
		t.Errorf("%q, %v, want %q", got, err, want)
	}
	if diff := cmp.Diff([]string{"0 starting 1", "4 slow"}, lines); diff != "" {
		t.Errorf("log (-want +got):\n%s", diff)
	}
}
