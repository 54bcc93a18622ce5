package feed

import (
	"math/bits"
	"time"
)

// Durations counts durations by their size, to within a tenth. The zero value is empty.
type Durations struct {
	Count uint64
	Sum   time.Duration
	Max   time.Duration

	// Sizes counts them by [SizeOf].
	Sizes [MostSizes]uint64
}

// MostSizes is how many sizes are told apart: four for each power of two nanoseconds, up to 6 days. Longer
// ones are of the last size.
const MostSizes = 192

// SizeOf returns the size of a duration, from 0. Negative ones are of size 0.
func SizeOf(d time.Duration) int {
	n := uint64(max(d, 0))
	if n < 4 {
		return int(n)
	}
	e := bits.Len64(n) - 1 // at least 2
	return min(4*(e-1)+int(n>>(e-2))&3, MostSizes-1)
}

// Least returns the least duration of a size.
func Least(size int) time.Duration {
	if size < 4 {
		return time.Duration(size)
	}
	e := size/4 + 1
	return time.Duration(4+size%4) << (e - 2)
}

// Add counts a duration.
func (s *Durations) Add(d time.Duration) {
	s.Count++
	s.Sum += d
	s.Max = max(s.Max, d)
	s.Sizes[SizeOf(d)]++
}

// Merge counts all that other has counted, too.
func (s *Durations) Merge(other *Durations) {
	s.Count += other.Count
	s.Sum += other.Sum
	s.Max = max(s.Max, other.Max)
	for i, n := range other.Sizes {
		s.Sizes[i] += n
	}
}

// Quantile returns a duration below which the share q of those counted lies, to within a tenth: 0.5 gives the
// median. It is 0 where none was counted, and never above Max.
func (s *Durations) Quantile(q float64) time.Duration {
	if s.Count == 0 {
		return 0
	}
	left := max(uint64(q*float64(s.Count)+0.5), 1)
	for size, n := range s.Sizes {
		if n >= left {
			return min((Least(size)+Least(size+1))/2, s.Max)
		}
		left -= n
	}
	return s.Max
}

// Mean returns the mean, 0 where none was counted.
func (s *Durations) Mean() time.Duration {
	if s.Count == 0 {
		return 0
	}
	return s.Sum / time.Duration(s.Count)
}
