package transport

import (
	"syscall"
	"time"
)

func nap(d time.Duration) {
	ts := syscall.NsecToTimespec(int64(d))
	syscall.Nanosleep(&ts, nil) //nolint:errcheck // a signal may end it early
}
