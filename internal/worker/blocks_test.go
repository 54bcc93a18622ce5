package worker

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/internal/wire"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// mixedWAT has a task that does what the first letter of its argument says, and mostly
// returns the argument.
const mixedWAT = `(module
  (import "wasmpool" "input_read" (func $read (param i32 i32 i32) (result i32)))
  (import "wasmpool" "output_write" (func $write (param i32 i32)))
  (import "wasmpool" "error_write" (func $error (param i32 i32)))
  (import "wasmpool" "call_meta" (func $meta (param i32) (result i64)))
  (import "wasmpool" "log" (func $log (param i32 i32 i32)))
  (memory (export "memory") 2)
  (func $turns (param $i i64)
    (loop $again (br_if $again (i64.ne (local.tee $i (i64.sub (local.get $i) (i64.const 1))) (i64.const 0)))))
  (func $is (param $letter i32) (result i32) (i32.eq (i32.load8_u (i32.const 0)) (local.get $letter)))
  (func (export "mixed") (result i32) (local $n i32)
    (local.set $n (call $read (i32.const 0) (i32.const 0) (i32.const 1000)))
    (if (call $is (i32.const 102)) (then (call $error (i32.const 0) (local.get $n)) (return (i32.const 1)))) ;; f fails
    (if (call $is (i32.const 116)) (then (unreachable)))                                                    ;; t traps
    (if (call $is (i32.const 109)) (then (call $turns (i64.const 3000000))))                                ;; m takes milliseconds
    (if (call $is (i32.const 97)) (then (drop (call $meta (i32.const 0)))))                                 ;; a asks which call it is
    (if (call $is (i32.const 111)) (then (call $log (i32.const 0) (i32.const 0) (local.get $n))))           ;; o logs
    (if (call $is (i32.const 79))                                                                           ;; O logs, and does not end
      (then (call $log (i32.const 0) (i32.const 0) (local.get $n)) (call $turns (i64.const 0))))
    (if (call $is (i32.const 115)) (then (call $turns (i64.const 0))))                                      ;; s does not end
    (if (call $is (i32.const 108)) (then (call $write (i32.const 0) (i32.const 20000)) (return (i32.const 0)))) ;; l is long
    (call $write (i32.const 0) (local.get $n)) (i32.const 0)))`

// A still server's runners are no goroutines: a test does what they do, step by step.
type still struct {
	*server
	t    *testing.T
	root *root
}

// newStill returns a server of which the first runner has run a call, number 1, so that it
// knows of the calls of the task mixed that they are short.
func newStill(t *testing.T, slots int) still {
	t.Helper()
	fabric := mem.New(2)
	s := still{&server{
		cfg: Config{Slots: slots, Modules: []*wasmtasks.Module{guesttest.Module(t, "mixed", mixedWAT)}}.withDefaults(),
		ctx: t.Context(), cancel: func(error) {}, host: newHost(t), ep: fabric.Endpoint(1), backlog: newBacklog(), modules: map[uint32]*servedModule{},
	}, t, &root{t: t, fabric: fabric}}
	s.watchdog.init(s.server)
	for id := range uint32(8) {
		s.payloads = append(s.payloads, id)
	}
	for i := range slots {
		r := newRunner(s.server, i)
		s.runners = append(s.runners, r)
		t.Cleanup(func() {
			if err := r.slot.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	m := s.cfg.Modules[0]
	s.control(wire.TypeModule, wire.Module{Name: m.Name(), Digest: m.Digest().String(), Size: int64(len(m.Bytes()))})
	s.control(wire.TypeTasks, wire.Tasks{Tasks: []wire.Task{{Export: "mixed"}}})
	s.frame(blockFrame(wire.Call{Number: 1, Ticket: 1, Attempt: 1}, "first"))
	r := s.runners[0]
	if n := s.take(r); n != 1 {
		t.Fatalf("of an unknown task, %d calls are taken", n)
	}
	s.run(r)
	s.results(1)
	return s
}

// frame is a frame of the root.
func (s still) frame(frame []byte) {
	s.t.Helper()
	s.io.Lock()
	defer s.io.Unlock()
	if err := s.handle(frame); err != nil {
		s.t.Fatal(err)
	}
}

func (s still) control(typ wire.Type, v any) {
	s.t.Helper()
	frame, err := wire.Control(typ, v)
	if err != nil {
		s.t.Fatal(err)
	}
	s.frame(frame)
}

func (s still) kill(calls ...uint64) {
	s.t.Helper()
	s.control(wire.TypeKill, wire.Kill{Calls: calls, Kind: uint8(host.KindKilled), Reason: "because"})
}

// take has r take calls, and returns how many.
func (s still) take(r *runner) int {
	if !s.backlog.next(r) {
		return 0
	}
	return max(r.current.lens.Len(), 1)
}

// run has r run what it took. Its task is taken for short afterwards.
func (s still) run(r *runner) {
	b := r.bind()
	r.told = false
	if r.inRange() {
		r.runRange(b)
	} else {
		r.runCall(b)
	}
	b.nanos = 1000
}

// runAll has r run what it took, and all that waits: a range ends early on a slow machine.
func (s still) runAll(r *runner) {
	for s.run(r); s.take(r) > 0; {
		s.run(r)
	}
}

// results sends what there is, and has the root receive n results in all.
func (s still) results(n int) {
	s.t.Helper()
	s.step()
	s.root.until(func() bool { return len(s.root.results) >= n })
	if got := len(s.root.results); got != n {
		s.t.Errorf("there are %d results, want %d", got, n)
	}
}

// result returns the data of a call's result, "failed: " and the message for one that failed, or "none".
func (s still) result(call uint64) string {
	s.t.Helper()
	for _, res := range s.root.results {
		if res.Gen != uint32(call) {
			continue
		}
		if !res.Failed {
			return string(res.Data)
		}
		var f wire.Failure
		if err := wire.Decode(wire.TypeResults, res.Data, &f); err != nil {
			s.t.Error(err)
		}
		return "failed: " + f.Message
	}
	return "none"
}

// want checks results, of calls with numbers from first on.
func (s still) want(first uint64, results ...string) {
	s.t.Helper()
	for i, want := range results {
		if got := s.result(first + uint64(i)); got != want {
			s.t.Errorf("call %d has the result %q, want %q", first+uint64(i), got, want)
		}
	}
}

// echoes returns arguments of calls that return them.
func echoes(n int) []string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprint("e", i)
	}
	return list
}

func (s still) block(first uint64, args ...string) {
	s.t.Helper()
	s.frame(blockFrame(wire.Call{Number: first, Ticket: 1000, Attempt: 1}, args...))
}

// A runner takes many short calls of a block at once, and their results leave as blocks. What is left of
// the block is what comes next.
func TestRange(t *testing.T) {
	t.Parallel()
	s := newStill(t, 1)
	r := s.runners[0]
	args := echoes(250)
	s.block(10, args...)
	s.block(1000, "again")
	if n := s.backlog.queued.Load(); n != 251 {
		t.Errorf("%d calls wait, want 251", n)
	}
	if n := s.take(r); n != 100 {
		t.Fatalf("%d calls are taken, want 100", n)
	}
	s.runAll(r)
	s.results(252)
	s.want(10, args...)
	s.want(1000, "again")
	if s.root.inBlock < 100 {
		t.Errorf("%d results came in blocks", s.root.inBlock)
	}
	for _, res := range s.root.results[1:] {
		if res.Ticket != 1000 {
			t.Fatalf("a result has the ticket %d", res.Ticket)
		}
	}
	if free, wait := len(s.backlog.bodies), s.backlog.calls.len(); free != 3 || wait != 0 {
		t.Errorf("%d frames are free, %d entries wait", free, wait)
	}
}

// How many calls a runner takes goes by how long they are, and how many slots there are to share them.
func TestShare(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		nanos  int64
		slots  int
		silent bool
		want   int
	}{
		{0, 1, false, 1},
		{1, 1, false, 1000},
		{1000, 1, false, 100},
		{20_000, 1, false, 5},
		{int64(longCall), 1, false, 1},
		{1000, 1, true, 1},
		{1000, 3, false, 100},
		{1, 3, false, 1000},
		{100, 4, false, 250},
		{100, 20, false, 100},
		{5000, 500, false, 2},
	} {
		s := newStill(t, c.slots)
		s.watchdog.silent = c.silent
		s.block(10, echoes(1000)...)
		s.runners[0].bound[0].nanos = c.nanos
		if got := s.take(s.runners[0]); got != c.want {
			t.Errorf("of calls of %d ns for %d slots %d are taken, want %d", c.nanos, c.slots, got, c.want)
		}
		if left := s.backlog.queued.Load(); left != int64(1000-c.want) {
			t.Errorf("%d calls are left behind %d", left, c.want)
		}
	}
}

// Results that are long together leave in frames that leave at once.
func TestRangeLongRow(t *testing.T) {
	t.Parallel()
	s := newStill(t, 1)
	var args []string
	for i := range 40 {
		args = append(args, "e"+strings.Repeat(fmt.Sprint(i%10), 20*i))
	}
	s.block(10, args...)
	s.take(s.runners[0])
	s.runAll(s.runners[0])
	s.results(41)
	s.want(10, args...)
}

// Among the calls of a range some fail, trap, have long results, or ask which call they are.
func TestRangeUnusual(t *testing.T) {
	t.Parallel()
	s := newStill(t, 1)
	r := s.runners[0]
	args := []string{"e0", "f1", "e2", "e3", "t4", "e5", "a6", "e7", "l8", "e9", "f10"}
	s.block(10, args...)
	s.take(r)
	s.runAll(r)
	s.results(12)
	s.want(10, "e0", "failed: f1", "e2", "e3")
	s.want(15, "e5", "a6", "e7")
	s.want(19, "e9", "failed: f10")
	if got := s.result(14); !strings.Contains(got, "unreachable") {
		t.Errorf("a trap is %q", got)
	}
	for _, res := range s.root.results[1:] {
		if res.Ticket != 1000 || res.Asked != (res.Gen == 16) || res.Long != (res.Gen == 18) {
			t.Errorf("call %d: ticket %d, asked %t, long %t", res.Gen, res.Ticket, res.Asked, res.Long)
		}
		if res.Long && res.Len != 20000 {
			t.Errorf("the long result has %d bytes", res.Len)
		}
	}
	if !slices.IsSortedFunc(s.root.results, func(a, b wire.Result) int { return int(a.Gen) - int(b.Gen) }) {
		t.Error("results have left before those of calls before them")
	}
}

// Calls that are ended between a runner takes them and gets to them do not run.
func TestKillInRange(t *testing.T) {
	t.Parallel()
	s := newStill(t, 1)
	r := s.runners[0]
	s.block(10, "e0", "s1", "e2", "e3", "s4", "s5")
	if n := s.take(r); n != 6 {
		t.Fatalf("%d calls are taken", n)
	}
	s.kill(15, 9, 11, 16, 11)
	s.kill(14, 1<<40)
	s.runAll(r)
	s.results(7)
	s.want(10, "e0", "failed: because", "e2", "e3", "failed: because", "failed: because")
	if s.block(20, "e0", "e1"); s.take(r) != 2 || r.ordered.Load() {
		t.Error("orders are left")
	}
	s.runAll(r)
	s.results(9)
	s.want(20, "e0", "e1")
}

// The call of a range that runs is ended, and one behind it.
func TestKillRunningInRange(t *testing.T) {
	t.Parallel()
	s := newStill(t, 1)
	r := s.runners[0]
	s.block(10, "e0", "O1", "e2", "s3", "e4")
	s.take(r)
	r.call.Log = func(int, string) { s.kill(10, 11, 13) } // 10 has ended
	s.runAll(r)
	s.results(6)
	s.want(10, "e0", "failed: because", "e2", "failed: because", "e4")
}

// While a call of a range takes long, the results of those before it have left, and those
// behind it wait as if nobody had taken them: they go back to the root, are ended, and other runners run them.
func TestRangeLate(t *testing.T) {
	t.Parallel()
	s := newStill(t, 2)
	r, other := s.runners[0], s.runners[1]
	s.block(10, "e0", "e1", "s2", "e3", "e4", "e5", "s6", "e7", "e8", "e9")
	if n := s.take(r); n != 10 {
		t.Fatalf("%d calls are taken", n)
	}
	late := false
	r.call.Heartbeat = func(blocking bool) {
		r.heartbeat(blocking)
		if !r.told || late {
			return
		}
		late = true
		s.results(3)
		s.want(10, "e0", "e1")
		if got := s.root.begun; !slices.Equal(got, []uint32{1, 12}) && !slices.Equal(got, []uint32{12}) {
			t.Errorf("begun: %v", got)
		}
		if n := s.backlog.queued.Load(); n != 7 {
			t.Errorf("%d calls wait, want 7", n)
		}
		if st := s.status(); len(st.Running) != 1 || st.Running[0].Number != 12 || st.Running[0].Nanos < 0 || st.Waiting != 7 {
			t.Errorf("the status is %+v", st)
		}
		s.kill(16)
		s.control(wire.TypeTakeBack, wire.TakeBack{Max: 2})
		s.control(wire.TypeTakeBack, wire.TakeBack{Max: 2}) // one on each side of the one that was ended
		s.root.until(func() bool { return len(s.root.took) == 4 })
		if got := s.root.took; !slices.Equal(got, []uint32{18, 19, 17, 15}) {
			t.Errorf("%v went back", got)
		}
		for s.take(other) > 0 {
			s.run(other)
		}
		s.results(6)
		s.want(13, "e3", "e4", "none", "failed: because", "none")
		s.kill(12)
	}
	s.runAll(r)
	if !late {
		t.Error("no call was late")
	}
	s.results(7)
	s.want(12, "failed: because")
}

// Orders that came before a call was late are obeyed: that for itself, and those for calls
// behind it.
func TestKillBeforeLate(t *testing.T) {
	t.Parallel()
	s := newStill(t, 1)
	r := s.runners[0]
	s.block(10, "t0", "s1", "e2", "s3", "e4") // behind a trap an instance is made, which may take long
	s.take(r)
	first := true
	r.call.Heartbeat = func(blocking bool) {
		if first {
			s.kill(11, 13)
		}
		first = false
		r.heartbeat(blocking)
	}
	s.runAll(r)
	s.results(6)
	s.want(11, "failed: because", "e2", "failed: because", "e4")
}

// Calls of a block that wait are ended and taken back, however they lie.
func TestBlockWaits(t *testing.T) {
	t.Parallel()
	s := newStill(t, 1)
	r := s.runners[0]
	s.block(10, echoes(10)...)
	s.frame(blockFrame(wire.Call{Number: 20, Ticket: 7, Attempt: 1}, "x", "y"))
	s.kill(10, 11, 14, 19, 19, 21)
	s.results(6)
	if n := s.backlog.queued.Load(); n != 7 {
		t.Errorf("%d calls wait, want 7", n)
	}
	s.control(wire.TypeTakeBack, wire.TakeBack{Max: 3})
	s.root.until(func() bool { return len(s.root.took) == 3 })
	if !slices.Equal(s.root.took, []uint32{20, 17, 18}) {
		t.Errorf("%v went back", s.root.took)
	}
	if n := s.take(r); n != 2 {
		t.Errorf("%d calls are taken, want those between two that were ended", n)
	}
	s.runAll(r)
	s.results(10)
	s.want(10, "failed: because", "failed: because", "e2", "e3", "failed: because", "e5", "e6", "none", "none", "failed: because", "none", "failed: because")
	if len(s.backlog.dead) > 0 || s.backlog.queued.Load() != 0 {
		t.Errorf("%d calls count as ended, %d wait", len(s.backlog.dead), s.backlog.queued.Load())
	}
	s.block(30, echoes(5)...)
	s.kill(30, 31, 32, 33, 34)
	s.control(wire.TypeTakeBack, wire.TakeBack{Max: 100})
	if s.take(r) != 0 || len(s.backlog.dead) > 0 || s.backlog.queued.Load() != 0 {
		t.Errorf("%d calls count as ended, %d wait", len(s.backlog.dead), s.backlog.queued.Load())
	}
	s.results(15)
}

// A range that is slower than was expected ends early.
func TestSlowRange(t *testing.T) {
	t.Parallel()
	s := newStill(t, 1)
	r := s.runners[0]
	s.block(10, slices.Repeat([]string{"m"}, 900)...)
	r.bound[0].nanos = 100
	s.take(r)
	for b := r.bind(); s.backlog.queued.Load() == 0; {
		r.told = false
		r.runRange(b)
	}
	if n := s.backlog.queued.Load(); n < 900-2*mostUnclocked {
		t.Errorf("%d of 900 calls that are not as short as was expected wait", n)
	}
	for {
		s.control(wire.TypeTakeBack, wire.TakeBack{Max: 1000})
		if s.backlog.queued.Load() == 0 {
			break
		}
	}
}

// A line of the log has the number of the call that logs it, in a range, too.
func TestLogInRange(t *testing.T) {
	t.Parallel()
	s := newStill(t, 1)
	s.block(10, "e0", "o1", "e2", "o3")
	s.take(s.runners[0])
	s.runAll(s.runners[0])
	s.results(5)
	s.want(10, "e0", "o1", "e2", "o3")
	want := []wire.LogLine{{Number: 11, Ticket: 1000, Text: "o1"}, {Number: 13, Ticket: 1000, Text: "o3"}}
	if !slices.Equal(s.root.lines, want) {
		t.Errorf("the log is %+v", s.root.lines)
	}
}

// A worker runs blocks and single calls, with one slot, or with several that share a block.
func TestBlocksServed(t *testing.T) {
	t.Parallel()
	m := guesttest.Module(t, "mixed", mixedWAT)
	for _, slots := range []int{1, 3} {
		r := newRoot(t, m, slots, "mixed")
		args := echoes(1000)
		next := uint64(1)
		for range 5 {
			r.block(next, args...)
			r.calls(wire.Call{Number: next + 1000, Arg: []byte("alone")})
			next += 1001
		}
		r.until(func() bool { return len(r.results) == int(next-1) })
		slices.SortFunc(r.results, func(a, b wire.Result) int { return int(a.Gen) - int(b.Gen) })
		for i, res := range r.results {
			want := append(args, "alone")[i%1001]
			if res.Gen != uint32(i+1) || res.Failed || string(res.Data) != want {
				t.Fatalf("result %d is of call %d: failed %t, %q, want %q", i, res.Gen, res.Failed, res.Data, want)
			}
		}
		if r.inBlock == 0 {
			t.Error("no result came in a block")
		}
		r.stop()
	}
}

// The calls of one block wake as many runners as can run them. What waits is told call by call.
func TestBlockWakes(t *testing.T) {
	t.Parallel()
	r := newRoot(t, guesttest.Module(t, "mixed", mixedWAT), 3, "mixed")
	r.block(1, "e")
	r.until(func() bool { return len(r.results) == 1 })
	time.Sleep(10 * time.Millisecond) // two of the runners sleep now, as a rule
	r.block(11, "s", "s", "s", "s", "s", "s", "s", "s")
	r.until(func() bool { return slices.Contains(r.begun, 13) })
	r.until(func() bool {
		r.status = nil
		r.send(wire.Bare(wire.TypeAsk))
		r.until(func() bool { return r.status != nil })
		return r.status.Waiting == 5
	})
	r.control(wire.TypeTakeBack, wire.TakeBack{Max: 100})
	r.until(func() bool { return len(r.took) == 5 })
	r.kill(11, 12, 13)
	for n := range uint64(3) {
		r.failed(11+n, host.KindKilled)
	}
	r.stop()
}

// Without a meter, blocks run, too.
func TestBlockWithoutMeter(t *testing.T) {
	t.Parallel()
	m := guesttest.Module(t, "mixed", mixedWAT)
	h, err := host.New(host.Config{CacheDir: cacheDir, NoMeter: true})
	if err != nil {
		t.Fatal(err)
	}
	defer h.Close()
	fabric := mem.New(2)
	r := &root{t: t, fabric: fabric, served: make(chan error, 1)}
	go func() {
		r.served <- Serve(t.Context(), h, fabric.Endpoint(1), Config{Modules: []*wasmtasks.Module{m}})
	}()
	r.control(wire.TypeModule, wire.Module{Name: m.Name(), Digest: m.Digest().String(), Size: int64(len(m.Bytes()))})
	r.control(wire.TypeTasks, wire.Tasks{Tasks: []wire.Task{{Export: "mixed"}}})
	r.block(1, echoes(100)...)
	r.until(func() bool { return len(r.results) == 100 })
	if r.inBlock > 0 {
		t.Errorf("%d calls ran in ranges, where nothing tells that one takes long", r.inBlock)
	}
	r.stop()
}
