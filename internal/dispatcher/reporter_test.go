package dispatcher

import (
	"log/slog"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/transport/mem"
)

// TestReported checks that a report waits for each worker that was asked, though
// another is lost after its answer, or was never asked.
func TestReported(t *testing.T) {
	t.Parallel()
	w := mem.New(3)
	root := w.Endpoint(0)
	d := New(Config{Bell: root.Bell(), Logger: slog.New(slog.DiscardHandler)})
	d.AddWorkers(root, false)
	l := d.lock.loop
	var workers []*worker
	for peer := 1; peer < 3; peer++ {
		worker := &worker{rank: peer, slots: 1, fabric: l.fabrics[0], peer: peer}
		workers = append(workers, worker)
		l.sched.join(worker)
	}
	q := newQuestion()
	over := func() bool {
		select {
		case <-q.done:
			return true
		default:
			return false
		}
	}
	l.ask(q)
	l.answered(workers[0]) // its answer
	l.answered(workers[0]) // its loss
	l.answered(&worker{rank: 3, lost: true})
	if over() {
		t.Error("the report does not wait for the second worker")
	}
	if l.answered(workers[1]); !over() {
		t.Error("the report waits though all have answered")
	}
	for rank := range 3 {
		if err := w.Endpoint(rank).Close(); err != nil {
			t.Error(err)
		}
	}
}

// TestReporterDue checks when a report is due by itself, without a clock.
func TestReporterDue(t *testing.T) {
	t.Parallel()
	const s = int64(time.Second)
	r := reporter{every: time.Minute}
	check := func(now int64, want bool) {
		t.Helper()
		quiet, due := r.due(now)
		if due != want || due && quiet != time.Duration(now-r.ended) {
			t.Errorf("after %d s: due %t after %v, want %t", now/s, due, quiet, want)
		}
	}
	r.progress(0)
	check(60*s-1, false)
	check(60*s, true)
	check(120*s-1, false) // twice as long
	check(120*s, true)
	r.progress(200 * s)
	check(260*s-1, false)
	r.stop(230 * s) // calls keep it from that
	check(233*s-1, false)
	check(233*s, true)
	check(266*s-1, false)
	r.progress(300 * s) // it is no hurry after the first
	check(360*s-1, false)
	r.stop(310 * s)
	r.progress(311 * s)
	check(314*s, true)
	r = reporter{}
	r.progress(0)
	r.stop(s)
	check(1000*s, false)
}
