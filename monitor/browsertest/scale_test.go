package browsertest

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/cdproto/performance"
	"github.com/chromedp/chromedp"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/feed"
	"github.com/wasmpool/wasmpool/monitor"
)

// What TestScale holds the page to.
const (
	manyWorkers = 64
	manySlots   = 32
	mostUpdate  = 50 * time.Millisecond // of CPU time of the page's thread, for one update: script, style, layout and drawing
	mostBytes   = 200_000               // of an update
	updates     = 4                     // that are measured together
	spans       = 3                     // of so many updates; the cheapest counts, as others use the machine, too
)

// A crowd is a pool of many workers, each of whose slots ends a run each second. It stands for one in memory.
type crowd struct {
	monitor.Pool
	calls atomic.Uint64
}

// Watch implements [monitor.Pool].
func (c *crowd) Watch(ctx context.Context, every time.Duration) iter.Seq2[*feed.Update, error] {
	return func(yield func(*feed.Update, error) bool) {
		last, begun := time.Now(), time.Now()
		tick := time.NewTicker(every)
		defer tick.Stop()
		for second := 0; ; second++ {
			u := c.update(second, begun, last)
			last = u.End
			if !yield(u, nil) {
				return
			}
			select {
			case <-tick.C:
			case <-ctx.Done():
				yield(nil, ctx.Err())
				return
			}
		}
	}
}

// update returns what has happened since the last update.
func (c *crowd) update(second int, begun, last time.Time) *feed.Update {
	u := &feed.Update{Begin: last, End: time.Now(), Queued: 100_000 - second, InFlight: 2 * manyWorkers * manySlots}
	tasks := make([]feed.Task, 20)
	for i := range tasks {
		tasks[i].Name = fmt.Sprintf("task%02d", i)
	}
	for rank := 1; rank <= manyWorkers; rank++ {
		u.Workers = append(u.Workers, feed.Worker{
			Rank: rank, Host: fmt.Sprintf("node%02d.cluster", rank), PID: 1000 + rank, Slots: manySlots, Joined: begun, InFlight: 2 * manySlots,
			Runs: uint64(second * manySlots), Ran: time.Duration(second*manySlots) * 900 * time.Millisecond,
		})
		for slot := range manySlots {
			if second == 0 {
				continue
			}
			number := c.calls.Add(1)
			task := &tasks[number%20]
			took := 700*time.Millisecond + time.Duration(number%10)*40*time.Millisecond
			task.Done++
			task.Ran.Add(took)
			task.Queued.Add(time.Second)
			if slot%2 == second%2 && len(u.Runs) < feed.MostRuns { // the others have no record
				u.Runs = append(u.Runs, feed.Run{
					Call: number, Task: task.Name, Attempt: 1, Rank: rank, Host: "node", Slot: slot, Began: u.End.Add(-took), Ended: u.End, Ran: took,
				})
			} else {
				u.Omitted++
			}
		}
	}
	u.Tasks = slices.DeleteFunc(tasks, func(t feed.Task) bool { return t.Done == 0 })
	u.Done = c.calls.Load()
	u.Submitted = u.Done + uint64(u.Queued+u.InFlight)
	return u
}

// Report implements [monitor.Pool].
func (c *crowd) Report(context.Context) (executor.Report, error) {
	var r executor.Report
	for rank := 1; rank <= manyWorkers; rank++ {
		w := executor.WorkerReport{Rank: rank, Host: "node", Slots: manySlots, InFlight: 2 * manySlots, Answered: true, Memory: 1 << 30, Guests: 1 << 29}
		for slot := range manySlots {
			number := c.calls.Load() + uint64(rank*manySlots+slot)
			w.Running = append(w.Running, executor.RunningCall{Number: number, Task: fmt.Sprintf("task%02d", number%20), Slot: slot, For: time.Duration(slot) * 10 * time.Millisecond})
		}
		r.Workers = append(r.Workers, w)
	}
	return r, nil
}

// TestScale measures what an update costs the page of a pool of 64 workers with 32 slots each, and how long it is.
func TestScale(t *testing.T) {
	m, err := monitor.New(t.Context(), &crowd{}, monitor.Config{Title: "2,048 slots"})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	server, err := monitor.Serve(t.Context(), "", m)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	p := newTab(t, 1280, 1000)
	call(p, network.Enable, network.EnableParams{})
	call(p, performance.Enable, performance.EnableParams{TimeDomain: performance.EnableTimeDomainThreadTicks})
	var received atomic.Int64
	if err := chromedp.Listen(p.ctx, func(e any) {
		if data, ok := e.(*network.EventDataReceived); ok {
			received.Add(data.DataLength)
		}
	}); err != nil {
		t.Fatal(err)
	}
	p.open(server.URL())
	p.until("many slots are shown", `seen.rows("workers").length === 64 && seen.rows("running").length === 50 && seen.painted("c-stream", "--t0") > 100`)
	best := cost{all: time.Hour}
	for range spans {
		if c := measure(p, m, &received); c.all < best.all {
			best = c
		}
	}
	t.Logf("an update of %d slots takes %v of the page's thread, %v of that for the script, %v for layout, and has %d bytes", manyWorkers*manySlots, best.all, best.script, best.layout, best.bytes)
	if best.all > mostUpdate || best.bytes > mostBytes {
		t.Errorf("an update takes %v of CPU time and has %d bytes, want %v and %d at most", best.all, best.bytes, mostUpdate, mostBytes)
	}
	if best.all <= 0 || best.bytes < 10_000 {
		t.Errorf("%v and %d bytes: nothing was measured", best.all, best.bytes)
	}
	p.picture("scale.png")
	p.steady(0.1)
}

// A cost is what an update takes: CPU time of the page's thread, for the script, for layout and styles, and in all, and bytes.
type cost struct {
	script, layout, all time.Duration
	bytes               int64
}

// measure returns the mean of some updates.
func measure(p *tab, m *monitor.Monitor, received *atomic.Int64) cost {
	p.t.Helper()
	from, first := spent(p, received), m.State().Seq
	for m.State().Seq < first+updates {
		time.Sleep(20 * time.Millisecond)
	}
	to, n := spent(p, received), time.Duration(m.State().Seq-first)
	return cost{(to.script - from.script) / n, (to.layout - from.layout) / n, (to.all - from.all) / n, (to.bytes - from.bytes) / int64(n)}
}

// spent returns what the page has cost so far.
func spent(p *tab, received *atomic.Int64) cost {
	p.t.Helper()
	c := cost{bytes: received.Load()}
	for _, metric := range call(p, performance.GetMetrics, struct{}{}).Metrics {
		d := time.Duration(metric.Value * float64(time.Second))
		switch metric.Name {
		case "ScriptDuration":
			c.script = d
		case "LayoutDuration", "RecalcStyleDuration":
			c.layout += d
		case "TaskDuration":
			c.all = d
		}
	}
	return c
}
