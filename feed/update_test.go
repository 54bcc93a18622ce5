package feed_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmpool/wasmpool/feed"
	"github.com/wasmpool/wasmpool/host"
)

// TestMerge checks that sums are those of both, and that the second one stays as it is.
func TestMerge(t *testing.T) {
	t.Parallel()
	one := func(n uint64) feed.Task {
		u := feed.Task{Name: "a", Done: n, Failed: 2 * n, Again: n, Kinds: map[host.Kind]uint64{host.KindPanic: n}, In: n, Out: 3 * n, Measured: n, Instructions: 10 * n, Memory: n}
		u.Ran.Add(time.Duration(n))
		u.Queued.Add(time.Duration(n) * time.Second)
		return u
	}
	var sum feed.Task
	sum.Name = "a"
	first, second := one(1), one(2)
	sum.Merge(&first)
	sum.Merge(&second)
	want := one(3)
	want.Memory, want.Ran, want.Queued = 2, feed.Durations{}, feed.Durations{}
	for _, n := range []time.Duration{1, 2} {
		want.Ran.Add(n)
		want.Queued.Add(n * time.Second)
	}
	if diff := cmp.Diff(want, sum); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(one(1), first); diff != "" {
		t.Error("what was added has changed:", diff)
	}
}
