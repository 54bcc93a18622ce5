// Command look holds tasks that look around.
package main

import (
	"fmt"
	"os"
	"time"

	"github.com/wasmpool/wasmpool/sdk"
)

func main() {}

//go:wasmexport read
func read() int32 {
	return sdk.Bytes(func(name []byte) ([]byte, error) { return os.ReadFile(string(name)) })
}

//go:wasmexport env
func env() int32 {
	return sdk.Bytes(func(name []byte) ([]byte, error) {
		fmt.Printf("looking at %s\n", name)
		return []byte(os.Getenv(string(name))), nil
	})
}

//go:wasmexport nap
func nap() int32 {
	return sdk.Bytes(func([]byte) ([]byte, error) {
		before := time.Now()
		time.Sleep(50 * time.Millisecond)
		if before.Year() < 2026 {
			return []byte("asleep for no time"), nil
		}
		return []byte("slept"), nil
	})
}

var calls int

//go:wasmexport count
func count() int32 {
	return sdk.Bytes(func([]byte) ([]byte, error) {
		calls++
		return fmt.Append(nil, calls), nil
	})
}
