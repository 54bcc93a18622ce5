package executor_test

import (
	"slices"
	"testing"

	"github.com/wasmpool/wasmpool/executor"
)

func TestTyped(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	square := executor.NewTyped[float64, float64](ex, "square", executor.Tags("typed"))
	if got, err := square.Call(t.Context(), 12); got != 144 || err != nil {
		t.Errorf("square(12) = %v, %v", got, err)
	}
	sum := executor.NewTyped[[]float64, float64](ex, "sum")
	if got, err := sum.Submit(t.Context(), []float64{1, 2, 3.5}).Result(t.Context()); got != 6.5 || err != nil {
		t.Errorf("sum = %v, %v", got, err)
	}
	echo := executor.WithCodecs(ex, "echo", executor.Raw(), executor.Raw())
	if got, err := echo.Call(t.Context(), []byte("abc")); string(got) != "abc" || err != nil {
		t.Errorf("echo = %q, %v", got, err)
	}
	want := 0.0
	for got, err := range square.Map(t.Context(), slices.Values([]float64{0, 1, 2, 3}), executor.Buffer(2)) {
		if got != want*want || err != nil {
			t.Errorf("square(%v) = %v, %v", want, got, err)
		}
		want++
	}
	wrong := executor.NewTyped[float64, string](ex, "square")
	if _, err := wrong.Call(t.Context(), 2); err == nil {
		t.Error("a number was decoded as a string")
	}
	if _, err := executor.NewTyped[func(), float64](ex, "square").Call(t.Context(), nil); err == nil {
		t.Error("a function was encoded")
	}
}

// TestTypedFutures checks that what takes futures takes those with types.
func TestTypedFutures(t *testing.T) {
	t.Parallel()
	ex := shape(t).Fork()
	square := executor.NewTyped[float64, float64](ex, "square")
	var futures []*executor.TypedFuture[float64]
	for i := range 10 {
		futures = append(futures, square.Submit(t.Context(), float64(i)))
	}
	done, pending, err := executor.Wait(t.Context(), append(futures, futures[0]), executor.AllDone)
	if len(done) != 10 || len(pending) != 0 || err != nil || done[3] != futures[3] {
		t.Errorf("Wait: %d done, %d pending, %v", len(done), len(pending), err)
	}
	sum := 0.0
	for f, err := range executor.AsCompleted(t.Context(), futures) {
		if err != nil {
			t.Fatal(err)
		}
		got, err := f.Result(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sum += got
	}
	if sum != 285 {
		t.Errorf("the squares add up to %v", sum)
	}
	squares, err := executor.Collect(t.Context(), futures)
	if err != nil || len(squares) != 10 || squares[9] != 81 {
		t.Errorf("Collect: %v, %v", squares, err)
	}
	wrong := executor.NewTyped[float64, string](ex, "square")
	if _, err := executor.Collect(t.Context(), []*executor.TypedFuture[string]{wrong.Submit(t.Context(), 2)}); err == nil {
		t.Error("a number was decoded as a string")
	}
}
