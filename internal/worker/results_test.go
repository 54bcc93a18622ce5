package worker

import (
	"bytes"
	"encoding/binary"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// An eager endpoint's payloads leave at once, as MPI's do up to its eager limit
// (TCP: 64 KiB), whether or not the receiver has asked for them. Those of one id
// arrive in the order in which they were sent.
type eager struct {
	transport.Wrapper
	sent chan eagerPayload
	done []func(error)
}

type eagerPayload struct {
	id   uint32
	data []byte
}

func (e *eager) SendPayload(_ int, id uint32, data []byte, done func(error)) {
	e.sent <- eagerPayload{id, bytes.Clone(data)}
	e.done = append(e.done, done)
}

func (e *eager) Poll(h transport.Handler) (int, error) {
	list := e.done
	e.done = nil
	for _, done := range list {
		done(nil)
	}
	n, err := e.Endpoint.Poll(h)
	return n + len(list), err
}

// Long results of several slots: the payloads of an id must have the order of the
// results that name it.
func TestEagerResults(t *testing.T) {
	m := guesttest.Module(t, "fill", `(module
	  (import "wasmpool" "input_read" (func $read (param i32 i32 i32) (result i32)))
	  (import "wasmpool" "output_write" (func $write (param i32 i32)))
	  (memory (export "memory") 1)
	  (func (export "fill") (result i32)
	    (drop (call $read (i32.const 0) (i32.const 0) (i32.const 8)))
	    (call $write (i32.const 0) (i32.const 20000)) (i32.const 0)))`)
	const calls, slots = 20_000, 4
	h := newHost(t)
	fabric := mem.New(2)
	ep := &eager{Wrapper: transport.Wrapper{Endpoint: fabric.Endpoint(1)}, sent: make(chan eagerPayload, calls)}
	r := &root{t: t, fabric: fabric, served: make(chan error, 1)}
	go func() { r.served <- Serve(t.Context(), h, ep, Config{Slots: slots}) }()
	// as newRoot, but the module is sent
	r.control(wire.TypeModule, wire.Module{Name: m.Name(), Digest: m.Digest().String(), Size: int64(len(m.Bytes()))})
	r.control(wire.TypeTasks, wire.Tasks{Tasks: []wire.Task{{Export: "fill"}}})
	fabric.Endpoint(0).SendPayload(1, transport.MaxPayloads-1, m.Bytes(), func(error) {})
	for sent := 0; sent < calls; {
		var list []wire.Call
		for range 100 {
			sent++
			list = append(list, wire.Call{Number: uint64(sent), Arg: binary.LittleEndian.AppendUint64(nil, uint64(sent))})
		}
		r.calls(list...)
		r.until(func() bool { return len(r.results) >= sent-100 })
	}
	r.until(func() bool { return len(r.results) == calls })
	byID := map[uint32][][]byte{}
	for range calls {
		p := <-ep.sent
		byID[p.id] = append(byID[p.id], p.data)
	}
	wrong := 0
	for _, res := range r.results {
		data := byID[res.Payload][0]
		byID[res.Payload] = byID[res.Payload][1:]
		if got := binary.LittleEndian.Uint64(data); got != uint64(res.Gen) {
			if wrong++; wrong <= 3 {
				t.Errorf("call %d gets the result of call %d", res.Gen, got)
			}
		}
	}
	if wrong > 0 {
		t.Errorf("%d of %d calls get the result of another", wrong, calls)
	}
	r.stop()
}

// A slot that waits until results have left does not wait for those that another slot
// posts meanwhile.
func TestDrainWhileOthersPost(t *testing.T) {
	t.Parallel()
	fabric := mem.New(2)
	root := &root{t: t, fabric: fabric}
	s := &server{ep: fabric.Endpoint(1), backlog: newBacklog()}
	post := func(id uint32) {
		s.io.Lock()
		defer s.io.Unlock()
		s.post(id, make([]byte, wire.Inline+1))
	}
	post(1)
	s.backlog.put(&wire.Result{Ticket: 1})
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		s.drainPosts()
	}()
	root.until(func() bool { return len(root.results) == 1 }) // which drainPosts has sent
	post(2)
	fabric.Endpoint(0).RecvPayload(1, 1, make([]byte, wire.Inline+1), func(error) {})
	select {
	case <-drained:
	case <-time.After(time.Minute):
		t.Error("it still waits after a minute")
		s.backlog.close()
		<-drained
	}
}
