//go:build !linux

package compile

import (
	"os"
	"testing"
	"time"
)

func forgetPeak(*testing.T) {}

func peakMemory(*testing.T) int64 { return 0 }

func peakOf(*os.ProcessState) int64 { return 0 }

func cpuTime(*testing.T) time.Duration { return 0 }
