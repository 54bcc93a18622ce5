//go:build mpi

package mpi

import (
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/transport"
)

// TestLateWorker checks that a worker does not take the root for lost while that
// still waits for another worker, which is when it has no pulse.
func TestLateWorker(t *testing.T) {
	const silence = time.Second // the root has no pulse, also when all are there: it is looked at before
	root, text, err := listen(3, nil, transport.NewBell(), func(*card) {})
	if err != nil {
		t.Fatal(err)
	}
	defer root.close()
	accepted := make(chan error, 1)
	go func() { accepted <- root.accept(t.Context()) }()
	var workers []*lifeline
	for rank := 1; rank <= 2; rank++ {
		w, err := dial(t.Context(), text, rank, transport.NewBell(), func(*card) bool { return false })
		if err != nil {
			t.Fatal(err)
		}
		defer w.close()
		workers = append(workers, w)
		if rank == 1 {
			if err := w.startPulse(rank, silence); err != nil {
				t.Fatal(err)
			}
			time.Sleep(5 * silence / 2)
		}
	}
	if err := <-accepted; err != nil {
		t.Fatal(err)
	}
	if workers[0].ended.Load() {
		t.Errorf("the root is lost before all workers are there: %v", workers[0].takeEnded())
	}
}

// ShortenFinalize is for tests in which ranks wait for others at the end.
func ShortenFinalize(d time.Duration) { finalizeTimeout = d }
