// Package fault puts faults between an endpoint and its owner, so that tests can
// show that nothing hangs and nothing is lost whatever happens to frames.
package fault

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/wasmpool/wasmpool/internal/transport"
)

// A Plan says which faults there are. Chances are per frame, in either
// direction. The zero Plan has none.
type Plan struct {
	Seed uint64

	Delay    float64       // chance of holding back a frame, and with it those behind it
	DelayMax time.Duration // for at most so long

	Drop      float64 // chance of losing a frame
	Duplicate float64 // chance of delivering a frame twice
	Truncate  float64 // chance of cutting a frame short
	Corrupt   float64 // chance of changing a bit of a frame
	Kill      float64 // chance of a frame's being the last thing its worker sees or does

	Most int // how many frames are harmed besides delays; the rest pass
}

// New returns ep, the endpoint of a root, with faults. kill ends a worker, as a
// signal would end its process.
func New(ep transport.Endpoint, plan Plan, kill func(rank int)) *Endpoint {
	return &Endpoint{
		Wrapper: transport.Wrapper{Endpoint: ep}, plan: plan, kill: kill, left: plan.Most,
		rnd: rand.New(rand.NewPCG(plan.Seed, 3)), out: make([]line, ep.Size()), in: make([]line, ep.Size()),
	}
}

// An Endpoint is a [transport.Endpoint] with faults.
type Endpoint struct {
	transport.Wrapper
	plan    Plan
	kill    func(rank int)
	rnd     *rand.Rand
	left    int
	out, in []line // by rank: what is held back
	held    int
	closed  bool
	handler transport.Handler
	harmed  Harmed
}

// Harmed counts the faults.
type Harmed struct{ Delayed, Dropped, Duplicated, Truncated, Corrupted, Killed int }

// Harmed returns how many faults there were. Only the owner may call it.
func (e *Endpoint) Harmed() Harmed { return e.harmed }

// A line holds the frames of one direction of one link until it is their time.
type line struct {
	frames [][]byte
	until  time.Time
}

// Send implements [transport.Endpoint].
func (e *Endpoint) Send(to int, frame []byte) error {
	if e.closed || to <= 0 || to >= len(e.out) || len(frame) == 0 {
		return e.Endpoint.Send(to, frame)
	}
	var err error
	e.pass(&e.out[to], to, frame, func(f []byte) {
		if sendErr := e.Endpoint.Send(to, f); err == nil {
			err = sendErr
		}
	})
	return err
}

// Close implements [transport.Endpoint].
func (e *Endpoint) Close() error {
	e.closed = true
	return e.Endpoint.Close()
}

// Frame implements [transport.Handler].
func (e *Endpoint) Frame(from int, frame []byte) {
	e.pass(&e.in[from], from, frame, func(f []byte) { e.handler.Frame(from, f) })
}

// Lost implements [transport.Handler].
func (e *Endpoint) Lost(rank int, err error) {
	for _, l := range []*line{&e.in[rank], &e.out[rank]} {
		e.held -= len(l.frames)
		l.frames = nil
	}
	e.handler.Lost(rank, err)
}

// Poll implements [transport.Endpoint].
func (e *Endpoint) Poll(h transport.Handler) (int, error) {
	e.handler = h
	n := 0
	if e.held > 0 {
		n = e.release()
	}
	got, err := e.Endpoint.Poll(e)
	return n + got, err
}

// Pending implements [transport.Endpoint].
func (e *Endpoint) Pending() bool { return e.held > 0 || e.Endpoint.Pending() }

// pass lets a frame through, as it is, harmed or later.
func (e *Endpoint) pass(l *line, rank int, frame []byte, deliver func([]byte)) {
	now := time.Now()
	if len(l.frames) == 0 && e.rnd.Float64() < e.plan.Delay {
		e.harmed.Delayed++
		wait := time.Duration(e.rnd.Int64N(int64(e.plan.DelayMax)))
		l.until = now.Add(wait)
		time.AfterFunc(wait, e.Bell().Ring)
	}
	if len(l.frames) > 0 || now.Before(l.until) {
		l.frames = append(l.frames, slices.Clone(frame))
		e.held++
		return
	}
	e.harm(rank, frame, deliver)
}

// release delivers what was held back long enough.
func (e *Endpoint) release() int {
	n := 0
	now := time.Now()
	for rank := range e.out {
		n += e.drain(now, &e.out[rank], rank, func(f []byte) { e.Endpoint.Send(rank, f) }) //nolint:errcheck // the endpoint is closed
		n += e.drain(now, &e.in[rank], rank, func(f []byte) { e.handler.Frame(rank, f) })
	}
	return n
}

func (e *Endpoint) drain(now time.Time, l *line, rank int, deliver func([]byte)) int {
	if now.Before(l.until) {
		return 0
	}
	frames := l.frames
	l.frames = nil
	e.held -= len(frames)
	for _, f := range frames {
		e.harm(rank, f, deliver)
	}
	return len(frames)
}

// harm delivers a frame, and perhaps something else happens to it.
func (e *Endpoint) harm(rank int, frame []byte, deliver func([]byte)) {
	at := e.rnd.Float64()
	happens := func(chance float64) bool {
		at -= chance
		return at < 0 && e.left > 0
	}
	switch p := &e.plan; {
	case happens(p.Drop):
		e.count(&e.harmed.Dropped)
	case happens(p.Duplicate):
		e.count(&e.harmed.Duplicated)
		deliver(frame)
		deliver(frame)
	case happens(p.Truncate):
		e.count(&e.harmed.Truncated)
		if n := e.rnd.IntN(len(frame)); n > 0 {
			deliver(frame[:n])
		}
	case happens(p.Corrupt):
		e.count(&e.harmed.Corrupted)
		changed := slices.Clone(frame)
		changed[e.rnd.IntN(len(changed))] ^= 1 << e.rnd.IntN(8)
		deliver(changed)
	case happens(p.Kill):
		e.count(&e.harmed.Killed)
		e.kill(rank)
	default:
		deliver(frame)
	}
}

func (e *Endpoint) count(n *int) {
	*n++
	e.left--
}
