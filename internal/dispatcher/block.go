package dispatcher

import (
	"slices"
	"sync/atomic"
)

const (
	// MaxBlock is how many calls a block holds at most.
	MaxBlock = 256

	// BlockArg is the length in bytes below which an argument may be in a block.
	BlockArg = 1 << 10
)

// A Block is a row of calls of one task with short arguments and the same options, which are queued, sent and answered
// together, as far as they go the same way: see stretch. While it waits for a worker, further calls may be added to it.
//
// It belongs to the goroutine that submits it until it is handed in, which may then only add calls. Each of its calls belongs
// to the dispatcher until its sink is told of the outcome, and then to whoever takes that. Once all outcomes were taken it may be
// prepared again.
type Block struct {
	owner    *Owner
	task     *Task
	options  *Options // nil without
	priority int8
	sink     BlockSink
	first    int64 // what the sink knows the first call by; the others follow

	room   uint32        // for how many calls there is room
	data   [][]byte      // of each call: its argument; its result once it is done
	_      [64]byte      // what is added to is apart from what others look at meanwhile
	filled atomic.Uint32 // how many calls it has; with blockClosed set no more come
	_      [64]byte
	done   [MaxBlock / 64]atomic.Uint64
	errs   atomic.Pointer[[MaxBlock]error] // of the calls that are done; nil where none has an error
	infos  []Info                          // of the calls that are done; nil where nobody asks
	taken  int                             // calls whose outcomes were taken; for who takes them

	// Only used by the loop.
	number    uint64  // of the first call; the others follow
	unsettled int     // calls that are not done
	whole     stretch // all its calls, at first
}

const blockClosed = 1 << 31

// A BlockSink is told that calls of blocks are done. It must not block: it runs on the loop.
type BlockSink interface {
	// Settled is told of n calls, from b's call i on, which the sink knows by number first. It reports whether
	// a goroutine waited for them. Where the sink does not keep b itself, that may be another block by then.
	Settled(b *Block, i, n int, first int64) (woken bool)
}

// NewBlock returns a block for up to n calls, at most MaxBlock. With informed, Take tells where they ran.
func NewBlock(n int, informed bool) *Block {
	b := &Block{data: make([][]byte, n)}
	if informed {
		b.infos = make([]Info, n)
	}
	return b
}

// MayBlock reports whether calls with these options, nil for none, may be in a block: those of which something is done for
// each alone may not.
func MayBlock(o *Options) bool {
	return o == nil || o.Limits == nil && o.Shared == nil && o.Settling == nil && o.Keeper == nil && !o.Duplicate && o.SpotCheck == 0 && o.Find == nil
}

// Prepare empties a block that nobody uses, for up to room calls of a task. first is what the sink will know the first one by.
func (b *Block) Prepare(o *Owner, t *Task, priority int8, set *Options, sink BlockSink, first int64, room int) {
	b.owner, b.task, b.priority, b.options, b.sink, b.first = o, t, priority, set, sink, first
	b.room, b.taken = uint32(min(room, len(b.data))), 0
	for i := range b.done {
		b.done[i].Store(0)
	}
	b.errs.Store(nil)
	b.filled.Store(0)
}

// Add adds a call, if the block has room and is not on its way, and reports whether that was the last for which it had room. It is
// for the goroutine that submits the block.
func (b *Block) Add(arg []byte) (added, full bool) {
	n := b.filled.Load()
	if n >= b.room { // as it is when the block is closed
		return false, true
	}
	b.data[n] = arg
	return b.filled.CompareAndSwap(n, n+1), n+1 == b.room
}

// Close makes Add add nothing more. It returns how many calls the block has.
func (b *Block) Close() int { return int(b.filled.Or(blockClosed) &^ blockClosed) }

// Len returns how many calls the block has, and whether no more come.
func (b *Block) Len() (n int, closed bool) {
	filled := b.filled.Load()
	return int(filled &^ blockClosed), filled&blockClosed != 0
}

// Room returns for how many calls the block was made.
func (b *Block) Room() int { return len(b.data) }

// Ready returns how many calls are done from call i on, without a gap.
func (b *Block) Ready(i int) (n int) {
	for i+n < MaxBlock {
		word := ^(b.done[(i+n)/64].Load() >> ((i + n) % 64))
		left := 64 - (i+n)%64
		run := min(trailingZeros(word), left)
		if n += run; run < left {
			break
		}
	}
	return n
}

// Take returns the outcome of call i, which is done, and forgets it. It sets info, unless that is nil, where the block is informed.
func (b *Block) Take(i int, info *Info) (data []byte, err error) {
	data = b.data[i]
	b.data[i] = nil
	b.taken++
	if errs := b.errs.Load(); errs != nil {
		err = errs[i]
	}
	if info != nil {
		*info = b.infos[i]
	}
	return data, err
}

// Spent reports whether the outcomes of all calls were taken. It is for who takes them.
func (b *Block) Spent() bool {
	n, closed := b.Len()
	return closed && b.taken == n
}

// size returns how long the arguments of n calls are, from call i on.
func (b *Block) size(i, n int) (bytes int64) {
	for _, arg := range b.data[i:][:n] {
		bytes += int64(len(arg))
	}
	return bytes
}

// fail notes that a call has no result.
func (b *Block) fail(i int, err error) {
	errs := b.errs.Load()
	if errs == nil {
		errs = new([MaxBlock]error)
		b.errs.Store(errs)
	}
	errs[i] = err
	b.data[i] = nil
}

// failAll is fail for n calls, from call i on.
func (b *Block) failAll(i, n int, err error) {
	for k := range n {
		b.fail(i+k, err)
	}
}

// settle says that n calls are done, from call i on. After that the block may be another one, as soon as all of them are. It
// reports whether a goroutine waited for them.
func (b *Block) settle(i, n int) (woken bool) {
	sink, first, owner := b.sink, b.first+int64(i), b.owner
	var left func()
	if b.options != nil {
		left = b.options.Left
	}
	b.unsettled -= n
	whole := b.unsettled == 0
	setDone(&b.done, i, n)
	woken = sink.Settled(b, i, n, first)
	if whole && left != nil {
		left()
	}
	if whole && owner.Left != nil {
		owner.Left()
	}
	return woken
}

// setDone sets n bits from bit i on.
func setDone(done *[MaxBlock / 64]atomic.Uint64, i, n int) {
	for n > 0 {
		k := min(n, 64-i%64)
		done[i/64].Or(ones(k) << (i % 64))
		i, n = i+k, n-k
	}
}

// A member is a call of a block that goes its own way: as an ordinary call, whose outcome is the block's.
type member struct {
	block *Block
	i     int
}

// newMember returns an ordinary call in place of call i, which has no outcome. Besides its argument it is as like.
func (b *Block) newMember(i int, like *Call) *Call {
	arg := b.data[i]
	c := &Call{
		owner: b.owner, task: b.task, data: arg, number: b.number + uint64(i), options: b.options, size: int64(len(arg)),
		worker: like.worker, ticket: like.ticket, queued: like.queued, estimate: like.estimate, attempt: like.attempt, lost: like.lost, err: like.err, priority: b.priority,
	}
	c.state.Store(like.state.Load())
	c.waiters.Store(&Waiter{sink: member{b, i}, member: true})
	return c
}

// Resolved implements Listener.
func (m member) Resolved(c *Call) {
	b := m.block
	if data, err := c.Outcome(); err != nil {
		b.fail(m.i, err)
	} else {
		b.data[m.i] = data
	}
	if b.infos != nil {
		c.Describe(&b.infos[m.i])
	}
	b.settle(m.i, 1)
}

// inform notes how n calls have ended, from call i on.
func (b *Block) inform(i, n int, info Info) {
	if b.infos == nil {
		return
	}
	for k := range n {
		b.infos[i+k] = info
		if b.options != nil {
			b.infos[i+k].Tags = slices.Clone(b.options.Tags)
		}
	}
}
