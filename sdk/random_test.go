//go:build !wasip1

package sdk_test

import (
	"bytes"
	"fmt"
	"testing"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/sdk"
)

// draw is the task of that name in testdata/guest.
func draw() int32 {
	return sdk.Bytes(func([]byte) ([]byte, error) {
		return fmt.Appendf(nil, "%d %v %v", sdk.Rand().Uint64(), sdk.Rand().NormFloat64(), sdk.Rand().Perm(9)), nil
	})
}

// A call draws the same numbers in each run, and in a trial; its argument decides which.
func TestRand(t *testing.T) {
	t.Parallel()
	slot := newGuest(t)
	drawn := map[string]string{}
	for _, arg := range []string{"", "1", "2", "1 ", string(bytes.Repeat([]byte("long"), 10_000))} {
		want, err := sdk.Trial{Arg: []byte(arg)}.Run(draw)
		if err != nil {
			t.Fatal(err)
		}
		for attempt := range 3 {
			for _, g := range []*guest{slot, newGuest(t)} {
				call := host.Call{Number: uint64(attempt), Attempt: attempt, Arg: []byte(arg)}
				if len(arg) > 16<<10 { // as a worker does
					call.Arg, call.ArgLen, call.ReadArg = nil, int64(len(arg)), func(dst []byte) error { copy(dst, arg); return nil }
				}
				if got, err := g.run(t, "draw", call); err != nil || got != string(want) {
					t.Errorf("argument %.9q draws %s, %v, in a trial %s", arg, got, err, want)
				}
			}
		}
		if other, ok := drawn[string(want)]; ok {
			t.Errorf("arguments %.9q and %.9q draw the same", arg, other)
		}
		drawn[string(want)] = arg
	}
}

// The SDK finds the generator of the Go runtime. When this fails, as it may with a new
// version of Go, what generator_wasip1.go knows of the runtime is no longer true.
func TestGoGenerator(t *testing.T) {
	t.Parallel()
	g := newGuest(t)
	seen := map[string]string{}
	for _, arg := range []string{"a", "b", "c"} {
		first, err := g.run(t, "seeded", host.Call{Arg: []byte(arg)})
		if err != nil {
			t.Fatal(err)
		}
		if again, err := g.run(t, "seeded", host.Call{Arg: []byte(arg)}); err != nil || again != first {
			t.Errorf("argument %s gives %s, %v, and gave %s", arg, again, err, first)
		}
		if other, ok := seen[first]; ok {
			t.Errorf("arguments %s and %s give the same numbers", arg, other)
		}
		seen[first] = arg
	}
}
