//go:build !unix

package unittest

import (
	"testing"
	"time"
)

// CPUTime returns 0 here.
func CPUTime(testing.TB) time.Duration { return 0 }
