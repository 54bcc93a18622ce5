// Stars is a module of tasks for the tests of wasmtasks.
package main

import (
	"github.com/wasmpool/wasmpool/sdk"
	"github.com/wasmpool/wasmpool/wasmtasks/testdata/stars/lib"
)

// A Star is one entry of a catalogue.
type Star struct {
	Name      string
	Magnitude float64
}

//go:wasmexport brightest
func brightest() int32 { return sdk.JSON(Brightest) }

// Brightest finds the brightest star. It is the one of least magnitude.
func Brightest(stars []Star) (*Star, error) {
	var best *Star
	for i := range stars {
		if best == nil || stars[i].Magnitude < best.Magnitude {
			best = &stars[i]
		}
	}
	return best, nil
}

// reverse turns a text around. This comment is the wrapper's own.
//
//go:wasmexport reverse
func reverse() int32 { return sdk.Bytes(lib.Reverse) }

//go:wasmexport count
func count() int32 {
	return sdk.JSON(func(in struct {
		Stars []Star
	}) (int, error) {
		return len(in.Stars), nil
	})
}

//go:wasmexport same
func same() int32 { return sdk.JSON[string, string](lib.Same) }

// add adds two numbers.
//
//go:wasmexport add
func add(a, b int32) int32 { return a + b }

func main() {}
