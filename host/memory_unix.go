//go:build unix && !aix

package host

import (
	"fmt"
	"math"

	"golang.org/x/sys/unix"
)

// reserveSpace reserves n bytes of address space, which cost nothing until they
// are used, also where the system does not overcommit. It returns nil when it
// cannot, for example under a limit on address space.
func reserveSpace(n uint64) []byte {
	if n == 0 || n > math.MaxInt {
		return nil
	}
	space, err := unix.Mmap(-1, 0, int(n), unix.PROT_NONE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil
	}
	return space
}

// commitSpace makes a part of reserved space usable.
func commitSpace(part []byte) error {
	if len(part) == 0 {
		return nil
	}
	if err := unix.Mprotect(part, unix.PROT_READ|unix.PROT_WRITE); err != nil {
		return fmt.Errorf("the system refused %d bytes: %w", len(part), err)
	}
	return nil
}

// mapSpace returns n bytes that are usable and zero.
func mapSpace(n uint64) ([]byte, error) {
	if n > math.MaxInt {
		return nil, errNoSpace
	}
	space, err := unix.Mmap(-1, 0, int(n), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return nil, fmt.Errorf("the system refused %d bytes: %w", n, err)
	}
	return space, nil
}

// releaseSpace gives space back to the system.
func releaseSpace(space []byte) {
	unix.Munmap(space) //nolint:errcheck // it fails only for a slice that reserveSpace, mapSpace or growSpace did not return
}
