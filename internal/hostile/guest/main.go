// Command guest holds tasks that attack their worker, and one that does not.
package main

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"maps"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/wasmpool/wasmpool/sdk"
)

func main() {}

// Mix is what good calls run: it allocates, and its result depends on all of the
// argument.
//
//go:wasmexport mix
func mix() int32 { return sdk.Bytes(Mix) }

// Mix returns the argument's checksum, ahead of the argument in upper case.
func Mix(arg []byte) ([]byte, error) {
	out := binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(arg))
	return append(out, bytes.ToUpper(arg)...), nil
}

// Attack does what its argument names.
//
//go:wasmexport attack
func attack() int32 {
	return sdk.Bytes(func(arg []byte) ([]byte, error) {
		attacks[string(arg)]()
		return nil, nil
	})
}

var attacks = map[string]func(){
	"loop": func() {
		for {
			sink++
		}
	},
	"recursion": func() { sink = deep(1) },
	"memory": func() {
		for {
			kept = append(kept, make([]byte, 1<<20))
		}
	},
	"log": func() {
		for {
			sdk.Log("%s", strings.Repeat("log ", 100))
		}
	},
	"print": func() {
		for {
			fmt.Println(strings.Repeat("print ", 100))
		}
	},
	"exit":     func() { os.Exit(3) },
	"deadlock": func() { select {} },
	"deadlocked goroutines": func() {
		ch := make(chan int)
		for range 10 {
			go func() { ch <- <-ch }()
		}
		<-ch
	},
	"background panic": func() {
		go func() { panic("in the background") }()
		time.Sleep(time.Second)
	},
	"nil map": func() { none["key"] = 1 },
	"sleep": func() {
		for {
			time.Sleep(time.Hour)
		}
	},
}

var (
	sink int
	kept [][]byte
	none map[string]int
)

func deep(n int) int { return deep(n+1) + n }

// Draw returns random numbers and the time, none of which is seeded.
//
//go:wasmexport draw
func draw() int32 {
	return sdk.Bytes(func([]byte) ([]byte, error) {
		keys := map[int]bool{}
		for i := range 20 {
			keys[i] = true
		}
		return fmt.Appendln(nil, rand.Uint64(), sdk.Rand().Uint64(), time.Now(), slices.Collect(maps.Keys(keys))), nil
	})
}

// Huge returns a result that is longer than it may be.
//
//go:wasmexport huge
func huge() int32 {
	return sdk.Bytes(func([]byte) ([]byte, error) { return make([]byte, 8<<20), nil })
}
