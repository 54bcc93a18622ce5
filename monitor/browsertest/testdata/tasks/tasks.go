// Command tasks holds the tasks that the page is seen with.
package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/wasmpool/wasmpool/sdk"
)

func main() {}

//go:wasmexport sample
func sample() int32 { return sdk.JSON(work) }

//go:wasmexport simulate
func simulate() int32 { return sdk.JSON(work) }

//go:wasmexport fit
func fit() int32 { return sdk.JSON(work) }

// An order says what a call does.
type order struct {
	Field int    // the number of what it looks at
	Sleep int    // for so many milliseconds
	Fail  string // how it fails, empty for not at all
}

// work sleeps, as far as computing goes, and then succeeds or fails.
func work(o order) ([]int, error) {
	if o.Fail != "" {
		fmt.Fprintf(os.Stderr, "reading field %d\nits sky is bright\n", o.Field)
		sdk.Log("field %d: 3 stars are too close", o.Field)
	}
	time.Sleep(time.Duration(o.Sleep) * time.Millisecond)
	switch o.Fail {
	case "diverges":
		return nil, fmt.Errorf("the fit of field %d diverges after 200 steps", o.Field)
	case "panics":
		return make([]int, 4)[o.Field+4:], nil
	case "refuses":
		return nil, sdk.BadInput(errors.New("no stars in this field"))
	}
	return make([]int, 100), nil
}

// Complain prints, logs, and fails with its argument.
//
//go:wasmexport complain
func complain() int32 {
	return sdk.Bytes(func(arg []byte) ([]byte, error) {
		os.Stderr.Write(arg)
		sdk.Log("%s", arg)
		return nil, errors.New(string(arg))
	})
}
