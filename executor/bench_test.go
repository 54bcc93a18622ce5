package executor_test

import (
	"testing"

	"github.com/wasmpool/wasmpool/executor"
)

func BenchmarkCall(b *testing.B) {
	ex := open(b, executor.Config{RootSlots: 1})
	arg := number(1)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := ex.Call(b.Context(), "echo", arg); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkSubmit(b *testing.B) {
	ex := open(b, executor.Config{RootSlots: 1})
	arg := number(1)
	futures := make([]*executor.Future, 0, b.N)
	b.ReportAllocs()
	b.ResetTimer()
	for range b.N {
		futures = append(futures, ex.Submit(b.Context(), "echo", arg))
	}
	for _, f := range futures {
		if _, err := f.Result(b.Context()); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMap(b *testing.B) {
	ex := open(b, executor.Config{RootSlots: 1})
	arg := number(1)
	b.ReportAllocs()
	b.ResetTimer()
	same := func(yield func([]byte) bool) {
		for range b.N {
			if !yield(arg) {
				return
			}
		}
	}
	for _, err := range ex.Map(b.Context(), "echo", same) {
		if err != nil {
			b.Fatal(err)
		}
	}
}
