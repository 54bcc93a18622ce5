package memory

import (
	"fmt"
	"math"
	"os"
)

// A bound is one of the things that bound the process.
type bound struct {
	name  string
	total uint64                        // bytes
	left  func() (left uint64, ok bool) // bytes, at this moment
	space bool                          // it counts what is mapped, whether or not it is used
}

// Bounds are all that bound a process.
type Bounds []bound

// Of returns what bounds this process. It reads some files, which takes some 100 µs.
func Of() Bounds { return find(os.DirFS("/")) }

// Resident returns how much memory the process uses that it does not share, in bytes; 0 where that is not known.
func Resident() uint64 { return resident() }

// Total returns the least of the bounds, in bytes, and its name: what the process
// may have if it is alone. Where nothing is known it is [math.MaxUint64].
func (b Bounds) Total() (bytes uint64, name string) {
	bytes = math.MaxUint64
	for _, one := range b {
		if one.total < bytes {
			bytes, name = one.total, one.name
		}
	}
	return bytes, name
}

// A Need says what is wanted of the memory that is left, in bytes.
type Need struct {
	Spare     uint64 // not to be used
	Untouched uint64 // promised, and not in use yet
	Idle      uint64 // mapped by Go's heap, and not in use
	Heap      uint64 // wanted from Go's heap
}

// Left returns what is left for that need below the bound that is nearest, in bytes,
// and its name. It reads some files, which takes some 50 µs.
func (b Bounds) Left(need Need) (bytes uint64, name string) {
	bytes = math.MaxUint64
	for _, one := range b {
		left, ok := one.left()
		if !ok {
			continue
		}
		off := need.Spare + need.Untouched
		if one.space {
			if need.Heap > 0 && need.Heap <= need.Idle {
				continue // nothing will be mapped
			}
			off = max(need.Spare-min(need.Spare, need.Idle), min(need.Spare, leastMapped))
		}
		left -= min(left, off)
		if left < bytes {
			bytes, name = left, one.name
		}
	}
	return bytes, name
}

// leastMapped is what can still be mapped in any case, such as the stack of a thread.
const leastMapped = 16 << 20

// Moves reports whether address space is bounded, so that none should be reserved
// which is not used.
func (b Bounds) Moves() bool {
	for _, one := range b {
		if one.space {
			return true
		}
	}
	return false
}

// Size returns a number of bytes for people.
func Size(n uint64) string {
	switch {
	case n >= 1<<30:
		return fmt.Sprintf("%.1f GiB", float64(n)/(1<<30))
	case n >= 1<<20:
		return fmt.Sprintf("%.0f MiB", float64(n)/(1<<20))
	default:
		return fmt.Sprintf("%d bytes", n)
	}
}
