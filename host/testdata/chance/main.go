// Command chance holds tasks that use all that a Go program could have of chance: what
// they return must depend on the call alone.
package main

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"hash/maphash"
	v1 "math/rand"
	v2 "math/rand/v2"
	"runtime"
	"strings"
	"time"

	"github.com/wasmpool/wasmpool/sdk"
)

func main() {}

// fruits is made while the module starts.
var fruits = map[string]int{"apple": 1, "banana": 2, "cherry": 3, "date": 4, "elder": 5, "fig": 6, "grape": 7, "haw": 8, "ilama": 9}

//go:wasmexport draw
func draw() int32 { return sdk.Bytes(Draw) }

// Draw returns what is promised under every isolation.
func Draw(arg []byte) ([]byte, error) {
	var b bytes.Buffer
	start := time.Now()
	fmt.Fprintf(&b, "sdk %x\n", sdk.Rand().Uint64())
	fmt.Fprintf(&b, "v1 %x %v\n", v1.Uint64(), v1.Perm(5))
	fmt.Fprintf(&b, "v2 %x %v %v\n", v2.Uint64(), v2.NormFloat64(), v2.Perm(5))
	secret := make([]byte, 8)
	if _, err := rand.Read(secret); err != nil {
		return nil, err
	}
	fmt.Fprintf(&b, "crypto %x %s\n", secret, rand.Text())
	fmt.Fprintf(&b, "hash %x\n", maphash.Bytes(maphash.MakeSeed(), arg))
	squares := map[int]int{}
	for i := range 100 {
		squares[i] = i * i
	}
	fmt.Fprintf(&b, "map %v\n", keys(squares))
	fmt.Fprintf(&b, "fruits %v\n", keys(fruits))
	fmt.Fprintf(&b, "now %v\n", start.Round(0).UTC())
	time.Sleep(time.Duration(sdk.Rand().IntN(1e9)))
	fmt.Fprintf(&b, "later %v %v\n", time.Since(start), time.Now().Unix())
	fmt.Fprintf(&b, "sdk %v\n", sdk.Rand().Float64())
	return b.Bytes(), nil
}

// A tree is decoded by encoding/json, which makes caches when it first sees a type.
type tree struct {
	Seed int
	Left *leaf
}

type leaf struct{ Names map[string]int }

//go:wasmexport decoded
func decoded() int32 { return sdk.JSON(Decoded) }

// Decoded returns what is promised under every isolation, after an argument that is no
// plain number.
func Decoded(tree) (string, error) {
	return fmt.Sprintf("%x %x %x", v1.Uint64(), v2.Uint64(), maphash.Bytes(maphash.MakeSeed(), nil)), nil
}

func keys[K comparable](m map[K]int) (list []K) {
	for k := range m {
		list = append(list, k)
	}
	return list
}

//go:wasmexport all
func all() int32 { return sdk.Bytes(All) }

var calls int

// All returns what is promised where an instance is reset or fresh, too.
func All(arg []byte) ([]byte, error) {
	text, err := Draw(arg)
	if err != nil {
		return nil, err
	}
	b := bytes.NewBuffer(text)
	calls++
	fmt.Fprintf(b, "calls %d goroutines %d clock %v\n", calls, runtime.NumGoroutine(), time.Now())
	fmt.Fprintf(b, "race %s\n", race())
	fmt.Fprintf(b, "at %p\n", new(int))
	stack := make([]byte, 200)
	fmt.Fprintf(b, "%.20s\n", stack[:runtime.Stack(stack, false)])
	var mem runtime.MemStats
	runtime.ReadMemStats(&mem)
	fmt.Fprintf(b, "memory %d %d %d\n", mem.Mallocs, mem.HeapAlloc, mem.NumGC)
	return b.Bytes(), nil
}

// race returns the order in which goroutines and a select's cases come.
func race() string {
	var b strings.Builder
	out := make(chan byte, 4)
	for i := range byte(4) {
		go func() {
			for range 5 {
				runtime.Gosched()
				out <- 'a' + i
			}
		}()
	}
	quit := make(chan bool)
	go func() { time.Sleep(time.Second); close(quit) }()
	for range 20 {
		b.WriteByte(<-out)
	}
	ready := make(chan bool)
	close(ready)
	<-quit
	for range 20 {
		select {
		case <-ready:
			b.WriteByte('r')
		case <-quit:
			b.WriteByte('q')
		}
	}
	return b.String()
}

var kept [][]byte

// spoil leaves behind as much as it can.
//
//go:wasmexport spoil
func spoil() int32 {
	return sdk.Bytes(func(arg []byte) ([]byte, error) {
		for range 1 + len(arg) {
			v1.Uint64()
			v2.Uint64()
		}
		kept = append(kept, make([]byte, 10_000))
		if len(kept) > 20 {
			kept = nil
			runtime.GC()
		}
		go func() { time.Sleep(time.Hour); v2.Uint64() }()
		time.AfterFunc(time.Minute, func() { v1.Uint64() })
		time.Sleep(time.Duration(1+len(arg)) * 10 * time.Second)
		sdk.Rand().Uint64()
		calls++
		return nil, nil
	})
}

// chance draws without arguments through the SDK.
//
//go:wasmexport chance
func chance(n int64) int64 { return v2.Int64N(n) ^ sdk.Rand().Int64N(n) }
