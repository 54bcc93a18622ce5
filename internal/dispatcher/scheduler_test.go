package dispatcher

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"unsafe"
)

// A simulation runs the scheduler against workers that exist only as lists of
// what they hold.
type simulation struct {
	t      testing.TB
	s      *scheduler
	held   map[*worker][]*Call
	done   map[*Call]int // how often each call was resolved
	number uint64
	counts counts
	tasks  []*Task
	owner  *Owner
}

func newSimulation(t testing.TB, workers, slots int) *simulation {
	sim := &simulation{t: t, s: newScheduler(), held: map[*worker][]*Call{}, done: map[*Call]int{}}
	sim.owner = &Owner{Dispatcher: &Dispatcher{shared: shared{in: &intake{}}}}
	for i := range 3 {
		sim.tasks = append(sim.tasks, &Task{name: fmt.Sprint("task", i), number: uint32(i)})
	}
	for i := range workers {
		sim.s.join(&worker{rank: i + 1, slots: slots})
	}
	return sim
}

func (sim *simulation) submit(task int, priority int8) *Call {
	sim.number++
	c := &Call{owner: sim.owner, task: sim.tasks[task], number: sim.number, attempt: 1, priority: priority}
	sim.s.queue.push(c)
	sim.done[c] = 0
	return c
}

func (sim *simulation) assign() {
	sim.s.assign(func(w *worker, c *Call) {
		if w.lost {
			sim.t.Fatalf("call %d goes to rank %d, which is lost", c.number, w.rank)
		}
		sim.held[w] = append(sim.held[w], c)
	})
}

func (sim *simulation) finish(w *worker, i int, nanos int64) {
	c := sim.held[w][i]
	sim.held[w] = append(sim.held[w][:i], sim.held[w][i+1:]...)
	if got := sim.s.lookup(w, c.ticket, uint32(c.number)); got != c {
		sim.t.Fatalf("ticket %d of call %d finds %v", c.ticket, c.number, got)
	}
	c.task.learn(nanos, 1)
	sim.s.release(w, c)
	sim.s.place(w)
	c.finish(nil, nil, &sim.counts)
	sim.done[c]++
}

func (sim *simulation) requeue(c *Call) {
	if !c.leave(Pending) {
		sim.t.Fatalf("call %d is %v after it was in flight", c.number, c.State())
	}
	sim.s.queue.pushFront(c)
}

// check holds what must always be true after assign.
func (sim *simulation) check() {
	t := sim.t
	t.Helper()
	flying := 0
	for _, w := range sim.s.workers {
		if w.inflight != len(sim.held[w]) {
			t.Fatalf("rank %d: %d in flight, %d held", w.rank, w.inflight, len(sim.held[w]))
		}
		var load int64
		for _, c := range sim.s.callsOf(w) {
			load += int64(c.estimate)
		}
		if load != w.load {
			t.Fatalf("rank %d: load %d, its calls add up to %d", w.rank, w.load, load)
		}
		if !w.lost && w.inflight < w.slots && sim.s.queue.n > 0 {
			t.Fatalf("rank %d has a free slot while %d calls wait", w.rank, sim.s.queue.n)
		}
		flying += w.inflight
	}
	if got := len(sim.s.tickets) - len(sim.s.free); got != flying {
		t.Fatalf("%d tickets are out, %d calls in flight", got, flying)
	}
}

// TestSchedulerRandom drives a million random steps and checks the invariants.
func TestSchedulerRandom(t *testing.T) {
	t.Parallel()
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	rnd := rand.New(rand.NewPCG(seed, 1))
	sim := newSimulation(t, 7, 2)
	cancelled := map[*Call]bool{}
	steps := 1_000_000
	if testing.Short() {
		steps /= 10
	}
	for step := range steps {
		switch rnd.IntN(8) {
		case 0, 1, 2:
			c := sim.submit(rnd.IntN(3), int8(rnd.IntN(16)-8))
			if rnd.IntN(10) == 0 && c.Cancel() {
				cancelled[c] = true
				delete(sim.done, c)
			}
		case 3, 4, 5, 6:
			w := sim.s.workers[rnd.IntN(len(sim.s.workers))]
			if n := len(sim.held[w]); n > 0 {
				sim.finish(w, rnd.IntN(n), rnd.Int64N(5_000_000))
			}
		case 7:
			w, n := sim.s.victim(int64(step) * 1000)
			if w == nil {
				break
			}
			for ; n > 0; n-- {
				last := len(sim.held[w]) - 1
				c := sim.held[w][last]
				sim.held[w] = sim.held[w][:last]
				sim.s.release(w, c)
				sim.requeue(c)
			}
			sim.s.place(w)
		}
		if step%10_000 == 5_000 {
			sim.cancelPending(cancelled)
		}
		sim.assign()
		sim.check()
		if step == steps/2 { // one worker dies with its calls
			w := sim.s.workers[3]
			for _, c := range sim.s.lose(w) {
				sim.requeue(c)
			}
			sim.held[w] = nil
		}
		if step%1000 == 0 {
			sim.sweep()
		}
	}
	for sim.s.busy() {
		sim.assign()
		for w, held := range sim.held {
			if len(held) > 0 {
				sim.finish(w, 0, 1000)
			}
		}
	}
	for c, n := range sim.done {
		if n != 1 {
			t.Fatalf("call %d was resolved %d times", c.number, n)
		}
	}
	for c := range cancelled {
		if c.State() != Cancelled {
			t.Fatalf("call %d: %v after Cancel", c.number, c.State())
		}
	}
}

// cancelPending does what a shutdown that cancels does.
func (sim *simulation) cancelPending(cancelled map[*Call]bool) {
	l := &Loop{shared: &shared{in: &intake{}}, sched: sim.s}
	l.dropPending(anyCall, always(ErrCancelled))
	for c := range sim.done {
		if s := c.State(); s == Pending {
			sim.t.Fatalf("call %d is pending after a shutdown", c.number)
		} else if s == Cancelled {
			cancelled[c] = true
			delete(sim.done, c)
		}
	}
}

// TestCallIsSmall holds what the docs say a pending call costs.
func TestCallIsSmall(t *testing.T) {
	t.Parallel()
	if n := unsafe.Sizeof(Call{}); n > 144 {
		t.Errorf("a call has %d bytes", n)
	}
}

// sweep forgets calls that are through, so that a long run stays small.
func (sim *simulation) sweep() {
	for c, n := range sim.done {
		if n > 1 {
			sim.t.Fatalf("call %d was resolved %d times", c.number, n)
		}
		if n == 1 {
			delete(sim.done, c)
		}
	}
}

func TestSchedulerPriority(t *testing.T) {
	t.Parallel()
	sim := newSimulation(t, 1, 1)
	var got []int8
	for i := range 100 {
		sim.submit(0, int8(i%5))
	}
	for sim.s.busy() {
		before := len(got)
		sim.s.assign(func(w *worker, c *Call) {
			sim.held[w] = append(sim.held[w], c)
			got = append(got, c.priority)
		})
		if len(got) == before {
			sim.finish(sim.s.workers[0], 0, 1_000_000)
		}
	}
	for i := 1; i < len(got); i++ {
		if got[i] > got[i-1] {
			t.Fatalf("call %d has priority %d after %d", i, got[i], got[i-1])
		}
	}
}

// TestSchedulerWindow checks that long calls are not hoarded and short ones
// are sent by the hundred.
func TestSchedulerWindow(t *testing.T) {
	t.Parallel()
	for _, tc := range []struct {
		nanos    float64
		min, max int
	}{
		{nanos: 1e9, min: 4, max: 4},
		{nanos: 5e6, min: 4, max: 4},
		{nanos: 100e3, min: 40, max: 120},
		{nanos: 1e3, min: 6000, max: 12000},
		{nanos: 10, min: 2 * windowCalls, max: 2 * windowCalls},
	} {
		sim := newSimulation(t, 1, 2)
		sim.tasks[0].nanos = tc.nanos
		for range 200_000 {
			sim.submit(0, 0)
		}
		sim.assign()
		if n := len(sim.held[sim.s.workers[0]]); n < tc.min || n > tc.max {
			t.Errorf("a worker with 2 slots gets %d calls of %v ns, want %d to %d", n, tc.nanos, tc.min, tc.max)
		}
	}
}

// TestSchedulerTail checks that the last calls are spread.
func TestSchedulerTail(t *testing.T) {
	t.Parallel()
	sim := newSimulation(t, 4, 1)
	sim.tasks[0].nanos = 1e5
	for range 100 {
		sim.submit(0, 0)
	}
	sim.assign()
	for _, w := range sim.s.workers {
		if n := len(sim.held[w]); n < 15 || n > 40 {
			t.Errorf("rank %d got %d of 100 calls for 4 workers", w.rank, n)
		}
	}
}

// Very short calls are not spread over more workers than they are worth.
func TestSchedulerLeast(t *testing.T) {
	t.Parallel()
	sim := newSimulation(t, 4, 1)
	sim.tasks[0].nanos = 1e3
	for range 700 {
		sim.submit(0, 0)
	}
	sim.assign()
	var got []int
	for _, w := range sim.s.workers {
		got = append(got, len(sim.held[w]))
	}
	slices.Sort(got)
	if want := []int{0, 0, 200, 500}; !slices.Equal(got, want) {
		t.Errorf("700 calls of 1 µs go to workers as %v, want %v", got, want)
	}
}

// BenchmarkScheduler steps calls through pools of different sizes: the cost of
// one call must not grow with the number of workers.
func BenchmarkScheduler(b *testing.B) {
	for _, workers := range []int{4, 64, 4096} {
		b.Run(fmt.Sprintf("workers=%d", workers), func(b *testing.B) {
			benchmarkScheduler(b, workers)
		})
	}
}

func benchmarkScheduler(b *testing.B, workers int) {
	s := newScheduler()
	for i := range workers {
		s.join(&worker{rank: i + 1, slots: 1})
	}
	t := &Task{nanos: 1e6}
	sent := make([]*Call, 0, 4*workers)
	give := func(_ *worker, c *Call) { sent = append(sent, c) }
	calls := make([]Call, 4*workers)
	for i := range calls {
		calls[i].task, calls[i].number = t, uint64(i)
		s.queue.push(&calls[i])
	}
	s.assign(give)
	at := 0
	b.ReportAllocs()
	for b.Loop() {
		c := sent[at]
		if at++; at == len(sent) {
			at, sent = 0, append(sent[:0], sent[at:]...)
		}
		w := c.worker
		s.release(w, c)
		s.place(w)
		c.state.Store(uint32(Pending))
		s.queue.push(c)
		s.assign(give)
		if at > 2*workers {
			sent, at = append(sent[:0], sent[at:]...), 0
		}
	}
}
