// Package sdk is what the author of a Go task module imports. It is compiled
// into the module, and depends on the standard library only.
//
// A task is an ordinary function and a wrapper of one line, marked for export.
// This is a whole module:
//
//	package main
//
//	import (
//		"bytes"
//
//		"github.com/wasmpool/wasmpool/sdk"
//	)
//
//	//go:wasmexport upper
//	func upper() int32 { return sdk.Bytes(Upper) }
//
//	// Upper returns the text in upper case.
//	func Upper(text []byte) ([]byte, error) { return bytes.ToUpper(text), nil }
//
//	func main() {}
//
// And this is its test; functions of the task are tested as any others are,
// and [Trial] tests a wrapper:
//
//	func TestUpper(t *testing.T) {
//		got, err := Upper([]byte("abc"))
//		if err != nil || string(got) != "ABC" {
//			t.Errorf("Upper(abc) = %q, %v", got, err)
//		}
//	}
//
// Build it with "wasmpool build", with wasmtasks.Build, or with
//
//	GOOS=wasip1 GOARCH=wasm go build -buildmode=c-shared -o tasks.wasm
//
// Functions whose parameters and result are plain numbers need no sdk: export
// func add(a, b int32) int32 and call it.
//
// # What a task may rely on
//
// One call runs at a time in an instance of the module. Package variables may
// or may not survive from one call to the next, so they are good for caches
// only. Goroutines run while their call does. There are no files, no network
// and no environment; the clock and random numbers are the same in every run,
// so a call that is run again, on another worker, gives the same result. To
// make random numbers differ between calls, seed them from the argument; or with
// [Call], which differs between calls but also between jobs.
//
// # Failing
//
// A task that returns an error, or panics, fails its own call; the caller gets
// the message and, of a panic, the stack. [Error] adds a code and [BadInput]
// says that it was the caller's fault. What cannot be caught (os.Exit, running
// out of memory or stack) fails the call too, and costs the worker a new
// instance.
package sdk
