package dispatcher

import (
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
)

// TestOpenCalls holds sets of calls of a block against the same in a slice.
func TestOpenCalls(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(1, 2))
	var set openCalls
	var want [MaxBlock]bool
	for range 20_000 {
		i := rnd.IntN(MaxBlock)
		n := 1 + rnd.IntN(MaxBlock-i)
		if rnd.IntN(2) == 0 {
			n = 1 + rnd.IntN(min(8, MaxBlock-i))
		}
		in := rnd.IntN(2) == 0
		if in {
			set.set(i, n)
		} else {
			set.clear(i, n)
		}
		for k := range n {
			want[i+k] = in
		}
		i = rnd.IntN(MaxBlock)
		n = 1 + rnd.IntN(MaxBlock-i)
		part := want[i:][:n]
		gap := slices.Index(part, false)
		if set.has(i, n) != (gap < 0) {
			t.Fatalf("has(%d, %d) is %t", i, n, gap >= 0)
		}
		if gap < 0 {
			gap = n
		}
		if got := set.from(i, n); got != gap {
			t.Fatalf("from(%d, %d) is %d, want %d", i, n, got, gap)
		}
		var runs []run
		for k, in := range part {
			switch last := len(runs) - 1; {
			case !in:
			case k > 0 && part[k-1]:
				runs[last].n++
			default:
				runs = append(runs, run{i + k, 1})
			}
		}
		if got := set.runs(i, n); !slices.Equal(got, runs) {
			t.Fatalf("runs(%d, %d) are %v, want %v", i, n, got, runs)
		}
	}
}

// sinkFunc is a BlockSink.
type sinkFunc func(b *Block, i, n int, first int64)

// Settled implements BlockSink.
func (f sinkFunc) Settled(b *Block, i, n int, first int64) bool {
	f(b, i, n, first)
	return false
}

// TestBlockCloses adds calls to blocks while they are closed: each call is in one, or Add has said no.
func TestBlockCloses(t *testing.T) {
	t.Parallel()
	b := NewBlock(MaxBlock, false)
	for range 2000 {
		b.Prepare(new(Owner), nil, 0, nil, nil, 0, 100)
		var closer sync.WaitGroup
		closed := 0
		closer.Go(func() { closed = b.Close() })
		added := 0
		for {
			ok, full := b.Add([]byte{byte(added)})
			if ok {
				added++
			}
			if !ok || full {
				break
			}
		}
		closer.Wait()
		if n, over := b.Len(); closed != added || n != added || !over || b.Close() != added {
			t.Fatalf("%d calls were added, Close says %d, Len %d, %t", added, closed, n, over)
		}
		for i := range added {
			if b.data[i][0] != byte(i) {
				t.Fatalf("call %d has the argument %d", i, b.data[i][0])
			}
		}
	}
}

// TestBlockReady settles the calls of blocks in any order: who takes them sees those without a gap.
func TestBlockReady(t *testing.T) {
	t.Parallel()
	rnd := rand.New(rand.NewPCG(3, 4))
	b := NewBlock(MaxBlock, false)
	for range 200 {
		n := 1 + rnd.IntN(MaxBlock)
		told := 0
		left := 0
		owner := &Owner{Left: func() { left++ }}
		b.Prepare(owner, nil, 0, nil, sinkFunc(func(_ *Block, i, n int, first int64) {
			if first != 1000+int64(i) {
				t.Errorf("call %d is known as %d", i, first)
			}
			told += n
		}), 1000, n)
		for range n {
			b.Add(nil)
		}
		b.unsettled = b.Close()
		var done [MaxBlock + 1]bool
		for _, i := range rnd.Perm(n) {
			if rnd.IntN(3) == 0 {
				b.fail(i, ErrCancelled)
			}
			b.settle(i, 1)
			done[i] = true
			from := rnd.IntN(n)
			if got, want := b.Ready(from), slices.Index(done[from:], false); got != want {
				t.Fatalf("from call %d on %d are ready, want %d", from, got, want)
			}
		}
		if told != n || left != 1 {
			t.Errorf("the sink heard of %d of %d calls, the owner %d times", told, n, left)
		}
		for i := range n {
			if b.Spent() {
				t.Fatalf("it is spent after %d of %d calls", i, n)
			}
			b.Take(i, nil) //nolint:errcheck // some have one
		}
		if !b.Spent() {
			t.Fatalf("it is not spent after %d calls", n)
		}
	}
}

// TestStretchFits cuts stretches at what a frame takes.
func TestStretchFits(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct{ length, calls, want int }{{8, 256, 256}, {0, 256, 256}, {100, 256, 37}, {1023, 256, 3}, {1023, 2, 2}, {1023, 1, 1}} {
		b := NewBlock(MaxBlock, false)
		b.Prepare(new(Owner), nil, 0, nil, nil, 0, tc.calls)
		for range tc.calls {
			b.Add(make([]byte, tc.length))
		}
		b.whole.init(b, 0, b.Close(), b.size(0, tc.calls), nil)
		for n := 1; n <= tc.calls; n++ {
			want := min(n, tc.want)
			if got, bytes := b.whole.fits(n); got != want || bytes != int64(want*tc.length) {
				t.Errorf("of %d of %d calls of %d bytes %d fit, %d bytes, want %d", n, tc.calls, tc.length, got, bytes, want)
			}
		}
	}
}
