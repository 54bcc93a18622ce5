package transporttest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"sync"
)

// playLoans lends every worker memory, each time under the same ids, which it
// reads whole and in pieces, by several goroutines at once. A fabric need not lend.
func playLoans(ctx context.Context, p *peer) error {
	const rounds = 20
	sizes := []int{1, 4096, 1<<20 + 7}
	for round := range rounds {
		for i, size := range sizes {
			if err := p.playLoan(ctx, round+i, i, size); err != nil {
				return err
			}
		}
	}
	p.ep.Reclaim(12345) // was not lent
	return nil
}

func (p *peer) playLoan(ctx context.Context, seed, id, size int) error {
	if p.ep.Rank() > 0 {
		m, err := p.next(ctx)
		if err != nil {
			return err
		}
		if at := binary.LittleEndian.Uint64(m.data); at != 0 {
			if err := p.borrow(at, payload(0, seed, size)); err != nil {
				return err
			}
		}
		return p.ep.Send(0, []byte("read"))
	}
	for _, to := range p.partners() {
		loan := uint32(id*p.ep.Size() + to)
		at := p.ep.Lend(to, loan, payload(0, seed, size))
		if err := p.ep.Send(to, binary.LittleEndian.AppendUint64(nil, at)); err != nil {
			return err
		}
	}
	for range p.partners() {
		m, err := p.next(ctx)
		if err != nil {
			return err
		}
		p.ep.Reclaim(uint32(id*p.ep.Size() + m.from))
	}
	return nil
}

// borrow reads a loan that should hold want.
func (p *peer) borrow(at uint64, want []byte) error {
	half := len(want) / 2
	ways := []struct{ from, to int }{{0, len(want)}, {0, half}, {half, len(want)}}
	errs := make([]error, len(ways))
	var readers sync.WaitGroup
	for i, w := range ways {
		readers.Go(func() {
			got := make([]byte, w.to-w.from)
			if errs[i] = p.ep.Borrow(got, at+uint64(w.from)); errs[i] == nil && !bytes.Equal(got, want[w.from:w.to]) {
				errs[i] = fmt.Errorf("rank %d: bytes %d to %d of a loan of %d are wrong", p.ep.Rank(), w.from, w.to, len(want))
			}
		})
	}
	readers.Wait()
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}
