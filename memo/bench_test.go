package memo_test

import (
	"encoding/binary"
	"iter"
	"testing"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/memo"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// keyOf returns the key of the i-th result.
func keyOf(task *executor.MemoTask, i int) *executor.MemoKey {
	k := &executor.MemoKey{Task: task}
	binary.LittleEndian.PutUint64(k.Arg[:], uint64(i))
	binary.LittleEndian.PutUint64(k.Sum[:], uint64(i)*0x9e3779b97f4a7c15)
	binary.LittleEndian.PutUint64(k.Sum[8:], uint64(i))
	return k
}

var someTask = &executor.MemoTask{Digest: [32]byte{1, 2, 3}, Name: "square@0123456789ab", Settings: `{"task":"square"}`}

// BenchmarkKeep writes results of 100 B, with a Sync each 10,000 and at the end.
func BenchmarkKeep(b *testing.B) {
	s := memo.New(b.TempDir(), memo.Config{})
	if err := s.Open(); err != nil {
		b.Fatal(err)
	}
	result := make([]byte, 100)
	n := 0
	for b.Loop() {
		n++
		s.Find(b.Context(), keyOf(someTask, -n))
		s.Keep(keyOf(someTask, n), result)
		if n%10_000 == 0 {
			if err := s.Sync(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "results/s")
}

// BenchmarkFind finds results of 100 B, in the order in which they were kept and in another.
func BenchmarkFind(b *testing.B) {
	const most = 1_000_000
	dir := b.TempDir()
	s := memo.New(dir, memo.Config{})
	if err := s.Open(); err != nil {
		b.Fatal(err)
	}
	for i := range most {
		s.Find(b.Context(), keyOf(someTask, -i-1))
		s.Keep(keyOf(someTask, i), make([]byte, 100))
	}
	if err := s.Close(); err != nil {
		b.Fatal(err)
	}
	for _, order := range []struct {
		name string
		step int
	}{{"order=same", 1}, {"order=other", 7919}} {
		b.Run(order.name, func(b *testing.B) {
			if err := s.Open(); err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			b.ResetTimer()
			n := 0
			for b.Loop() {
				if _, ok := s.Find(b.Context(), keyOf(someTask, n*order.step%most)); !ok {
					b.Fatal("lost", n)
				}
				n++
			}
			b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "results/s")
		})
	}
}

// numbers yields n arguments.
func numbers(n int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range n {
			if !yield(binary.LittleEndian.AppendUint64(nil, uint64(i))) {
				return
			}
		}
	}
}

// echoWAT is a task that gives 100 bytes, which begin with its argument.
const echoWAT = `(module
	(import "wasmpool" "input_read" (func $read (param i32 i32 i32) (result i32)))
	(import "wasmpool" "output_write" (func $write (param i32 i32)))
	(memory (export "memory") 1)
	(func (export "echo") (result i32)
	  (drop (call $read (i32.const 0) (i32.const 0) (i32.const 100)))
	  (call $write (i32.const 0) (i32.const 100)) (i32.const 0)))`

// BenchmarkMap maps calls whose results are all in the memo.
func BenchmarkMap(b *testing.B) {
	module, err := wasmtasks.Load("m", unittest.Assemble(b, echoWAT))
	if err != nil {
		b.Fatal(err)
	}
	store := memo.New(b.TempDir(), memo.Config{})
	run := func(n int) {
		ex, err := executor.Local(executor.Config{Modules: []*wasmtasks.Module{module}, Memo: store, Sandbox: host.Config{Isolation: host.IsolationReset}})
		if err != nil {
			b.Fatal(err)
		}
		defer ex.Shutdown(b.Context()) //nolint:errcheck // of a benchmark
		for _, err := range ex.Map(b.Context(), "echo", numbers(n)) {
			if err != nil {
				b.Fatal(err)
			}
		}
	}
	const most = 200_000
	run(most)
	b.ResetTimer()
	n := 0
	for b.Loop() {
		run(most)
		n += most
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "found/s")
}
