package host

import (
	"unsafe"

	"github.com/tetratelabs/wazero/experimental"

	"github.com/wasmpool/wasmpool/internal/compile"
)

// A linear is the linear memory of one instance. Where address space is not bounded,
// the whole limit is reserved at the start and made usable as the guest grows, so
// that growing never moves. Else it is a block, which moves.
//
// The usable part is in the account of the process's memory, whether the guest uses it
// or not: see RATIONALE.md, "How much memory may guests have?".
//
// It is its own allocator, since an instance has one memory. Its owner calls
// Free again after wazero did, or in its place where wazero does not.
type linear struct {
	block
	slot  *Slot
	limit uint64 // what the host allows
	most  uint64 // what the call allows, at most limit
	fixed bool   // all of space is reserved, and the first size bytes usable
	size  uint64 // usable, and used since it was put back to an image

	shorter bool // the next Reallocate makes it back bytes long
	back    uint64

	beside uint64 // bytes that count to most besides: files of a command
	peak   uint64 // the most that it and what is beside it had at once in this call

	refused bool // in this call the guest asked for more than there is
	above   bool // in this call the guest asked for more than it may have
}

// Allocate implements [experimental.MemoryAllocator].
func (l *linear) Allocate(_, most uint64) experimental.LinearMemory {
	l.account = l.slot.host.memory
	if !l.slot.host.moves {
		l.space = reserveSpace(min(most, l.limit))
		l.fixed = l.space != nil
	}
	return l
}

// Reallocate implements [experimental.LinearMemory]. What the guest may have, but the
// process cannot, ends the call: it must not depend on what else runs what a guest
// sees.
func (l *linear) Reallocate(size uint64) []byte {
	if l.shorter {
		return l.shorten(l.back)
	}
	if size > l.most || size+l.beside > l.most {
		l.above = true
		return l.refuse()
	}
	if size > l.slot.host.keepMemory() {
		l.slot.dirty = true // it is not kept for the next call
	}
	if err := l.makeUsable(size); err != nil {
		if !l.slot.retireOthers(l) {
			l.outOfMemory(err)
		}
		if err := l.makeUsable(size); err != nil {
			l.outOfMemory(err)
		}
	}
	l.size = max(l.size, size)
	l.note()
	return l.space[:size:size]
}

// note takes note of how much the call has.
func (l *linear) note() { l.peak = max(l.peak, l.size+l.beside) }

// makeUsable makes size bytes usable.
func (l *linear) makeUsable(size uint64) error {
	switch {
	case size <= l.size:
		return nil
	case !l.fixed:
		return l.grow(size, min(l.limit, size+min(size/4, mostSlack)))
	case size > uint64(len(l.space)):
		return errNoSpace
	}
	if err := l.take(size); err != nil {
		return err
	}
	return commitSpace(l.space[l.size:size])
}

// shorten makes the memory n bytes long again. What lies behind is zero when it grows the next time.
func (l *linear) shorten(n uint64) []byte {
	zeroSpace(l.space[n:l.size])
	l.size = n
	if l.taken > n {
		l.account.Give(l.taken - n)
		l.taken = n
	}
	return l.space[:n:n]
}

// mostSlack bounds by how much a block is longer than it must be.
const mostSlack = 16 << 20

// outOfMemory ends the call because the process has no more memory.
func (l *linear) outOfMemory(err error) {
	l.refuse()
	raise(&abort{kind: KindMemory, message: "there is no memory for the guest: " + err.Error(), err: err})
}

// refuse remembers that the guest was refused memory, which explains a crash
// that follows.
func (l *linear) refuse() []byte {
	l.refused, l.slot.dirty = true, true
	return nil
}

// explain makes the failure of a guest that was refused memory one of [KindMemory],
// unless it has another cause for certain.
func (l *linear) explain(e *Error) {
	if l.refused && (e.Kind == KindTrap || e.Kind == KindApplication || e.Kind == KindPanic || e.Kind == KindExit && e.Code != 0) {
		e.Kind = KindMemory
	}
	if e.Kind == KindMemory && l.above {
		e.Message += ": it was refused more than " + compile.MemorySize(l.most) + " of memory"
	}
}

// Free implements [experimental.LinearMemory]. No view of the memory may be
// used after it.
func (l *linear) Free() {
	l.free()
}

// holds reports whether part lies in the block.
func (b *block) holds(part []byte) bool {
	return b.space != nil && len(part) > 0 && uintptr(unsafe.Pointer(&part[0]))-uintptr(unsafe.Pointer(&b.space[0])) < uintptr(len(b.space))
}
