package transporttest

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"sync"

	"github.com/wasmpool/wasmpool/internal/transport"
)

// playLoans lends every worker memory, each time under the same ids, which it
// reads whole and in pieces, by several goroutines at once. A fabric need not lend, nor
// does one that can lend to every worker.
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
	if lender, ok := transport.As[transport.Lender](p.ep); ok {
		lender.Reclaim(12345) // was not lent
	}
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
	lender, lends := transport.As[transport.Lender](p.ep)
	for _, to := range p.partners() {
		loan, at := uint32(id*p.ep.Size()+to), uint64(0)
		if lends {
			at = lender.Lend(to, loan, payload(0, seed, size))
		}
		if err := p.ep.Send(to, binary.LittleEndian.AppendUint64(nil, at)); err != nil {
			return err
		}
	}
	for range p.partners() {
		m, err := p.next(ctx)
		if err != nil {
			return err
		}
		if lends {
			lender.Reclaim(uint32(id*p.ep.Size() + m.from))
		}
	}
	return nil
}

// borrow reads a loan that should hold want.
func (p *peer) borrow(at uint64, want []byte) error {
	borrower, ok := transport.As[transport.Borrower](p.ep)
	if !ok {
		return fmt.Errorf("rank %d was lent %d bytes and cannot borrow", p.ep.Rank(), len(want))
	}
	half := len(want) / 2
	ways := []struct{ from, to int }{{0, len(want)}, {0, half}, {half, len(want)}}
	errs := make([]error, len(ways))
	var readers sync.WaitGroup
	for i, w := range ways {
		readers.Go(func() {
			got := make([]byte, w.to-w.from)
			if errs[i] = borrower.Borrow(got, at+uint64(w.from)); errs[i] == nil && !bytes.Equal(got, want[w.from:w.to]) {
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
