package worker

// A callQueue grows and never shrinks. Its zero value is empty.
type callQueue struct {
	buf  []queuedCall // its length is a power of two
	head int          // index of the oldest, not yet masked
	tail int          // one past the newest
}

func (q *callQueue) len() int { return q.tail - q.head }

func (q *callQueue) push(c queuedCall) {
	if q.len() == len(q.buf) {
		q.grow()
	}
	q.buf[q.tail&(len(q.buf)-1)] = c
	q.tail++
}

func (q *callQueue) grow() {
	buf := make([]queuedCall, max(64, 2*len(q.buf)))
	n := 0
	for ; q.head < q.tail; q.head++ {
		buf[n] = q.buf[q.head&(len(q.buf)-1)]
		n++
	}
	q.buf, q.head, q.tail = buf, 0, n
}

// pop takes the oldest call.
func (q *callQueue) pop(c *queuedCall) bool {
	if q.len() == 0 {
		return false
	}
	*c = q.buf[q.head&(len(q.buf)-1)]
	q.head++
	return true
}

// popLast takes the newest call.
func (q *callQueue) popLast(c *queuedCall) bool {
	if q.len() == 0 {
		return false
	}
	q.tail--
	*c = q.buf[q.tail&(len(q.buf)-1)]
	return true
}

// each calls fn for every call, oldest first.
func (q *callQueue) each(fn func(*queuedCall)) {
	for i := q.head; i < q.tail; i++ {
		fn(&q.buf[i&(len(q.buf)-1)])
	}
}
