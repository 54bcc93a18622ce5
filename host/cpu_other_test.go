//go:build !linux

package host

import (
	"testing"
	"time"
)

func cpuTime(*testing.T) time.Duration { return 0 }

func threadTime(*testing.T) time.Duration { return 0 }
