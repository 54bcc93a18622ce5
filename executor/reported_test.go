package executor

import (
	"log/slog"
	"testing"

	"github.com/wasmpool/wasmpool/internal/transport/mem"
)

// TestReported checks that a report waits for each worker that was asked, though
// another is lost after its answer, or was never asked.
func TestReported(t *testing.T) {
	t.Parallel()
	w := mem.New(3)
	root := w.Endpoint(0)
	l := newLoop(&intake{}, root.Bell(), slog.New(slog.DiscardHandler))
	l.addFabric(root, false)
	var workers []*worker
	for peer := 1; peer < 3; peer++ {
		worker := &worker{rank: peer, slots: 1, fabric: l.fabrics[0], peer: peer}
		workers = append(workers, worker)
		l.sched.join(worker)
	}
	p := &pendingReport{done: make(chan struct{})}
	over := func() bool {
		select {
		case <-p.done:
			return true
		default:
			return false
		}
	}
	l.ask(p)
	l.reported(workers[0]) // its answer
	l.reported(workers[0]) // its loss
	l.reported(&worker{rank: 3, lost: true})
	if over() {
		t.Error("the report does not wait for the second worker")
	}
	if l.reported(workers[1]); !over() {
		t.Error("the report waits though all have answered")
	}
	for rank := range 3 {
		if err := w.Endpoint(rank).Close(); err != nil {
			t.Error(err)
		}
	}
}
