package dispatcher

import (
	"math/bits"

	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// A stretch is calls of a block, one after the other, that are queued, or in flight, as one: head stands for them in the queue and
// among the calls of a worker. When a worker gets fewer, or gives some back, the stretch is split. A call of it that fails, takes long, has a long
// result, or is to be killed alone goes its own way from then on, as an ordinary call. It belongs to the loop.
type stretch struct {
	head  Call
	block *Block
	at, n int              // it began with the calls block.data[at:][:n]
	open  openCalls        // those of them that have no answer, and do not go their own way
	left  int              // how many
	apart map[uint32]*Call // of those that go their own way the ones that the worker has, by the low half of their numbers
}

// head returns the stretch of which c is the head, or nil.
func (c *Call) head() *stretch {
	if p := c.stretch; p != nil && c == &p.head {
		return p
	}
	return nil
}

// calls returns how many calls c stands for.
func (c *Call) calls() int {
	if p := c.head(); p != nil {
		return p.left
	}
	return 1
}

// has reports whether c is the call with that number, or stands for it.
func (c *Call) has(number uint64) bool {
	p := c.head()
	if p == nil {
		return c.number == number
	}
	i := number - p.block.number
	return i < MaxBlock && p.open.has(int(i), 1)
}

// appendNumbers adds the number of c, or those of the calls that it stands for.
func (c *Call) appendNumbers(numbers []uint64) []uint64 {
	p := c.head()
	if p == nil {
		return append(numbers, c.number)
	}
	for _, run := range p.open.runs(p.at, p.n) {
		for i := range run.n {
			numbers = append(numbers, p.block.number+uint64(run.i+i))
		}
	}
	return numbers
}

// init makes p n calls of b, from call i on, with so many bytes of arguments. Besides their arguments they are as like, or new ones where that is nil.
func (p *stretch) init(b *Block, i, n int, bytes int64, like *Call) {
	p.block, p.at, p.n, p.left, p.apart = b, i, n, n, nil
	p.open = openCalls{}
	p.open.set(i, n)
	h := &p.head
	*h = Call{stretch: p, owner: b.owner, task: b.task, options: b.options, priority: b.priority, attempt: 1}
	h.number, h.size = b.number+uint64(i), bytes
	if like != nil {
		h.worker, h.queued, h.estimate, h.attempt, h.lost, h.err = like.worker, like.queued, like.estimate, like.attempt, like.lost, like.err
		h.state.Store(like.state.Load())
	}
}

// place returns which of the block's calls has a number with that low half, and whether it may have n from that on.
func (p *stretch) place(gen uint32, n int) (i int, ok bool) {
	at := gen - uint32(p.block.number)
	return int(at), at < MaxBlock && n <= MaxBlock-int(at)
}

// split takes the first n calls of a stretch that waits, with so many bytes of arguments, and returns them as one of their own.
func (s *scheduler) split(p *stretch, n int, bytes int64) *stretch {
	front := s.newStretch()
	front.init(p.block, p.at, n, bytes, &p.head)
	p.at, p.n, p.left = p.at+n, p.n-n, p.left-n
	p.open.clear(front.at, n)
	p.head.number += uint64(n)
	p.head.size -= front.head.size
	return front
}

// singleOut makes the call with that number, if it waits as one of several, a stretch of its own.
func (s *scheduler) singleOut(number uint64) {
	for i := range s.queue.levels {
		all := s.queue.levels[i]
		level := &s.queue.levels[i]
		*level = fifo{}
		for c := all.pop(); c != nil; c = all.pop() {
			if p := c.head(); p != nil && c.has(number) {
				if before := int(number - c.number); before > 0 {
					level.push(&s.split(p, before, p.block.size(p.at, before)).head)
				}
				if p.left > 1 {
					level.push(&s.split(p, 1, p.block.size(p.at, 1)).head)
				}
			}
			level.push(c)
		}
	}
}

func (s *scheduler) newStretch() *stretch {
	if n := len(s.stretches); n > 0 {
		p := s.stretches[n-1]
		s.stretches = s.stretches[:n-1]
		return p
	}
	return new(stretch)
}

// mostStretches is how many stretches are kept to be used again.
const mostStretches = 256

// freeStretch takes back a stretch that stands for nothing any more.
func (s *scheduler) freeStretch(p *stretch) {
	if p == &p.block.whole {
		return // which is the block's
	}
	p.block = nil
	if len(s.stretches) < mostStretches {
		s.stretches = append(s.stretches, p)
	}
}

// answered books that calls of a stretch, from the block's call i on, have left it: with an answer, or to go their own way.
func (s *scheduler) answered(w *worker, p *stretch, i, n int) {
	bytes := p.head.size
	if n < p.left {
		bytes = p.block.size(i, n)
	}
	p.open.clear(i, n)
	p.left -= n
	p.head.size -= bytes
	w.inflight -= n
	w.load -= int64(n) * int64(p.head.estimate)
	w.bytes -= bytes
	s.inflight -= n
	s.releaseEmpty(w, p)
}

// releaseEmpty releases a stretch in flight of which the worker has nothing any more.
func (s *scheduler) releaseEmpty(w *worker, p *stretch) {
	if p.left == 0 && len(p.apart) == 0 && s.inFlight(&p.head) {
		s.release(w, &p.head)
		s.freeStretch(p)
	}
}

// takeApart makes the block's call i, which w has as one of a stretch, go its own way.
func (s *scheduler) takeApart(w *worker, p *stretch, i int) *Call {
	c := p.block.newMember(i, &p.head)
	if p.apart == nil {
		p.apart = map[uint32]*Call{}
	}
	p.apart[uint32(c.number)] = c
	s.answered(w, p, i, 1)
	s.send(w, c)
	c.stretch = p
	return c
}

// rejoin undoes takeApart: the call came back.
func (s *scheduler) rejoin(w *worker, c *Call) {
	p := c.stretch
	c.stretch = nil
	delete(p.apart, uint32(c.number))
	s.releaseEmpty(w, p)
}

// settleRest ends the calls of a stretch that have no answer with an error.
func (p *stretch) settleRest(err error) (woken bool) {
	b, open := p.block, p.open
	runs := open.runs(p.at, p.n)
	var info Info
	p.head.Describe(&info)
	for k, run := range runs {
		b.failAll(run.i, run.n, err)
		b.inform(run.i, run.n, info)
		if k == len(runs)-1 {
			p.open, p.left = openCalls{}, 0 // the block may be another one after this
		}
		woken = b.settle(run.i, run.n) || woken
	}
	return woken
}

// fits returns how many of the first n calls of a stretch that waits find room in a frame that leaves at once, at least 1, and how long
// their arguments are.
func (p *stretch) fits(n int) (calls int, bytes int64) {
	const room = transport.EagerFrame - wire.HeaderLen
	if n == p.left && wire.BlockSize(n, int(p.head.size)) <= room {
		return n, p.head.size
	}
	for _, arg := range p.block.data[p.at:][:n] {
		more := bytes + int64(len(arg))
		if calls > 0 && wire.BlockSize(calls+1, int(more)) > room {
			break
		}
		calls, bytes = calls+1, more
	}
	return calls, bytes
}

// openCalls are some of the calls of a block.
type openCalls [MaxBlock / 64]uint64

// ones returns n set bits, n from 0 to 64.
func ones(n int) uint64 { return 1<<n - 1 }

func trailingZeros(word uint64) int { return bits.TrailingZeros64(word) }

func (o *openCalls) set(i, n int) {
	for n > 0 {
		k := min(n, 64-i%64)
		o[i/64] |= ones(k) << (i % 64)
		i, n = i+k, n-k
	}
}

func (o *openCalls) clear(i, n int) {
	for n > 0 {
		k := min(n, 64-i%64)
		o[i/64] &^= ones(k) << (i % 64)
		i, n = i+k, n-k
	}
}

// has reports whether n calls from call i on are all among them.
func (o *openCalls) has(i, n int) bool {
	for n > 0 {
		k := min(n, 64-i%64)
		if mask := ones(k) << (i % 64); o[i/64]&mask != mask {
			return false
		}
		i, n = i+k, n-k
	}
	return true
}

// from returns how many calls from call i on are among them without a gap, at most n.
func (o *openCalls) from(i, n int) (calls int) {
	for calls < n {
		at := (i + calls) % 64
		set := bits.TrailingZeros64(^(o[(i+calls)/64] >> at))
		calls += set
		if at+set < 64 {
			break
		}
	}
	return min(calls, n)
}

// A run is calls of a block that stand one behind the other.
type run struct{ i, n int }

// runs returns those among n calls from call i on as runs.
func (o *openCalls) runs(i, n int) (runs []run) {
	for end := i + n; i < end; i++ {
		if !o.has(i, 1) {
			continue
		}
		if k := len(runs) - 1; k >= 0 && runs[k].i+runs[k].n == i {
			runs[k].n++
		} else {
			runs = append(runs, run{i, 1})
		}
	}
	return runs
}
