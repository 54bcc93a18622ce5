package executor_test

import (
	"context"
	"iter"
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

// manyCalls are the ways to make many calls.
func manyCalls(ex *executor.Executor) map[string]mapFunc {
	return map[string]mapFunc{
		"Map": ex.Map, "MapUnordered": ex.MapUnordered,
		"Stream": func(ctx context.Context, task string, args iter.Seq[[]byte], opts ...executor.MapOption) iter.Seq2[[]byte, error] {
			return ex.Stream(ctx, task, args, opts...).All(ctx)
		},
		"StreamUnordered": func(ctx context.Context, task string, args iter.Seq[[]byte], opts ...executor.MapOption) iter.Seq2[[]byte, error] {
			return ex.StreamUnordered(ctx, task, args, opts...).All(ctx)
		},
		"Batch": func(ctx context.Context, task string, args iter.Seq[[]byte], opts ...executor.MapOption) iter.Seq2[[]byte, error] {
			return ex.SubmitBatch(ctx, task, args, opts...).Ordered(ctx)
		},
	}
}

func repeat(n int) iter.Seq[[]byte] {
	arg := number(1)
	return func(yield func([]byte) bool) {
		for range n {
			if !yield(arg) {
				return
			}
		}
	}
}

// BenchmarkMany makes b.N calls at once: what is measured is one of them.
func BenchmarkMany(b *testing.B) {
	ex := open(b, executor.Config{RootSlots: 1})
	for name, each := range manyCalls(ex) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for _, err := range each(b.Context(), "echo", repeat(b.N)) {
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkFew makes three calls at once: what is measured is what it costs to begin and to end.
func BenchmarkFew(b *testing.B) {
	ex := open(b, executor.Config{RootSlots: 1})
	for name, each := range manyCalls(ex) {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				for _, err := range each(b.Context(), "echo", repeat(3)) {
					if err != nil {
						b.Fatal(err)
					}
				}
			}
		})
	}
}
