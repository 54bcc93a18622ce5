package transporttest

import (
	"context"
	"fmt"
	"runtime"

	"github.com/wasmpool/wasmpool/internal/transport"
)

// A peer is one rank in a scenario: an endpoint with what arrived on it.
type peer struct {
	ep     transport.Endpoint
	frames []message
	signs  int // frames of a barrier
	lost   []int
}

// sign is the frame of a barrier. It may come while a slower rank is still in
// the scenario before.
const sign = "barrier"

type message struct {
	from int
	data []byte
}

// Frame implements [transport.Handler].
func (p *peer) Frame(from int, frame []byte) {
	if string(frame) == sign {
		p.signs++
		return
	}
	p.frames = append(p.frames, message{from, append([]byte(nil), frame...)})
}

// Lost implements [transport.Handler].
func (p *peer) Lost(rank int, err error) {
	p.lost = append(p.lost, rank)
	if err == nil {
		panic("a rank is lost without an error") //nolint:forbidigo // there is no test to fail here
	}
}

// until polls until the condition holds.
func (p *peer) until(ctx context.Context, what string, cond func() bool) error {
	for !cond() {
		n, err := p.ep.Poll(p)
		if err != nil {
			return fmt.Errorf("rank %d, waiting for %s: %w", p.ep.Rank(), what, err)
		}
		if ctx.Err() != nil && !cond() {
			return fmt.Errorf("rank %d is still waiting for %s", p.ep.Rank(), what)
		}
		if n == 0 {
			runtime.Gosched()
		}
	}
	return nil
}

// next returns the next frame.
func (p *peer) next(ctx context.Context) (message, error) {
	if err := p.until(ctx, "a frame", func() bool { return len(p.frames) > 0 }); err != nil {
		return message{}, err
	}
	m := p.frames[0]
	p.frames = p.frames[1:]
	return m, nil
}

// barrier waits until all ranks are here: workers report to the root, the root
// answers all.
func (p *peer) barrier(ctx context.Context) error {
	if p.ep.Rank() > 0 {
		if err := p.ep.Send(0, []byte(sign)); err != nil {
			return err
		}
		return p.takeSigns(ctx, 1)
	}
	if err := p.takeSigns(ctx, p.ep.Size()-1); err != nil {
		return err
	}
	for rank := 1; rank < p.ep.Size(); rank++ {
		if err := p.ep.Send(rank, []byte(sign)); err != nil {
			return err
		}
	}
	return p.until(ctx, "the barrier to leave", func() bool { return !p.ep.Pending() })
}

func (p *peer) takeSigns(ctx context.Context, n int) error {
	if err := p.until(ctx, "the others at the barrier", func() bool { return p.signs >= n }); err != nil {
		return err
	}
	p.signs -= n
	return nil
}
