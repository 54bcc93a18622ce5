// Command tasks is the task module of the program beside it.
package main

import (
	"math"

	"github.com/wasmpool/wasmpool/sdk"
)

func main() {}

// Sides are those of a right triangle that meet at the right angle.
type Sides struct{ A, B float64 }

//go:wasmexport hypot
func hypot() int32 { return sdk.JSON(Hypot) }

// Hypot returns the third side.
func Hypot(s Sides) (float64, error) { return math.Hypot(s.A, s.B), nil }
