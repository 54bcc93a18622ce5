package worker

import (
	"bytes"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/internal/wire"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// A root is a pool's root of which each step is a test's.
type root struct {
	t       testing.TB
	fabric  *mem.Fabric
	results []wire.Result // those of a block one by one
	inBlock int           // how many of these came in blocks
	begun   []uint32
	took    []uint32 // calls that were returned, the low halves of their numbers
	lines   []wire.LogLine
	pulls   []wire.Pull
	status  *wire.Status
	served  chan error
}

func newRoot(t testing.TB, m *wasmtasks.Module, slots int, exports ...string) *root {
	t.Helper()
	fabric := mem.New(2)
	return newRootOver(t, fabric, fabric.Endpoint(1), m, slots, exports...)
}

// newRootOver is newRoot with an endpoint for the worker.
func newRootOver(t testing.TB, fabric *mem.Fabric, ep transport.Endpoint, m *wasmtasks.Module, slots int, exports ...string) *root {
	t.Helper()
	h := newHost(t)
	r := &root{t: t, fabric: fabric, served: make(chan error, 1)}
	go func() {
		r.served <- Serve(t.Context(), h, ep, Config{Slots: slots, Modules: []*wasmtasks.Module{m}})
	}()
	r.control(wire.TypeModule, wire.Module{Index: 0, Name: m.Name(), Digest: m.Digest().String(), Size: int64(len(m.Bytes()))})
	var tasks wire.Tasks
	for i, name := range exports {
		tasks.Tasks = append(tasks.Tasks, wire.Task{Task: uint32(i), Export: name})
	}
	r.control(wire.TypeTasks, tasks)
	return r
}

func (r *root) control(typ wire.Type, v any) {
	r.t.Helper()
	frame, err := wire.Control(typ, v)
	if err != nil {
		r.t.Fatal(err)
	}
	r.send(frame)
}

func (r *root) send(frame []byte) {
	r.t.Helper()
	if err := r.fabric.Endpoint(0).Send(1, frame); err != nil {
		r.t.Fatal(err)
	}
}

func (r *root) calls(list ...wire.Call) {
	r.t.Helper()
	var w wire.Writer
	w.Reset(wire.TypeCalls)
	for _, c := range list {
		c.Ticket, c.Attempt = uint32(c.Number), 1
		w.AddCall(&c)
	}
	r.send(w.Frame())
}

// block sends calls with those arguments as one block, with the ticket 1000.
func (r *root) block(first uint64, args ...string) {
	r.t.Helper()
	r.send(blockFrame(wire.Call{Number: first, Ticket: 1000, Attempt: 1}, args...))
}

// blockFrame returns a frame with one block.
func blockFrame(c wire.Call, args ...string) []byte {
	var w wire.Writer
	w.Reset(wire.TypeCalls)
	list := make([][]byte, len(args))
	for i, arg := range args {
		list[i] = []byte(arg)
	}
	w.AddBlock(&c, list)
	return w.Frame()
}

// apart returns the results of an entry, as copies.
func apart(res wire.Result) []wire.Result {
	row := bytes.Clone(res.Data)
	if res.Count == 0 {
		res.Data = row
		return []wire.Result{res}
	}
	list := make([]wire.Result, res.Count)
	for i := range list {
		n := res.Lens.At(i)
		list[i] = wire.Result{Ticket: res.Ticket, Gen: res.Gen + uint32(i), Nanos: res.Nanos, Data: row[:n:n], Len: int64(n)}
		row = row[n:]
	}
	return list
}

func (r *root) kill(calls ...uint64) {
	r.t.Helper()
	r.control(wire.TypeKill, wire.Kill{Calls: calls, Kind: uint8(host.KindKilled), Reason: "because"})
}

// until takes in frames until enough have come.
func (r *root) until(enough func() bool) {
	r.t.Helper()
	for end := time.Now().Add(2 * time.Minute); !enough(); {
		if time.Now().After(end) {
			r.t.Fatalf("waited for two minutes, with %d results", len(r.results))
		}
		if _, err := r.fabric.Endpoint(0).Poll(r); err != nil {
			r.t.Fatal(err)
		}
	}
}

func (r *root) Frame(_ int, frame []byte) {
	typ, count, body, err := wire.Header(frame)
	if err != nil {
		r.t.Error(err)
	}
	switch typ {
	case wire.TypeResults:
		rd := wire.NewReader(count, body)
		var res wire.Result
		for rd.NextResult(&res) {
			if res.Begun {
				r.begun = append(r.begun, res.Gen)
				continue
			}
			r.results = append(r.results, apart(res)...)
			r.inBlock += res.Count
		}
		if err := rd.Err(); err != nil {
			r.t.Error(err)
		}
	case wire.TypeReturned:
		rd := wire.NewReader(count, body)
		for _, gen, n, ok := rd.NextTicket(); ok; _, gen, n, ok = rd.NextTicket() {
			for i := range n {
				r.took = append(r.took, gen+i)
			}
		}
	case wire.TypeLog:
		var line wire.LogLine
		if err := wire.Decode(typ, body, &line); err != nil {
			r.t.Error(err)
		}
		r.lines = append(r.lines, line)
	case wire.TypeStatus:
		r.status = new(wire.Status)
		if err := wire.Decode(typ, body, r.status); err != nil {
			r.t.Error(err)
		}
	case wire.TypePull:
		rd := wire.NewReader(count, body)
		for pull, ok := rd.NextPull(); ok; pull, ok = rd.NextPull() {
			r.pulls = append(r.pulls, pull)
		}
	}
}

func (r *root) Lost(int, error) {}

// failed waits for a result of the call, which must have failed in that way.
func (r *root) failed(call uint64, kind host.Kind) wire.Failure {
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
	if err := wire.Decode(wire.TypeResults, res.Data, &failure); err != nil {
		r.t.Fatal(err)
	}
	if host.Kind(failure.Kind) != kind {
		r.t.Errorf("call %d failed by %v (%s), want %v", call, host.Kind(failure.Kind), failure.Message, kind)
	}
	return failure
}

func (r *root) stop() {
	r.t.Helper()
	r.send(wire.Bare(wire.TypeStop))
	if err := <-r.served; err != nil {
		r.t.Errorf("Serve = %v", err)
	}
}
