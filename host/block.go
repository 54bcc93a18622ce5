package host

import (
	"errors"

	"github.com/wasmpool/wasmpool/internal/memory"
)

// A block is memory outside of Go's heap, where the system allows, since that ends
// the process when it cannot grow. It is in the account of the process. The zero value
// is empty; account is set before it grows.
type block struct {
	account *memory.Account
	space   []byte
	taken   uint64 // of the account
	kept    bool   // somebody else frees space
}

var errNoSpace = errors.New("host: the address space is used up")

// take has n bytes in the account.
func (b *block) take(n uint64) error {
	if n <= b.taken {
		return nil
	}
	if err := b.account.Take(n-b.taken, b.taken); err != nil {
		return err
	}
	b.taken = n
	return nil
}

// grow makes the block, which may move, at least n bytes long, and wanted where that
// costs nothing. After an error it is as it was.
func (b *block) grow(n, wanted uint64) error {
	if n <= uint64(len(b.space)) {
		return b.take(n)
	}
	before := b.taken
	if err := b.take(n); err != nil {
		return err
	}
	grown, err := growSpace(b.space, max(n, wanted))
	if err != nil && wanted > n {
		grown, err = growSpace(b.space, n)
	}
	if err != nil {
		b.account.Give(b.taken - before)
		b.taken = before
		return err
	}
	b.space = grown
	return nil
}

// free gives the block back.
func (b *block) free() {
	if !b.kept {
		b.release()
	}
	*b = block{account: b.account}
}

func (b *block) release() {
	if b.space != nil {
		releaseSpace(b.space)
	}
	if b.taken > 0 {
		b.account.Give(b.taken)
	}
}

// keep makes the block stay when it is freed, and returns the function that frees it.
func (b *block) keep() func() {
	b.kept = true
	kept := *b
	return kept.release
}

// Keep makes memory outlive its call, for a reader or writer that is not done when
// the call is over, such as a transport with a transfer under way. part lies in it: the
// dst of [Call.ReadArg], while that runs, or the result of [Slot.Run], until the next
// Run. A ReadArg that keeps dst returns an error. The slot does not free that memory any
// more, and it counts as taken: free gives it back, and may be called once, by any
// goroutine, or never.
func (s *Slot) Keep(part []byte) (free func()) {
	blocks := []*block{&s.long, &s.arg}
	if s.instance != nil {
		blocks = append(blocks, &s.instance.linear.block)
	}
	for _, b := range blocks {
		if b.holds(part) {
			return b.keep()
		}
	}
	return func() {} // the collector does it
}
