package dispatcher

import (
	"testing"
	"time"
)

// TestTimes checks that a limit stays one whatever it is multiplied with.
func TestTimes(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		n      int64
		factor float64
		want   int64
	}{{10, 0, 10}, {10, 1.5, 15}, {10, 1e300, 1 << 62}, {1 << 61, 2, 1 << 62}, {1 << 62, 8, 1 << 62}} {
		if got, also := times(time.Duration(c.n), c.factor), times(uint64(c.n), c.factor); int64(got) != c.want || int64(also) != c.want {
			t.Errorf("%d times %v is %d and %d, want %d", c.n, c.factor, got, also, c.want)
		}
	}
}
