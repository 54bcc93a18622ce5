package host

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/internal/wire"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// A root is a pool's root of which each step is a test's.
type root struct {
	t       *testing.T
	world   *mem.World
	results []wire.Result
	begun   []uint32
	pulls   []wire.Pull
	served  chan error
}

func newRoot(t *testing.T, m *wasmtasks.Module, slots int, exports ...string) *root {
	t.Helper()
	world := mem.New(2)
	return newRootOver(t, world, world.Endpoint(1), m, slots, exports...)
}

// newRootOver is newRoot with an endpoint for the worker.
func newRootOver(t *testing.T, world *mem.World, ep transport.Endpoint, m *wasmtasks.Module, slots int, exports ...string) *root {
	t.Helper()
	h := newHost(t, Config{})
	r := &root{t: t, world: world, served: make(chan error, 1)}
	go func() {
		r.served <- Serve(t.Context(), h, ep, ServeConfig{Slots: slots, Modules: []*wasmtasks.Module{m}})
	}()
	r.control(wire.KindModule, wire.Module{Index: 0, Name: m.Name(), Digest: m.Digest().String(), Size: int64(len(m.Bytes()))})
	var tasks wire.Tasks
	for i, name := range exports {
		tasks.Tasks = append(tasks.Tasks, wire.Task{Task: uint32(i), Export: name})
	}
	r.control(wire.KindTasks, tasks)
	return r
}

func (r *root) control(kind wire.Kind, v any) {
	r.t.Helper()
	frame, err := wire.Control(kind, v)
	if err != nil {
		r.t.Fatal(err)
	}
	r.send(frame)
}

func (r *root) send(frame []byte) {
	r.t.Helper()
	if err := r.world.Endpoint(0).Send(1, frame); err != nil {
		r.t.Fatal(err)
	}
}

func (r *root) calls(list ...wire.Call) {
	r.t.Helper()
	var w wire.Writer
	w.Reset(wire.KindCalls)
	for _, c := range list {
		c.Ticket, c.Attempt = uint32(c.Number), 1
		w.AddCall(&c)
	}
	r.send(w.Frame())
}

func (r *root) kill(calls ...uint64) {
	r.t.Helper()
	r.control(wire.KindKill, wire.Kill{Calls: calls, Kind: uint8(KindKilled), Reason: "because"})
}

// until takes in frames until enough have come.
func (r *root) until(enough func() bool) {
	r.t.Helper()
	for end := time.Now().Add(2 * time.Minute); !enough(); {
		if time.Now().After(end) {
			r.t.Fatalf("waited for two minutes, with %d results", len(r.results))
		}
		if _, err := r.world.Endpoint(0).Poll(r); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *root) Frame(_ int, frame []byte) {
	kind, count, body, err := wire.Header(frame)
	if err != nil {
		r.t.Error(err)
	}
	switch kind {
	case wire.KindResults:
		rd := wire.NewReader(count, body)
		var res wire.Result
		for rd.NextResult(&res) {
			if res.Begun {
				r.begun = append(r.begun, res.Gen)
				continue
			}
			res.Data = append([]byte(nil), res.Data...)
			r.results = append(r.results, res)
		}
	case wire.KindPull:
		rd := wire.NewReader(count, body)
		for pull, ok := rd.NextPull(); ok; pull, ok = rd.NextPull() {
			r.pulls = append(r.pulls, pull)
		}
	}
}

func (r *root) Lost(int, error) {}

// failed waits for a result of the call, which must have failed in that way.
func (r *root) failed(call uint64, kind Kind) wire.Failure {
	r.t.Helper()
	var res wire.Result
	r.until(func() bool {
		for _, got := range r.results {
			if got.Gen == uint32(call) {
				res = got
				return true
			}
		}
		return false
	})
	var failure wire.Failure
	if !res.Failed {
		r.t.Fatalf("call %d succeeded", call)
	}
	if err := wire.Decode(wire.KindResults, res.Data, &failure); err != nil {
		r.t.Fatal(err)
	}
	if Kind(failure.Kind) != kind {
		r.t.Errorf("call %d failed by %v (%s), want %v", call, Kind(failure.Kind), failure.Message, kind)
	}
	return failure
}

func (r *root) stop() {
	r.t.Helper()
	r.send(wire.Bare(wire.KindStop))
	if err := <-r.served; err != nil {
		r.t.Errorf("Serve = %v", err)
	}
}

// A call that waits for its argument, which never comes, is killed like any
// other, whether the argument goes straight to guest memory or not, and so is
// one that waits for a slot. The slot then runs the next call.
func TestKillServed(t *testing.T) {
	t.Parallel()
	m := compileWAT(t, "limits", limitsWAT)
	for _, size := range []int64{wire.Inline + 1, bufferedPayload + 1} {
		r := newRoot(t, m, 1, "whole", "count_calls", "spin")
		r.calls(wire.Call{Number: 1, Task: 0, Long: true, ArgLen: size}, wire.Call{Number: 2, Task: 2}, wire.Call{Number: 3, Task: 2})
		r.until(func() bool { return len(r.pulls) == 1 })
		r.kill(2, 77)
		if f := r.failed(2, KindKilled); f.Message != "because" {
			t.Errorf("the message is %q", f.Message)
		}
		r.kill(1)
		r.failed(1, KindKilled)
		r.kill(3)
		r.failed(3, KindKilled)
		// The argument comes after all: it must go nowhere.
		r.world.Endpoint(0).SendPayload(1, r.pulls[0].Payload, make([]byte, size), func(error) {})
		r.calls(wire.Call{Number: 4, Task: 1}, wire.Call{Number: 5, Task: 2, Limits: &wire.Limits{Instructions: 1000}})
		if f := r.failed(5, KindBudget); f.Usage == nil || f.Usage.Instructions < 1000 {
			t.Errorf("the usage is %v", f.Usage)
		}
		for _, res := range r.results {
			if res.Gen == 4 && (res.Failed || string(res.Data) != "11") {
				t.Errorf("the next call returned %q", res.Data)
			}
			if (res.Usage != nil) != (res.Gen == 5) {
				t.Errorf("call %d has the usage %v", res.Gen, res.Usage)
			}
		}
		r.stop()
	}
}

// A worker says of a call that it has begun: of one whose task it does not know yet
// before it runs, of one that was taken for short when it is late. It says so once, not of calls
// that are short, nor of those that wait.
func TestBegun(t *testing.T) {
	t.Parallel()
	m := compileWAT(t, "turns", `(module
	  (import "wasmpool" "input_len" (func $len (result i32)))
	  (memory (export "memory") 1)
	  (func (export "turns") (result i32) (local i64)
	    (local.set 0 (i64.shl (i64.const 1) (i64.extend_i32_u (call $len))))
	    (loop $l (local.set 0 (i64.sub (local.get 0) (i64.const 1))) (br_if $l (i64.ne (local.get 0) (i64.const 0))))
	    (i32.const 0)))`)
	r := newRoot(t, m, 1, "turns")
	turns := func(n int) []byte { return make([]byte, n) } // 2^n
	r.calls(wire.Call{Number: 1, Arg: turns(1)})
	r.until(func() bool { return len(r.results) == 1 })
	if !slices.Equal(r.begun, []uint32{1}) {
		t.Errorf("of the first call of a task, begun: %v", r.begun)
	}
	for n := uint64(2); n <= 100; n++ {
		r.calls(wire.Call{Number: n, Arg: turns(1)})
	}
	r.until(func() bool { return len(r.results) == 100 })
	short := len(r.begun)
	if short == 100 { // some may have been late, where the system took the CPU away
		t.Errorf("of 99 short calls, begun: %v", r.begun[1:])
	}
	r.calls(wire.Call{Number: 101, Arg: turns(60)}, wire.Call{Number: 102, Arg: turns(60)}, wire.Call{Number: 103, Arg: turns(1)})
	r.until(func() bool { return len(r.begun) > short })
	if !slices.Equal(r.begun[short:], []uint32{101}) {
		t.Errorf("of a call that was taken for short, begun: %v", r.begun[short:])
	}
	r.kill(102)
	r.failed(102, KindKilled)
	r.kill(101)
	r.failed(101, KindKilled)
	r.until(func() bool { return len(r.results) == 103 })
	for _, n := range r.begun[short:] {
		if n == 102 {
			t.Error("a call that waited until it was killed has begun")
		}
	}
	r.stop()
}

// The stop frame ends guests that would run for ever.
func TestStopServed(t *testing.T) {
	t.Parallel()
	r := newRoot(t, compileWAT(t, "limits", limitsWAT), 2, "spin")
	r.calls(wire.Call{Number: 1}, wire.Call{Number: 2}, wire.Call{Number: 3})
	r.stop()
}

// A loan that cannot be read ends the worker: it could run no call of the root.
func TestBadLoan(t *testing.T) {
	t.Parallel()
	r := newRoot(t, compileWAT(t, "limits", limitsWAT), 1, "whole")
	root, ok := transport.As[transport.Lender](r.world.Endpoint(0))
	if !ok {
		t.Fatal("the root cannot lend")
	}
	at := root.Lend(1, 7, make([]byte, wire.Inline+1))
	r.calls(wire.Call{Number: 1, Long: true, ArgLen: wire.Inline + 1, Lent: at})
	r.until(func() bool { return len(r.results) == 1 })
	if r.results[0].Failed {
		t.Error("a call with a lent argument failed")
	}
	root.Reclaim(7)
	r.calls(wire.Call{Number: 2, Long: true, ArgLen: wire.Inline + 1, Lent: at})
	if err := <-r.served; !errors.Is(err, ErrRootLost) {
		t.Errorf("Serve = %v, want %v", err, ErrRootLost)
	}
}

// However many calls are to end that have ended already, the one among them that runs is
// told.
func TestKillAmongMany(t *testing.T) {
	t.Parallel()
	s := &server{host: newHost(t, Config{}), desk: newDesk()}
	idle, busy := newRunner(s), newRunner(s)
	s.runners = []*runner{idle, busy}
	t.Cleanup(func() {
		for _, r := range s.runners {
			if err := r.slot.Close(); err != nil {
				t.Error(err)
			}
		}
	})
	const runs = 7
	busy.current.number = runs
	kill := wire.Kill{Kind: uint8(KindKilled)}
	for n := range uint64(4 * mostOrders) {
		kill.Calls = append(kill.Calls, n+1)
	}
	frame, err := wire.Control(wire.KindKill, kill)
	if err != nil {
		t.Fatal(err)
	}
	for range 20 {
		if err := s.handle(frame); err != nil {
			t.Fatal(err)
		}
		if busy.slot.orders.take(runs) == nil {
			t.Fatal("the order to end the call that runs is lost")
		}
		if idle.slot.orders.given.Load() {
			t.Fatal("a slot that runs nothing was given an order")
		}
	}
}
