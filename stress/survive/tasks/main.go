// Command tasks is the guest of stress/survive.
package main

import (
	"encoding/binary"
	"fmt"
	"time"

	"github.com/wasmpool/wasmpool/sdk"
)

func main() {}

//go:wasmexport nap
func nap() int32 { return sdk.Bytes(Nap) }

//go:wasmexport compute
func compute() int32 { return sdk.Bytes(Compute) }

//go:wasmexport read
func read() int32 { return sdk.Bytes(Read) }

// numbers reads two 64-bit numbers: how much is to be done, and what is returned.
func numbers(arg []byte) (uint64, []byte, error) {
	if len(arg) != 16 {
		return 0, nil, sdk.BadInput(fmt.Errorf("want two numbers in 16 bytes, got %d", len(arg)))
	}
	return binary.LittleEndian.Uint64(arg), arg[8:], nil
}

// Nap sleeps for so many microseconds.
func Nap(arg []byte) ([]byte, error) {
	n, id, err := numbers(arg)
	time.Sleep(time.Duration(n) * time.Microsecond)
	return id, err
}

// Compute computes for so many steps, of about a nanosecond.
func Compute(arg []byte) ([]byte, error) {
	n, id, err := numbers(arg)
	x := uint64(1)
	for range n {
		x = x*6364136223846793005 + 1442695040888963407
	}
	if x == 0 {
		return nil, fmt.Errorf("an odd number became 0") // it cannot: so the loop stays
	}
	return id, err
}

// readLen is how many bytes Read returns of the shared input.
const readLen = 4096

// Read computes as Compute does, and adds to what that returns bytes of the shared input "in", from
// a place that the call's number decides.
func Read(arg []byte) ([]byte, error) {
	id, err := Compute(arg)
	if err != nil {
		return nil, err
	}
	in, err := sdk.Shared("in")
	if err != nil {
		return nil, err
	}
	data := make([]byte, readLen)
	_, err = in.ReadAt(data, place(binary.LittleEndian.Uint64(id), in.Len()))
	return append(id, data...), err
}

// place is where the call with that number reads, of so many bytes.
func place(id uint64, n int64) int64 {
	return int64(id * 0x9e3779b97f4a7c15 % uint64(n-readLen) &^ 7)
}
