package difftest

import (
	"hash/maphash"

	"github.com/tetratelabs/wazero/experimental"
)

// A space is the linear memory of an instance, with nothing around it.
type space struct {
	most uint64 // the fence: no memory has more
	all  []byte
}

// Allocate implements [experimental.MemoryAllocator].
func (s *space) Allocate(_, most uint64) experimental.LinearMemory {
	s.all = reserve(min(most, s.most))
	return s
}

// Reallocate implements [experimental.LinearMemory].
func (s *space) Reallocate(size uint64) []byte {
	if s.all == nil || size > s.most || size > uint64(len(s.all))-2*guard {
		return nil
	}
	return commit(s.all, size)
}

// Free implements [experimental.LinearMemory].
func (s *space) Free() {
	if s.all != nil {
		release(s.all)
		s.all = nil
	}
}

var hashSeed = maphash.MakeSeed()

// digest returns a number that depends on the bytes of a memory, within this process.
func digest(memory []byte) (sum uint64) {
	touched(memory, func(at int, page []byte) {
		for _, b := range page {
			if b != 0 {
				sum += maphash.Bytes(hashSeed, page) * uint64(2*at+1)
				return
			}
		}
	})
	return sum
}
