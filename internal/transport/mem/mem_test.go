package mem_test

import (
	"context"
	"errors"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/internal/transport/transporttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestConformance(t *testing.T) {
	t.Parallel()
	transporttest.Exercise(t, func(_ *testing.T, size int) []transport.Endpoint {
		w := mem.New(size)
		var ends []transport.Endpoint
		for rank := range size {
			ends = append(ends, w.Endpoint(rank))
		}
		return ends
	})
}

func TestLoss(t *testing.T) {
	t.Parallel()
	w := mem.New(3)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var survivor, victim sync.WaitGroup
	survivor.Go(func() {
		if err := transporttest.PlaySurvivor(ctx, w.Endpoint(1)); err != nil {
			t.Error(err)
		}
	})
	victim.Go(func() {
		if err := transporttest.PlaySurvivor(ctx, w.Endpoint(2)); err == nil {
			t.Error("the victim was told to leave")
		}
	})
	if err := transporttest.PlayLoss(ctx, w.Endpoint(0), 2, func() { w.Kill(2) }); err != nil {
		t.Error(err)
	}
	survivor.Wait()
	cancel()
	victim.Wait()
}

// TestRootLoss checks that workers are told of the root's death.
func TestRootLoss(t *testing.T) {
	t.Parallel()
	w := mem.New(2)
	w.Kill(0)
	h := &lossHandler{}
	if _, err := w.Endpoint(1).Poll(h); err != nil || h.rank != 0 || !errors.Is(h.err, mem.ErrKilled) {
		t.Errorf("%v, %+v", err, h)
	}
}

type lossHandler struct {
	rank int
	err  error
}

func (h *lossHandler) Frame(int, []byte)        {}
func (h *lossHandler) Lost(rank int, err error) { h.rank, h.err = rank, err }

// BenchmarkFrame sends a frame of 1 KiB and receives it.
func BenchmarkFrame(b *testing.B) {
	w := mem.New(2)
	from, to := w.Endpoint(0), w.Endpoint(1)
	frame := make([]byte, 1024)
	h := &lossHandler{}
	b.ReportAllocs()
	for b.Loop() {
		if err := from.Send(1, frame); err != nil {
			b.Fatal(err)
		}
		if n, err := to.Poll(h); n != 1 || err != nil {
			b.Fatal(n, err)
		}
	}
}

// TestFence checks that a fenced rank is lost to both sides.
func TestFence(t *testing.T) {
	t.Parallel()
	w := mem.New(3)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var workers sync.WaitGroup
	for rank := 1; rank < 3; rank++ {
		workers.Go(func() {
			err := transporttest.PlaySurvivor(ctx, w.Endpoint(rank))
			if fenced := rank == 2; errors.Is(err, transporttest.ErrRootLost) != fenced || err != nil && !fenced {
				t.Errorf("rank %d: %v", rank, err)
			}
		})
	}
	root := w.Endpoint(0)
	if err := transporttest.PlayLoss(ctx, root, 2, func() { root.Fence(2, errors.New("for the test")) }); err != nil {
		t.Error(err)
	}
	workers.Wait()
}
