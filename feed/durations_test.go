package feed_test

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/feed"
)

// TestSizes checks that sizes lie one after the other, and that each duration is of its size.
func TestSizes(t *testing.T) {
	t.Parallel()
	for size := range feed.MostSizes - 1 {
		least, next := feed.Least(size), feed.Least(size+1)
		if feed.SizeOf(least) != size || feed.SizeOf(next-1) != size || next <= least {
			t.Fatalf("size %d is from %d to %d, which are of sizes %d and %d", size, least, next-1, feed.SizeOf(least), feed.SizeOf(next-1))
		}
	}
	for d, want := range map[time.Duration]int{-5: 0, 0: 0, math.MaxInt64: feed.MostSizes - 1} {
		if got := feed.SizeOf(d); got != want {
			t.Errorf("%d is of size %d, want %d", d, got, want)
		}
	}
}

// TestQuantile compares quantiles with those of a sorted list.
func TestQuantile(t *testing.T) {
	t.Parallel()
	random := rand.New(rand.NewPCG(1, 2)) //nolint:gosec // the same numbers each time
	var all, half, other feed.Durations
	var list []time.Duration
	for i := range 10_000 {
		d := time.Duration(math.Exp(random.Float64() * 25))
		list = append(list, d)
		all.Add(d)
		if i%2 == 0 {
			half.Add(d)
		} else {
			other.Add(d)
		}
	}
	slices.Sort(list)
	for _, q := range []float64{0, 0.01, 0.5, 0.99, 1} {
		want := list[min(int(q*float64(len(list))), len(list)-1)]
		got := all.Quantile(q)
		if off := math.Abs(float64(got-want)) / float64(want); off > 0.13 && got-want > 2 || got > all.Max {
			t.Errorf("quantile %v is %v, want %v", q, got, want)
		}
	}
	half.Merge(&other)
	if half != all {
		t.Error("two halves that are merged are not the whole")
	}
	var none feed.Durations
	if none.Quantile(0.5) != 0 || none.Mean() != 0 {
		t.Error("nothing has a duration")
	}
}
