// Command tasks is the task module of the executor and pool examples. It is
// compiled to wasm; see the README beside it.
package main

import (
	"fmt"
	"math"

	"github.com/wasmpool/wasmpool/sdk"
)

func main() {}

//go:wasmexport square
func square() int32 { return sdk.JSON(Square) }

// Square returns x times x.
func Square(x float64) (float64, error) { return x * x, nil }

//go:wasmexport power
func power() int32 { return sdk.JSON(Power) }

// Power returns x to the rank of the worker that runs it.
func Power(x float64) (float64, error) { return math.Pow(x, float64(sdk.Rank())), nil }

//go:wasmexport spin
func spin() int32 { return sdk.JSON(Spin) }

const (
	// stepsPerMilli is how many steps of Spin take a millisecond at 3.2 GHz. Each
	// step waits for the one before it, for a multiplication and an addition of
	// about four cycles, so the number fits most of today's processors.
	stepsPerMilli = 800_000

	dayMillis = 24 * 60 * 60 * 1000
)

// state is where Spin leaves its result, so that the compiler keeps the loop.
var state uint64

// Spin computes for about that many milliseconds and returns them.
//
// A task has no real clock, so that it gives the same result each time: Spin
// does an amount of work instead, and takes half or twice the time on an
// unusual or a busy machine.
func Spin(milliseconds float64) (float64, error) {
	if milliseconds < 0 || milliseconds > dayMillis {
		return 0, sdk.BadInput(fmt.Errorf("cannot spin for %g ms, want 0 to a day", milliseconds))
	}
	s := state
	for range int64(milliseconds * stepsPerMilli) {
		s = s*6364136223846793005 + 1442695040888963407
	}
	state = s
	return milliseconds, nil
}
