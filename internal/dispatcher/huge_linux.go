package dispatcher

import (
	"unsafe"

	"golang.org/x/sys/unix"
)

// preferHuge asks the system to back long memory that will be filled at once
// with huge pages: the first touch of each small one costs as much as copying it.
func preferHuge(b []byte) {
	const least = 4 << 20
	if len(b) < least {
		return
	}
	at, page := uintptr(unsafe.Pointer(&b[0])), uintptr(unix.Getpagesize())
	from, to := -at&(page-1), (at+uintptr(len(b)))&^(page-1)-at
	unix.Madvise(b[from:to], unix.MADV_HUGEPAGE) //nolint:errcheck // it is only advice
}
