package worker

import (
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// A needy endpoint's payloads leave after many polls, as long messages of MPI do, and
// nobody rings for them.
type needy struct {
	transport.Wrapper
	polls int // that what waits still needs
	waits []func()
}

const manyPolls = 500

func (e *needy) SendPayload(to int, id uint32, data []byte, done func(error)) {
	e.polls = manyPolls
	e.waits = append(e.waits, func() { e.Endpoint.SendPayload(to, id, data, done) })
}

func (e *needy) Pending() bool { return len(e.waits) > 0 || e.Endpoint.Pending() }

func (e *needy) Poll(h transport.Handler) (int, error) {
	if e.polls--; e.polls <= 0 {
		for _, send := range e.waits {
			send()
		}
		e.waits = nil
	}
	return e.Endpoint.Poll(h)
}

// One slot sleeps at the bell, and has slept for more than once, when another leaves a
// long result to be polled.
func TestSleeperIsStirred(t *testing.T) {
	defer func(d time.Duration) { safety = d }(safety)
	safety = 50 * time.Millisecond
	m := guesttest.Module(t, "slow", `(module
	  (import "wasmpool" "output_write" (func $write (param i32 i32)))
	  (memory (export "memory") 1)
	  (func (export "slow") (result i32) (local $i i64)
	    (local.set $i (i64.const 200000000))
	    (loop $again
	      (br_if $again (i64.ne (local.tee $i (i64.sub (local.get $i) (i64.const 1))) (i64.const 0))))
	    (call $write (i32.const 0) (i32.const 20000)) (i32.const 0)))`)
	fabric := mem.New(2)
	r := newRootOver(t, fabric, &needy{Wrapper: transport.Wrapper{Endpoint: fabric.Endpoint(1)}}, m, 2, "slow")
	for i := range 2 {
		r.calls(wire.Call{Number: uint64(i + 1)})
		r.until(func() bool { return len(r.results) == i+1 })
		began, here := time.Now(), false
		fabric.Endpoint(0).RecvPayload(1, r.results[i].Payload, make([]byte, 20000), func(error) { here = true })
		r.until(func() bool { return here })
		if took := time.Since(began); took > manyPolls*safety/4 {
			t.Errorf("the result of call %d took %v", i+1, took)
		}
	}
	r.stop()
}
