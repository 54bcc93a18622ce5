//go:build !wasip1

package sdk_test

import (
	"bytes"
	"errors"
	"fmt"
	"math"

	"github.com/wasmpool/wasmpool/sdk"
)

// upper and hypot are marked with //go:wasmexport in a module.
func upper() int32 { return sdk.Bytes(Upper) }

// Upper returns the text in upper case.
func Upper(text []byte) ([]byte, error) { return bytes.ToUpper(text), nil }

func ExampleBytes() {
	result, err := sdk.Trial{Arg: []byte("hello")}.Run(upper)
	fmt.Println(string(result), err)
	// Output: HELLO <nil>
}

type Triangle struct{ A, B float64 }

func hypot() int32 { return sdk.JSON(Hypot) }

// Hypot returns the long side of a triangle.
func Hypot(t Triangle) (float64, error) { return math.Hypot(t.A, t.B), nil }

func ExampleJSON() {
	result, err := sdk.Trial{Arg: []byte(`{"A": 3, "B": 4}`)}.Run(hypot)
	fmt.Println(string(result), err)
	// Output: 5 <nil>
}

func find() int32 { return sdk.Bytes(Find) }

// Find knows no star.
func Find(star []byte) ([]byte, error) {
	if len(star) == 0 {
		return nil, sdk.BadInput(errors.New("which star?"))
	}
	return nil, &sdk.Error{Code: 70, Message: "no such star: " + string(star)}
}

func ExampleError() {
	for _, arg := range []string{"Vega", ""} {
		_, err := sdk.Trial{Arg: []byte(arg)}.Run(find)
		var failure *sdk.Error
		if errors.As(err, &failure) {
			fmt.Println(failure.Code, failure.Message)
		}
	}
	// Output:
	// 70 no such star: Vega
	// 3 which star?
}

func sample() int32 {
	return sdk.Bytes(func([]byte) ([]byte, error) {
		sdk.Log("call %d, attempt %d, on rank %d", sdk.Call(), sdk.Attempt(), sdk.Rank())
		return nil, nil
	})
}

func ExampleTrial() {
	trial := sdk.Trial{Call: 12, Rank: 3, Log: func(_ sdk.Level, line string) { fmt.Println(line) }}
	if _, err := trial.Run(sample); err != nil {
		fmt.Println(err)
	}
	// Output: call 12, attempt 1, on rank 3
}

func estimate() int32 { return sdk.JSON(Estimate) }

// A Sample says how many points to draw. Samples with other seeds draw others.
type Sample struct{ Seed, Points int }

// Estimate estimates pi.
func Estimate(s Sample) (float64, error) {
	random, inside := sdk.Rand(), 0
	for range s.Points {
		if x, y := random.Float64(), random.Float64(); x*x+y*y < 1 {
			inside++
		}
	}
	return 4 * float64(inside) / float64(s.Points), nil
}

func ExampleRand() {
	for _, arg := range []string{`{"Seed": 1, "Points": 1000}`, `{"Seed": 2, "Points": 1000}`, `{"Seed": 1, "Points": 1000}`} {
		result, err := sdk.Trial{Arg: []byte(arg)}.Run(estimate)
		fmt.Println(string(result), err)
	}
	// Output:
	// 3.06 <nil>
	// 3.168 <nil>
	// 3.06 <nil>
}
