package worker

// A callQueue holds calls and blocks, oldest first. It grows and never shrinks. Its zero value is empty.
type callQueue struct {
	buf  []queuedCall // its length is a power of two
	head int          // index of the oldest, not yet masked; may be negative
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

// pushFront puts c before all others.
func (q *callQueue) pushFront(c queuedCall) {
	if q.len() == len(q.buf) {
		q.grow()
	}
	q.head--
	q.buf[q.head&(len(q.buf)-1)] = c
}

// oldest returns the entry that came first, nil without any. It is valid until the queue changes.
func (q *callQueue) oldest() *queuedCall {
	if q.len() == 0 {
		return nil
	}
	return &q.buf[q.head&(len(q.buf)-1)]
}

// newest returns the entry that came last, nil without any. It is valid until the queue changes.
func (q *callQueue) newest() *queuedCall {
	if q.len() == 0 {
		return nil
	}
	return &q.buf[(q.tail-1)&(len(q.buf)-1)]
}

// dropOldest removes the entry that came first.
func (q *callQueue) dropOldest() { q.head++ }

// dropNewest removes the entry that came last.
func (q *callQueue) dropNewest() { q.tail-- }

// each calls fn for every entry, oldest first.
func (q *callQueue) each(fn func(*queuedCall)) {
	for i := q.head; i < q.tail; i++ {
		fn(&q.buf[i&(len(q.buf)-1)])
	}
}
