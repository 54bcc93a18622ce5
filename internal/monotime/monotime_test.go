package monotime_test

import (
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/monotime"
)

// Now counts nanoseconds, and never goes back.
func TestNow(t *testing.T) {
	t.Parallel()
	began, first := time.Now(), monotime.Now()
	time.Sleep(time.Millisecond)
	last := monotime.Now()
	if took := last - first; took < int64(time.Millisecond) || took > int64(time.Since(began)) {
		t.Errorf("%d ns passed of 1 ms", took)
	}
}
