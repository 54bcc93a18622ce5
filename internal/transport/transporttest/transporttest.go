// Package transporttest is the conformance suite of transport's fabrics: the
// same scenarios run on ranks that are goroutines and on ranks that are
// processes.
package transporttest

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/transport"
)

// timeout bounds one scenario.
const timeout = time.Minute

// A scenario is played by all ranks at once, each with its own endpoint.
type scenario struct {
	name string
	play func(ctx context.Context, p *peer) error
}

var scenarios = []scenario{
	{"order", playOrder},
	{"burst", playBurst},
	{"payloads", playPayloads},
	{"loans", playLoans},
	{"doze", playDoze},
	{"misuse", playMisuse},
	{"close", playClose}, // the last one
}

// Exercise runs the suite on fabrics whose ranks are all in this process. open
// returns the endpoints of a fabric of that size.
func Exercise(t *testing.T, open func(t *testing.T, size int) []transport.Endpoint) {
	for _, size := range []int{2, 4} {
		t.Run(fmt.Sprintf("ranks=%d", size), func(t *testing.T) {
			ends := open(t, size)
			errs := make([]error, size)
			var all sync.WaitGroup
			for rank, ep := range ends {
				all.Go(func() { errs[rank] = Play(t.Context(), ep) })
			}
			all.Wait()
			if err := errors.Join(errs...); err != nil {
				t.Error(err)
			}
		})
	}
}

// Play runs the suite as one rank among processes that all do the same.
func Play(ctx context.Context, ep transport.Endpoint) error {
	p := &peer{ep: ep}
	for _, s := range scenarios {
		err := playOne(ctx, p, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
	}
	return nil
}

func playOne(ctx context.Context, p *peer, s scenario) error {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	if err := s.play(ctx, p); err != nil || s.name == "close" {
		return err
	}
	return p.barrier(ctx)
}

// partners lists the ranks that a rank talks to.
func (p *peer) partners() []int {
	if p.ep.Rank() > 0 {
		return []int{0}
	}
	var list []int
	for rank := 1; rank < p.ep.Size(); rank++ {
		list = append(list, rank)
	}
	return list
}

// playOrder sends frames of all sizes both ways and checks that each arrives
// whole and in its sender's order.
func playOrder(ctx context.Context, p *peer) error {
	sizes := []int{4, 5, 100, 3900, 4000, 4096, 4097, 8 << 10, transport.FrameCap - 1, transport.FrameCap}
	const rounds = 30
	for i := range rounds * len(sizes) {
		for _, to := range p.partners() {
			if err := p.ep.Send(to, pattern(i, sizes[i%len(sizes)])); err != nil {
				return err
			}
		}
	}
	seen := map[int]int{}
	for range rounds * len(sizes) * len(p.partners()) {
		m, err := p.next(ctx)
		if err != nil {
			return err
		}
		i := seen[m.from]
		if !bytes.Equal(m.data, pattern(i, sizes[i%len(sizes)])) {
			return fmt.Errorf("rank %d: frame %d of rank %d has %d bytes and begins with % x", p.ep.Rank(), i, m.from, len(m.data), m.data[:4])
		}
		seen[m.from]++
	}
	return nil
}

// pattern returns n bytes that only the i-th frame has.
func pattern(i, n int) []byte {
	b := bytes.Repeat([]byte{byte(i), byte(i >> 8)}, n/2+1)[:n]
	binary.LittleEndian.PutUint32(b, uint32(i))
	return b
}

// playBurst sends many small frames both ways at once.
func playBurst(ctx context.Context, p *peer) error {
	const frames = 10_000
	sent, got := 0, map[int]uint32{}
	for total := 0; total < frames*len(p.partners()); {
		if ctx.Err() != nil {
			return fmt.Errorf("rank %d got %d frames of the burst", p.ep.Rank(), total)
		}
		for range 100 {
			if sent == frames {
				break
			}
			for _, to := range p.partners() {
				if err := p.ep.Send(to, binary.LittleEndian.AppendUint32(nil, uint32(sent))); err != nil {
					return err
				}
			}
			sent++
		}
		if _, err := p.ep.Poll(p); err != nil {
			return err
		}
		for _, m := range p.frames {
			if len(m.data) != 4 || binary.LittleEndian.Uint32(m.data) != got[m.from] {
				return fmt.Errorf("rank %d: frame %d of rank %d is % x", p.ep.Rank(), got[m.from], m.from, m.data)
			}
			got[m.from]++
			total++
		}
		p.frames = p.frames[:0]
	}
	for sent < frames { // everything has come, but not all was sent yet
		for _, to := range p.partners() {
			if err := p.ep.Send(to, binary.LittleEndian.AppendUint32(nil, uint32(sent))); err != nil {
				return err
			}
		}
		sent++
	}
	return p.until(ctx, "the burst to leave", func() bool { return !p.ep.Pending() })
}

// playPayloads moves payloads of all sizes both ways at once; the receivers ask
// in another order than the senders.
func playPayloads(ctx context.Context, p *peer) error {
	sizes := []int{0, 1, 4095, 4096, 64 << 10, 4<<20 - 1, 4 << 20, 4<<20 + 1, 17<<20 + 3, 0, 7}
	left := 0
	var failed error
	done := func(err error) {
		left--
		failed = errors.Join(failed, err)
	}
	type arrival struct {
		from, id int
		data     []byte
	}
	var arrivals []arrival
	for _, peer := range p.partners() {
		for id, size := range sizes {
			left++
			p.ep.SendPayload(peer, uint32(id), payload(p.ep.Rank(), id, size), done)
		}
		for id := len(sizes) - 1; id >= 0; id-- {
			left++
			a := arrival{peer, id, make([]byte, sizes[id])}
			arrivals = append(arrivals, a)
			p.ep.RecvPayload(peer, uint32(id), a.data, done)
		}
	}
	if err := p.until(ctx, "payloads", func() bool { return left == 0 }); err != nil {
		return err
	}
	for _, a := range arrivals {
		if !bytes.Equal(a.data, payload(a.from, a.id, sizes[a.id])) {
			return fmt.Errorf("rank %d: payload %d of rank %d (%d bytes) has arrived wrong", p.ep.Rank(), a.id, a.from, len(a.data))
		}
	}
	return failed
}

// payload returns n bytes that repeat themselves after a MiB only. The race detector looks at
// each byte that a loop writes, and at a copy as a whole.
func payload(rank, id, n int) []byte {
	const period = 1 << 20
	b := make([]byte, n)
	for i := range min(n, period) {
		b[i] = byte(i*7 + i>>12 + rank + id)
	}
	for i := period; i < n; i *= 2 {
		copy(b[i:], b[:i])
	}
	return b
}

// playDoze lets the workers sleep again and again. Each must be woken by what
// the root sends, however the two events lie.
func playDoze(ctx context.Context, p *peer) error {
	const rounds = 300
	if p.ep.Rank() > 0 {
		for i := range rounds {
			if err := p.sleepUntilFrame(i); err != nil {
				return err
			}
			if err := p.ep.Send(0, []byte("awake")); err != nil {
				return err
			}
		}
		return nil
	}
	for i := range rounds {
		for start := time.Now(); time.Since(start) < time.Duration(i%10)*20*time.Microsecond; {
			if _, err := p.ep.Poll(p); err != nil {
				return err
			}
		}
		for _, rank := range p.partners() {
			if err := p.ep.Send(rank, []byte("wake up")); err != nil {
				return err
			}
		}
		for range p.partners() {
			if _, err := p.next(ctx); err != nil {
				return fmt.Errorf("round %d: %w", i, err)
			}
		}
	}
	return nil
}

// sleepUntilFrame waits for a frame on the bell only.
func (p *peer) sleepUntilFrame(round int) error {
	for len(p.frames) == 0 {
		p.ep.Doze()
		if _, err := p.ep.Poll(p); err != nil {
			return err
		}
		if len(p.frames) == 0 && !p.ep.Bell().Wait(20*time.Second) {
			return fmt.Errorf("rank %d was not woken in round %d", p.ep.Rank(), round)
		}
		if _, err := p.ep.Poll(p); err != nil {
			return err
		}
	}
	p.frames = p.frames[1:]
	return nil
}

// playMisuse checks that wrong calls are errors and harm nothing.
func playMisuse(_ context.Context, p *peer) error {
	for _, wrong := range []struct {
		to, n int
	}{
		{p.ep.Rank(), 1}, {-1, 1}, {p.ep.Size(), 1}, {p.partners()[0], 0}, {p.partners()[0], transport.FrameCap + transport.Overhead + 1},
	} {
		if err := p.ep.Send(wrong.to, make([]byte, wrong.n)); err == nil {
			return fmt.Errorf("sending %d bytes from rank %d to %d is no error", wrong.n, p.ep.Rank(), wrong.to)
		}
	}
	return nil
}

// playClose closes and checks what the endpoint says then.
func playClose(ctx context.Context, p *peer) error {
	if err := p.barrier(ctx); err != nil {
		return err
	}
	failed := errors.New("not called")
	p.ep.RecvPayload(p.partners()[0], 5, make([]byte, 10), func(err error) { failed = err })
	for range 2 {
		if err := p.ep.Close(); err != nil {
			return err
		}
	}
	if !errors.Is(failed, transport.ErrClosed) {
		return fmt.Errorf("a payload under way at Close ends with: %w", failed)
	}
	if err := p.ep.Send(p.partners()[0], []byte("x")); !errors.Is(err, transport.ErrClosed) {
		return fmt.Errorf("sending after Close is no ErrClosed: %w", err)
	}
	if _, err := p.ep.Poll(p); !errors.Is(err, transport.ErrClosed) {
		return fmt.Errorf("polling after Close is no ErrClosed: %w", err)
	}
	return nil
}

// PlayLoss is played by the root where the rank victim dies after it has said "alive".
// kill makes it die.
func PlayLoss(ctx context.Context, ep transport.Endpoint, victim int, kill func()) error {
	p := &peer{ep: ep}
	for range p.partners() {
		if m, err := p.next(ctx); err != nil || string(m.data) != "alive" {
			return fmt.Errorf("a worker says %q: %w", m.data, err)
		}
	}
	var failed error
	ended := false
	ep.RecvPayload(victim, 1, make([]byte, 100), func(err error) { failed, ended = err, true })
	kill()
	if err := p.until(ctx, "the loss", func() bool { return len(p.lost) > 0 && ended }); err != nil {
		return err
	}
	if p.lost[0] != victim || failed == nil {
		return fmt.Errorf("lost %v, the payload ended with: %w", p.lost, failed)
	}
	if err := ep.Send(victim, []byte("are you there?")); err != nil {
		return fmt.Errorf("sending to the lost rank: %w", err)
	}
	for _, rank := range p.partners() {
		if rank == victim {
			continue
		}
		if err := ep.Send(rank, []byte("leave")); err != nil {
			return err
		}
	}
	return p.until(ctx, "the frames to leave", func() bool { return !ep.Pending() })
}

// ErrRootLost is what [PlaySurvivor] returns where it is told that the root is
// lost.
var ErrRootLost = errors.New("transporttest: the root is lost")

// PlaySurvivor is played by the workers of PlayLoss; the victim stays in it
// until it dies, or is told that it was fenced.
func PlaySurvivor(ctx context.Context, ep transport.Endpoint) error {
	p := &peer{ep: ep}
	if err := ep.Send(0, []byte("alive")); err != nil {
		return err
	}
	err := p.until(ctx, "a frame or a loss", func() bool { return len(p.frames)+len(p.lost) > 0 })
	if err == nil && len(p.lost) > 0 {
		err = ErrRootLost
	}
	return err
}
