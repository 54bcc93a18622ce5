//go:build !linux

package compile

import (
	"os"
	"testing"
)

func forgetPeak(*testing.T) {}

func peakMemory(*testing.T) int64 { return 0 }

func peakOf(*os.ProcessState) int64 { return 0 }
