package transport

import (
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// CanShare reports whether bells can be shared between processes here.
const CanShare = true

// The values of the word of a shared bell.
const (
	wordSilent = iota
	wordRung
	wordAwaited // a thread sleeps at it
)

const (
	futexWait = 0 // of linux/futex.h; not the private kind, as processes share it
	futexWake = 1
)

// RingWord rings the shared bell with that word. It costs next to nothing
// unless somebody waits.
func RingWord(word *uint32) {
	if atomic.SwapUint32(word, wordRung) == wordAwaited {
		unix.RawSyscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWake, 1, 0, 0, 0) //nolint:errcheck // it cannot fail, and does not block
	}
}

func waitWord(word *uint32, d time.Duration) bool {
	var until time.Time
	if d > 0 {
		until = time.Now().Add(d)
	}
	for {
		if !atomic.CompareAndSwapUint32(word, wordSilent, wordAwaited) {
			atomic.StoreUint32(word, wordSilent)
			return true
		}
		var timeout *syscall.Timespec
		if d > 0 {
			ts := syscall.NsecToTimespec(max(int64(time.Until(until)), 0))
			timeout = &ts
		}
		unix.Syscall6(unix.SYS_FUTEX, uintptr(unsafe.Pointer(word)), futexWait, wordAwaited, uintptr(unsafe.Pointer(timeout)), 0, 0) //nolint:errcheck // whatever ended it
		if atomic.SwapUint32(word, wordSilent) == wordRung {
			return true
		}
		if d > 0 && !time.Now().Before(until) {
			return false
		}
	}
}
