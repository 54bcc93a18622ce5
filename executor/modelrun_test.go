package executor

import (
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// stepsVar says how many steps TestModel takes, and seedVar which program it runs, alone.
// By hand, for some minutes, and again what was printed:
//
//	make model STEPS=100000000
//	WASMPOOL_TEST_SEED=1234 go test ./executor -run TestModel -v
const (
	stepsVar = "WASMPOOL_TEST_STEPS"
	seedVar  = "WASMPOOL_TEST_SEED"
)

// programSteps is how many steps a program takes before it ends.
const programSteps = 1500

// TestModel runs random programs against the reference in model_test.go: calls with
// keys, priorities and retries, sequels, callbacks, maps, streams and batches on
// several forks, which are cancelled, killed and shut down, on workers that begin, finish, fail,
// give back, come late and die. Whenever all is quiet, each call is where it may be,
// has ended as it may, and nobody waits for what cannot come.
func TestModel(t *testing.T) {
	t.Parallel()
	steps := 200_000
	if testing.Short() {
		steps /= 10
	}
	if n, err := strconv.Atoi(os.Getenv(stepsVar)); err == nil {
		steps = n
	}
	seed, single := rand.Uint64(), false
	if n, err := strconv.ParseUint(os.Getenv(seedVar), 10, 64); err == nil {
		seed, single = n, true
	}
	tasks := guesttest.Build(t, "testdata/tasks")
	var tally modelTally
	var next atomic.Uint64
	began := time.Now()
	for range runtime.GOMAXPROCS(0) {
		t.Run("", func(t *testing.T) {
			t.Parallel()
			for tally.steps.Load() < int64(steps) && !t.Failed() {
				one := seed + next.Add(1) - 1
				if single && one > seed {
					return
				}
				runProgram(t, one, tasks, &tally)
			}
		})
	}
	t.Cleanup(func() { tally.report(t, time.Since(began), single || steps < 5_000_000) })
}

// programPatience is for how long a program may run, which takes milliseconds: one that
// turns on the spot comes to no rest.
const programPatience = 45 * time.Second

func runProgram(t *testing.T, seed uint64, tasks *wasmtasks.Module, tally *modelTally) {
	late := time.AfterFunc(programPatience, func() {
		debug.SetTraceback("all")
		panic("a program of TestModel does not end: " + seedVar + "=" + strconv.FormatUint(seed, 10))
	})
	defer late.Stop()
	defer func() {
		if v := recover(); v != nil { // of goroutines that are left
			t.Error(v)
		}
		if t.Failed() {
			t.Logf("again: %s=%d", seedVar, seed)
		}
	}()
	synctest.Test(t, func(t *testing.T) {
		newProgram(t, rand.New(rand.NewPCG(seed, 6)), tasks, tally).run(programSteps)
	})
}

// A modelTally says what programs did.
type modelTally struct {
	steps, calls, elements, waits, losses, programs atomic.Int64
	doubled                                         atomic.Int64    // calls that two workers had
	grouped                                         atomic.Int64    // calls that came to a worker with others of their block
	ends                                            [8]atomic.Int64 // of calls, by the bit of the end
	before                                          [Killed + 1]atomic.Int64
	places                                          [flies + 1]atomic.Int64
}

// report says what was done, and complains when too little was. Where few steps were taken,
// chance may have left out what is rare.
func (m *modelTally) report(t *testing.T, took time.Duration, few bool) {
	t.Logf("%d steps in %v, %d programs, %d calls, %d elements of maps, compared %d times, %d workers lost, %d calls that two workers had, %d that came in blocks",
		m.steps.Load(), took.Round(time.Millisecond), m.programs.Load(), m.calls.Load(), m.elements.Load(), m.waits.Load(), m.losses.Load(), m.doubled.Load(), m.grouped.Load())
	if m.grouped.Load() == 0 && !few {
		t.Error("no calls came in a block: the test tests too little")
	}
	for i, name := range []string{"with a result", "as failed", "as lost", "as cancelled", "as killed", "as dropped", "with the pool", "as the call before"} {
		n := m.ends[i].Load()
		if t.Logf("%d ended %s", n, name); n == 0 && !few {
			t.Errorf("no call ended %s: the test tests too little", name)
		}
	}
	for s := range m.before {
		if m.before[s].Load() == 0 && !few {
			t.Errorf("no call that was %v was cancelled: the test tests too little", State(s))
		}
	}
	for at := waits; at <= flies; at++ {
		if m.places[at].Load() == 0 && !few {
			t.Errorf("no call was at place %d: the test tests too little", at)
		}
	}
}

// A step is something that a caller, a worker or time may do.
type step struct {
	weight int
	name   string
	do     func(*program)
}

var modelSteps = []step{
	{120, "submit", (*program).submit},
	{20, "call", (*program).call},
	{25, "then", (*program).then},
	{15, "onDone", (*program).onDone},
	{40, "cancel", (*program).cancel},
	{20, "kill", (*program).kill},
	{4, "killAll", (*program).killAll},
	{8, "killOne", (*program).killOne},
	{4, "cancelPending", (*program).cancelPending},
	{20, "wait", (*program).wait},
	{8, "look", (*program).ask},
	{30, "work", (*program).work},
	{30, "open", (*program).openGate},
	{60, "take", (*program).take},
	{12, "letGo", (*program).stopWork},
	{5, "fork", (*program).fork},
	{3, "shutdown", (*program).shutdown},
	{20, "time", (*program).pass},
	{20, "expire", (*program).expire},
	{150, "begin", (*program).begin},
	{300, "finish", (*program).finish},
	{60, "obey", (*program).obey},
	{15, "giveBack", (*program).giveBack},
	{15, "double", (*program).double},
	{3, "join", (*program).join},
	{1, "lose", (*program).lose},
}

var modelWeight = func() (sum int) {
	for _, s := range modelSteps {
		sum += s.weight
	}
	return sum
}()

// one does a step.
func (p *program) one() {
	n := p.rnd.IntN(modelWeight)
	for _, s := range modelSteps {
		if n -= s.weight; n < 0 {
			p.note(s.name)
			s.do(p)
			return
		}
	}
}

func (p *program) note(what string) {
	p.steps++
	if len(p.trail) == 4096 {
		p.trail = append(p.trail[:0], p.trail[2048:]...)
	}
	p.trail = append(p.trail, what)
}

// run lives the life of a pool.
func (p *program) run(steps int) {
	p.quiet()
	for p.steps < steps {
		for n := max(1, p.rnd.IntN(10)-4); n > 0; n-- {
			p.one()
		}
		p.note(";")
		p.steps--
		p.quiet()
	}
	p.finale()
	p.tally.steps.Add(int64(p.steps))
	p.tally.programs.Add(1)
}

// finale ends the pool: nobody is held up any more, and all there is has to end.
func (p *program) finale() {
	p.note("finale")
	for _, w := range p.works {
		w.release()
	}
	if root := p.owners[0]; !root.closed {
		p.shutdownOf(root)
		p.quiet()
	}
	for rounds := 0; !p.served.Load() || len(p.calls)+len(p.blocked)+len(p.works) > 0; rounds++ {
		if rounds > 10_000 {
			p.fail("it does not end: %d calls, %d callers and %d maps are left; the loop has ended: %t", len(p.calls), len(p.blocked), len(p.works), p.served.Load())
		}
		for _, h := range p.hands {
			if !h.joined && !h.lost {
				h.join()
			}
			if !h.lost {
				p.steps += len(h.calls)
				h.obey()
				for len(h.calls) > 0 {
					h.finish(0)
				}
			}
		}
		p.quiet()
		time.Sleep(time.Second)
		p.quiet()
	}
	for _, o := range p.owners {
		o.asked = true
		p.lifeOf(o)
	}
}
