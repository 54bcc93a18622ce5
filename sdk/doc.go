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
// and no environment.
//
// # Time and chance
//
// The clock and random numbers are made from the call, so that one that is run
// again, on another worker or in another job, gives the same result. Draw from
// [Rand], whose seed is the argument. The functions of math/rand, math/rand/v2 and
// crypto/rand, seeds of hash/maphash and the order of maps are a call's own, too: they
// are made from the module, the task and the argument. Calls with equal arguments
// draw equal numbers: where they must differ, put an index or a seed into the
// argument. Do not seed from [Call], which differs between jobs.
//
// Where instances are reused, which is the default, a call may find what earlier
// ones left: package variables with maps and generators, goroutines, the heap. So
// which goroutine runs first, which case a select takes, and the monotonic clock
// (the m= of a printed time) may differ from run to run; differences of times do
// not. Numbers that only the first call of an instance draws, such as the seeds of caches
// that encoding/json makes when a task first calls it, move what math/rand gives after
// them in that call. It does not move [Rand]. Under host.IsolationReset and IsolationFresh nothing differs.
//
// # Shared inputs
//
// What many calls read besides their arguments, such as weights or a table, is shared into them: it
// travels once to each node, and is there once for all guests. [Shared] gives it, by its name:
//
//	table, err := sdk.Shared("table")
//	if err != nil {
//		return nil, err
//	}
//	n, err := table.ReadAt(row, 64*i)
//
// The program shares it with executor.With, the command with --shared table=FILE.
//
// # Failing
//
// A task that returns an error, or panics, fails its own call; the caller gets
// the message and, of a panic, the stack. [Error] adds a code and [BadInput]
// says that it was the caller's fault. An end that cannot be caught (os.Exit, running
// out of memory or stack) fails the call too, and costs the worker a new
// instance.
//
// # Reading the source
//
//   - bytes.go, json.go, number.go: Bytes, JSON, StrictJSON, and numbers as JSON without encoding/json
//   - errors.go: Error and BadInput, and the status of an error
//   - panic.go: the message and stack of a panic
//   - call.go: Call, Attempt and Rank
//   - log.go: Log and LogAt
//   - random.go, random_wasip1.go: Rand
//   - generator_wasip1.go: the generator of Go's runtime, seeded for each call
//   - shared.go, shared_wasip1.go: Shared
//   - guest_wasip1.go: the host's functions, in a guest
//   - native.go: Trial, and what stands in for the host in a unit test
package sdk
