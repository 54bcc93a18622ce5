//go:build !linux

package bench

import (
	"errors"
	"time"
)

// errUnsupported ends the cases that look at processes.
var errUnsupported = errors.New("this case is measured on Linux only")

func cpuTime(int) (time.Duration, error) { return 0, errUnsupported }

func residentBytes() (int64, error) { return 0, errUnsupported }
