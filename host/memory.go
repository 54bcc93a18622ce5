package host

import (
	"math"
	"unsafe"

	"github.com/tetratelabs/wazero/experimental"
)

// pageSize is the unit in which linear memory grows.
const pageSize = 64 << 10

// maxMemory is the most a 32-bit guest can have. The very last page is left
// out so that every size fits into 32 bits.
const maxMemory = math.MaxUint32 + 1 - pageSize

// A linear is the linear memory of one instance. Where the system allows, the
// whole limit is reserved as address space at the start and made usable as the
// guest grows, so that growing never copies and never moves: an import may
// fill guest memory directly. Else it lives in the Go heap and moves.
//
// It is its own allocator, since an instance has one memory. Its owner calls
// Free again after wazero did, or in its place where wazero does not.
type linear struct {
	slot    *Slot
	limit   uint64 // what the host allows
	most    uint64 // what the call allows, at most limit
	reserve bool
	space   []byte // reserved, as long as the memory may become; nil in the heap
	size    uint64 // usable, and ever used: it never shrinks

	kept bool // somebody else frees space

	heap    []byte
	refused bool // the guest asked for more than it can have, in this call
	above   bool // and more than it may have
}

// Allocate implements [experimental.MemoryAllocator].
func (l *linear) Allocate(_, most uint64) experimental.LinearMemory {
	if l.reserve {
		l.space = reserveSpace(min(most, l.limit))
	}
	return l
}

// Reallocate implements [experimental.LinearMemory].
func (l *linear) Reallocate(size uint64) []byte {
	if size > l.most {
		l.above = true
		return l.refuse()
	}
	if size > l.slot.host.cfg.KeepMemory {
		l.slot.dirty = true // it is not kept for the next call
	}
	if l.space == nil {
		return l.growHeap(size)
	}
	if size > uint64(len(l.space)) || commitSpace(l.space[l.size:size]) != nil {
		return l.refuse()
	}
	l.size = size
	return l.space[:size:size]
}

func (l *linear) growHeap(size uint64) []byte {
	if size > math.MaxInt {
		return l.refuse()
	}
	if size > uint64(cap(l.heap)) {
		grown := make([]byte, size, min(l.limit, size+size/4))
		copy(grown, l.heap)
		l.heap = grown
	}
	l.heap, l.size = l.heap[:size], size
	return l.heap
}

// refuse remembers that the guest was refused memory, which explains a crash
// that follows.
func (l *linear) refuse() []byte {
	l.refused, l.slot.dirty = true, true
	return nil
}

// holds reports whether part lies in the space.
func (l *linear) holds(part []byte) bool {
	return l.space != nil && len(part) > 0 && uintptr(unsafe.Pointer(&part[0]))-uintptr(unsafe.Pointer(&l.space[0])) < uintptr(len(l.space))
}

// Free implements [experimental.LinearMemory]. No view of the memory may be
// used after it.
func (l *linear) Free() {
	if l.space != nil && !l.kept {
		releaseSpace(l.space)
	}
	l.space, l.heap, l.size = nil, nil, 0
}
