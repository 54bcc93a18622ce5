// Command tasks is the guest of wasmpool bench --guest go. It has the same
// tasks as the one that is written by hand, internal/bench/guest.wat.
package main

import (
	"encoding/binary"
	"fmt"

	"github.com/wasmpool/wasmpool/sdk"
)

func main() {}

//go:wasmexport echo
func echo() int32 { return sdk.Bytes(Echo) }

//go:wasmexport burn
func burn() int32 { return sdk.Bytes(Burn) }

//go:wasmexport julia
func julia() int32 { return sdk.Bytes(Julia) }

// Echo returns its argument.
func Echo(arg []byte) ([]byte, error) { return arg, nil }

// Burn computes for as many steps as its argument says, a 64-bit number.
func Burn(arg []byte) ([]byte, error) {
	if len(arg) != 8 {
		return nil, sdk.BadInput(fmt.Errorf("want the number of steps in 8 bytes, got %d", len(arg)))
	}
	x := uint64(0)
	for range binary.LittleEndian.Uint64(arg) {
		x = x*6364136223846793005 + 1442695040888963407
	}
	return binary.LittleEndian.AppendUint64(arg[:0], x), nil
}

// Julia draws a row of a Julia set, a byte a point. Its argument is four 32-bit
// numbers: row, width, height, iterations.
func Julia(arg []byte) ([]byte, error) {
	if len(arg) != 16 {
		return nil, sdk.BadInput(fmt.Errorf("want four numbers in 16 bytes, got %d", len(arg)))
	}
	number := func(i int) uint32 { return binary.LittleEndian.Uint32(arg[4*i:]) }
	y, width, height, iterations := number(0), number(1), number(2), number(3)
	step := 3.2 / float64(width)
	im := step * (float64(y) - float64(height)/2)
	row := make([]byte, width)
	for x := range row {
		row[x] = byte(escape(step*(float64(x)-float64(width)/2), im, iterations))
	}
	return row, nil
}

// escape returns after how many iterations of z² - 0.8 + 0.156i the point
// leaves, at most so many. The conversions keep the compiler from fusing
// operations, which would change the picture.
func escape(re, im float64, most uint32) uint32 {
	for n := range most {
		rr, ii := float64(re*re), float64(im*im)
		if rr+ii > 4 {
			return n
		}
		re, im = rr-ii-0.8, float64(2*re*im)+0.156
	}
	return most
}
