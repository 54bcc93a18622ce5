package host

import (
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

// growSpace returns usable space of n bytes, more than old has, with what is in old, which may be nil and
// is not used any more. The system moves the pages, and copies nothing.
func growSpace(old []byte, n uint64) ([]byte, error) {
	if old == nil || n > math.MaxInt {
		return mapSpace(n)
	}
	space, err := unix.Mremap(old, int(n), unix.MREMAP_MAYMOVE)
	if err != nil {
		return nil, fmt.Errorf("the system refused %d bytes: %w", n-uint64(len(old)), err)
	}
	return space, nil
}

// zeroSpace makes space zero. Much of it is given back to the system, which gives zeros when it is used again.
func zeroSpace(part []byte) {
	const much = 1 << 20
	if len(part) < much || unix.Madvise(part, unix.MADV_DONTNEED) != nil {
		clear(part)
	}
}
