package main

import (
	"bytes"
	"os"
	"testing"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/internal/unittest"
)

// The guest is what its text says.
func TestGuest(t *testing.T) {
	text, err := os.ReadFile("guest.wat")
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(unittest.Assemble(t, string(text)), guest) {
		t.Error("guest.wasm is not that of guest.wat: run go generate")
	}
}

// What is measured is right, in one process; make bench-shared runs it on ranks.
func TestBench(t *testing.T) {
	b := bench{mib: 3, mibCompiled: 2, calls: 200, rounds: 2, dir: t.TempDir()}
	if err := executor.Run(t.Context(), executor.Config{RootSlots: 2, SharedDir: b.dir}, b.run); err != nil {
		t.Fatal(err)
	}
	for what, n := range map[string]int{"compiled": len(b.compiled), "moved": len(b.moved), "shared": len(b.shared), "again": len(b.again), "first": len(b.first)} {
		if n != b.rounds {
			t.Errorf("%s was measured %d times", what, n)
		}
	}
}
