package worker

// A ring is a queue of calls that grows and never shrinks. Its zero value is
// empty.
type ring struct {
	buf  []queuedCall // its length is a power of two
	head int          // index of the oldest, not yet masked
	tail int          // one past the newest
}

func (r *ring) len() int { return r.tail - r.head }

func (r *ring) push(c queuedCall) {
	if r.len() == len(r.buf) {
		r.grow()
	}
	r.buf[r.tail&(len(r.buf)-1)] = c
	r.tail++
}

func (r *ring) grow() {
	buf := make([]queuedCall, max(64, 2*len(r.buf)))
	n := 0
	for ; r.head < r.tail; r.head++ {
		buf[n] = r.buf[r.head&(len(r.buf)-1)]
		n++
	}
	r.buf, r.head, r.tail = buf, 0, n
}

// pop takes the oldest call.
func (r *ring) pop(c *queuedCall) bool {
	if r.len() == 0 {
		return false
	}
	*c = r.buf[r.head&(len(r.buf)-1)]
	r.head++
	return true
}

// popLast takes the newest call.
func (r *ring) popLast(c *queuedCall) bool {
	if r.len() == 0 {
		return false
	}
	r.tail--
	*c = r.buf[r.tail&(len(r.buf)-1)]
	return true
}

// each calls fn for every call, oldest first.
func (r *ring) each(fn func(*queuedCall)) {
	for i := r.head; i < r.tail; i++ {
		fn(&r.buf[i&(len(r.buf)-1)])
	}
}
