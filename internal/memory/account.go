package memory

import (
	"fmt"
	"runtime/debug"
	"runtime/metrics"
	"sync"
	"time"
)

const (
	// leastSpare and mostSpare bound how many bytes an Account does not promise. They are
	// for holders that ask for little, and for all that is in no account: the runtime,
	// stacks of guests, garbage that is not collected yet. A holder of more must leave more.
	leastSpare = 64 << 20
	mostSpare  = 512 << 20

	// sharedSpare is the part of a node's memory (one in so many) that a process which takes
	// more than its share leaves to the other processes of the job.
	sharedSpare = 4

	// largeAllocation is the size, in bytes, from which Go's heap may have to grow for one
	// allocation: by arenas.
	largeAllocation = 4 << 20
	arena           = 64 << 20

	// creditShare is the part of the memory that is left (one in so many) that is promised
	// without another look at the bounds.
	creditShare = 8

	// lookAfter is the age at which the account looks at the bounds again.
	lookAfter = time.Second
)

// An Account keeps how much of its memory a process has promised, to guests as a rule. A
// guest need not use at once what it was promised: without an account several could be
// promised the same memory. It is safe for concurrent use.
type Account struct {
	bounds Bounds
	total  uint64
	name   string // of the bound that total is of

	mu     sync.Mutex
	share  uint64 // of total; beyond it others come first
	used   uint64
	ahead  uint64 // promised since the last look
	credit uint64 // how much that may be
	looked time.Time
	swept  time.Time // when garbage was last collected for want of memory
}

// NewAccount returns the account of a process with such bounds.
func NewAccount(b Bounds) *Account {
	a := &Account{bounds: b}
	a.total, a.name = b.Total()
	a.share = a.total
	return a
}

// Process returns the account of this process.
var Process = sync.OnceValue(func() *Account { return NewAccount(Of()) })

// Share says that so many processes like this one work on the node: beyond its share
// this one leaves some memory to the others.
func (a *Account) Share(processes int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.share = a.total / uint64(max(processes, 1))
}

// Bounds returns what the account looks at.
func (a *Account) Bounds() Bounds { return a.bounds }

// Total returns what all promises together may come to, in bytes.
func (a *Account) Total() uint64 { return a.total - a.spare(a.total) }

// spare returns how many bytes must be left when a holder gets so many in all.
func (a *Account) spare(held uint64) uint64 {
	return min(leastSpare+min(held, mostSpare-leastSpare), a.total/4)
}

// Used returns what is promised, in bytes.
func (a *Account) Used() uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.used
}

// Take promises n more bytes to a holder that has held of them, or returns a [*Shortage],
// which names the bound. It looks at the bounds only after a second, or when a good part
// of the memory that was left has been promised.
func (a *Account) Take(n, held uint64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	spare := a.spare(held + n)
	if most := a.total - spare; n > most || a.used > most-n {
		return &Shortage{Want: n, Left: most - min(a.used, most), Bound: a.name, Promised: a.used}
	}
	if err := a.look(n, spare, 0); err != nil {
		return err
	}
	a.used += n
	a.ahead += n
	return nil
}

// Allocate calls allocate, which takes n bytes from Go's heap to fill them at once, if
// they can be had. They are in no account after that.
func (a *Account) Allocate(n uint64, allocate func()) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	want := n
	if n >= largeAllocation {
		want += arena
	}
	if err := a.look(want, a.spare(n), n); err != nil {
		return err
	}
	a.ahead += want
	allocate()
	return nil
}

// Give takes a promise of n bytes back.
func (a *Account) Give(n uint64) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.used -= n
	a.ahead -= min(a.ahead, n)
}

// look checks that n more bytes can be had, of which heap are to come from Go's, and so
// many be left. mu is held.
func (a *Account) look(n, spare, heap uint64) error {
	if a.ahead+n <= a.credit && time.Since(a.looked) < lookAfter {
		return nil
	}
	if a.used+n > a.share {
		spare = max(spare, a.total/sharedSpare)
	}
	left, name := a.left(spare, heap)
	if n > left && time.Since(a.swept) > lookAfter {
		debug.FreeOSMemory()
		a.swept = time.Now()
		left, name = a.left(spare, heap)
	}
	a.looked, a.ahead, a.credit = time.Now(), 0, left/creditShare
	if n > left {
		return &Shortage{Want: n, Left: left, Bound: name, Promised: a.used}
	}
	return nil
}

// left returns what is left now. mu is held.
func (a *Account) left(spare, heap uint64) (bytes uint64, name string) {
	gos, idle := runtimeMemory()
	used := resident() // what is Go's of it was not promised
	touched := used - min(used, gos)
	return a.bounds.Left(Need{Spare: spare, Untouched: a.used - min(a.used, touched), Idle: idle, Heap: heap})
}

// runtimeMemory returns how many bytes Go's runtime has of the system, and how many its heap
// has mapped and does not use. Half of these are taken for scattered.
func runtimeMemory() (has, idle uint64) {
	s := []metrics.Sample{{Name: "/memory/classes/total:bytes"}, {Name: "/memory/classes/heap/free:bytes"}, {Name: "/memory/classes/heap/released:bytes"}}
	metrics.Read(s)
	total, free, released := s[0].Value.Uint64(), s[1].Value.Uint64(), s[2].Value.Uint64()
	return total - released, (free + released) / 2
}

// A Shortage says why memory cannot be had.
type Shortage struct {
	Want, Left uint64 // bytes
	Bound      string // what is used up
	Promised   uint64 // to all guests of the process, in bytes
}

// Error implements error.
func (s *Shortage) Error() string {
	return fmt.Sprintf("%s more cannot be had: %s can, by %s, and guests hold %s", Size(s.Want), Size(s.Left), s.Bound, Size(s.Promised))
}
