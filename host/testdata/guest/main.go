// Command guest holds the tasks that the tests of package host run.
package main

import (
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/wasmpool/wasmpool/sdk"
)

func main() {}

//go:wasmexport noop
func noop() int32 { return sdk.Bytes(func([]byte) ([]byte, error) { return nil, nil }) }

//go:wasmexport echo
func echo() int32 { return sdk.Bytes(func(arg []byte) ([]byte, error) { return arg, nil }) }

//go:wasmexport double
func double() int32 { return sdk.JSON(func(n float64) (float64, error) { return 2 * n, nil }) }

// fail fails in the way that its argument names.
//
//go:wasmexport fail
func fail() int32 { return sdk.Bytes(Fail) }

// Fail is the body of fail.
func Fail(arg []byte) ([]byte, error) {
	switch string(arg) {
	case "error":
		return nil, errors.New("no such star")
	case "code":
		return nil, &sdk.Error{Code: 70, Message: "coded"}
	case "input":
		return nil, sdk.BadInput(errors.New("not a number"))
	case "panic":
		panic("oh no")
	case "goroutine":
		fmt.Println("printed before")
		go panic("in the background")
		time.Sleep(time.Second)
	case "exit":
		os.Exit(7)
	case "exit0":
		os.Exit(0)
	case "memory":
		var all [][]byte
		for {
			all = append(all, make([]byte, 1<<20))
		}
	case "recursion":
		return []byte(fmt.Sprint(deep(1))), nil
	case "deadlock":
		select {}
	case "nil":
		var m map[string]int
		m["x"]++
	}
	return []byte("fine"), nil
}

//go:noinline
func deep(n int) int {
	var pad [64]int
	pad[n%64] = n
	return deep(n+1) + pad[(n*7)%64]
}

var count int

//go:wasmexport count
func countCalls() int32 {
	return sdk.Bytes(func([]byte) ([]byte, error) {
		count++
		return fmt.Append(nil, count), nil
	})
}

//go:wasmexport world
func world() int32 { return sdk.Bytes(World) }

// World tells what it sees of the world outside.
func World([]byte) ([]byte, error) {
	var b strings.Builder
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		return nil, err
	}
	fmt.Fprintf(&b, "random %x\n", random)
	fmt.Fprintf(&b, "time %d\n", time.Now().UnixNano())
	time.Sleep(time.Hour)
	fmt.Fprintf(&b, "later %d\n", time.Now().UnixNano())
	fmt.Fprintf(&b, "env %q args %d\n", os.Environ(), len(os.Args))
	_, err := os.ReadDir("/")
	fmt.Fprintf(&b, "readdir %v\n", err != nil)
	_, err = os.ReadFile("/etc/passwd")
	fmt.Fprintf(&b, "readfile %v\n", err != nil)
	err = os.WriteFile("x", nil, 0o600)
	fmt.Fprintf(&b, "writefile %v\n", err != nil)
	return []byte(b.String()), nil
}

//go:wasmexport meta
func meta() int32 {
	return sdk.Bytes(func([]byte) ([]byte, error) {
		sdk.LogAt(sdk.LevelWarn, "call %d", sdk.Call())
		return fmt.Appendf(nil, "%d %d %d", sdk.Call(), sdk.Attempt(), sdk.Rank()), nil
	})
}

// sum reads its argument, however long, and returns the sum of its bytes.
//
//go:wasmexport sum
func sum() int32 {
	return sdk.Bytes(func(arg []byte) ([]byte, error) {
		total := 0
		for _, b := range arg {
			total += int(b)
		}
		return fmt.Append(nil, total), nil
	})
}

//go:wasmexport add
func add(a, b int32) int32 { return a + b }
