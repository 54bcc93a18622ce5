// Guest is the module that the tests of sdk run in a worker.
package main

import (
	"errors"
	"fmt"
	"hash/maphash"
	v1 "math/rand"
	v2 "math/rand/v2"
	"runtime"
	"sync"
	"time"

	"github.com/wasmpool/wasmpool/sdk"
)

//go:wasmexport echo
func echo() int32 { return sdk.Bytes(Echo) }

// Echo returns its argument.
func Echo(arg []byte) ([]byte, error) { return arg, nil }

//go:wasmexport double
func double() int32 { return sdk.JSON(Double) }

// Double doubles a number.
func Double(f float64) (float64, error) { return 2 * f, nil }

//go:wasmexport draw
func draw() int32 { return sdk.Bytes(Draw) }

// Draw returns numbers of the call's own generator.
func Draw([]byte) ([]byte, error) {
	return fmt.Appendf(nil, "%d %v %v", sdk.Rand().Uint64(), sdk.Rand().NormFloat64(), sdk.Rand().Perm(9)), nil
}

//go:wasmexport seeded
func seeded() int32 { return sdk.Bytes(Seeded) }

// Seeded returns numbers of generators that the runtime seeds.
func Seeded([]byte) ([]byte, error) {
	return fmt.Appendf(nil, "%d %d %d", v1.Uint64(), v2.Uint64(), maphash.String(maphash.MakeSeed(), "x")), nil
}

//go:wasmexport invert
func invert() int32 { return sdk.JSON(Invert) }

// Invert swaps the keys and the values of a map.
func Invert(m map[string]string) (map[string]string, error) {
	inverse := make(map[string]string)
	for k, v := range m {
		inverse[v] = k
	}
	return inverse, nil
}

//go:wasmexport about
func about() int32 { return sdk.Bytes(About) }

// About tells what the task knows of its call.
func About([]byte) ([]byte, error) {
	sdk.Log("rank %d", sdk.Rank())
	sdk.LogAt(sdk.LevelDebug, "done")
	return fmt.Appendf(nil, "%d %d %d", sdk.Call(), sdk.Attempt(), sdk.Rank()), nil
}

//go:wasmexport fail
func fail() int32 { return sdk.Bytes(Fail) }

// Fail fails in the way it is told to.
func Fail(how []byte) ([]byte, error) {
	switch string(how) {
	case "panic":
		return []byte{how[len(how)]}, nil
	case "panic inside":
		defer func() { panic(errors.New("second")) }()
		panic("first")
	case "code":
		return nil, &sdk.Error{Code: 70, Message: "no such star"}
	case "bad input":
		return nil, sdk.BadInput(errors.New("no number"))
	}
	return nil, errors.New(string(how))
}

//go:wasmexport wait
func wait() int32 { return sdk.Bytes(Wait) }

// Wait lets other goroutines run.
func Wait(arg []byte) ([]byte, error) {
	var group sync.WaitGroup
	for i := range arg {
		group.Go(func() {
			time.Sleep(time.Millisecond)
			arg[i]++
		})
	}
	group.Wait()
	return arg, nil
}

//go:wasmexport mallocs
func mallocs() int32 { return sdk.JSON(Mallocs) }

// Mallocs counts the allocations of the instance.
func Mallocs(int) (int64, error) {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	return int64(stats.Mallocs), nil
}

//go:wasmexport add
func add(a, b int32) int32 { return a + b }

func main() {}
