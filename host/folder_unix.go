//go:build unix

package host

import (
	"math"
	"syscall"
)

// openAtOnce makes opening a file wait for nothing, and no terminal the process's own.
const openAtOnce = syscall.O_NONBLOCK | syscall.O_NOCTTY

// mostDescriptors returns how many files this process may have open.
func mostDescriptors() int64 {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return math.MaxInt64
	}
	return int64(min(uint64(limit.Cur), math.MaxInt64)) //nolint:unconvert // it is signed on some systems
}
