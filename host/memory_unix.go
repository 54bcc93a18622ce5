//go:build unix && !aix

package host

import (
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
	return unix.Mprotect(part, unix.PROT_READ|unix.PROT_WRITE)
}

// releaseSpace gives space back to the system.
func releaseSpace(space []byte) {
	unix.Munmap(space) //nolint:errcheck // it fails only for a slice that reserveSpace did not return
}
