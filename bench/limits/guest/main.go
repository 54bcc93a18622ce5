// Command guest holds the tasks in Go that bench/limits measures.
package main

import (
	"encoding/binary"
	"slices"
	"time"

	"github.com/wasmpool/wasmpool/sdk"
)

func main() {}

//go:wasmexport none
func none() int32 { return sdk.Bytes(func([]byte) ([]byte, error) { return nil, nil }) }

//go:wasmexport spin
func spin() int32 {
	return sdk.Bytes(func([]byte) ([]byte, error) {
		for {
			sink++
		}
	})
}

//go:wasmexport sleep
func sleep() int32 {
	return sdk.Bytes(func([]byte) ([]byte, error) {
		time.Sleep(time.Hour)
		return nil, nil
	})
}

//go:wasmexport loop
func loop() int32 {
	return task(func(n uint64) uint64 {
		var x uint64 = 1
		for i := range n * 1000 {
			x = x*6364136223846793005 + i
		}
		return x
	})
}

//go:wasmexport recursion
func recursion() int32 { return task(func(n uint64) uint64 { return fib(n) }) }

//go:wasmexport sorting
func sorting() int32 {
	return task(func(n uint64) uint64 {
		list := make([]uint64, n*1000)
		x := uint64(1)
		for i := range list {
			x = x*6364136223846793005 + 1
			list[i] = x
		}
		slices.Sort(list)
		return list[0]
	})
}

//go:wasmexport calls
func calls() int32 {
	return task(func(n uint64) uint64 {
		var x uint64
		for i := range n * 1000 {
			x = step(x, i)
		}
		return x
	})
}

var sink uint64

func task(fn func(uint64) uint64) int32 {
	return sdk.Bytes(func(arg []byte) ([]byte, error) {
		return binary.LittleEndian.AppendUint64(nil, fn(binary.LittleEndian.Uint64(arg))), nil
	})
}

func fib(n uint64) uint64 {
	if n < 2 {
		return n
	}
	return fib(n-1) + fib(n-2)
}

//go:noinline
func step(x, i uint64) uint64 { return x ^ i<<3 }
