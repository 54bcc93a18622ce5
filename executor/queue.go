package executor

import "math/bits"

// A fifo is a list of futures, oldest first. Its zero value is empty.
type fifo struct{ head, tail *Future }

func (q *fifo) push(f *Future) {
	f.next = nil
	if q.tail == nil {
		q.head = f
	} else {
		q.tail.next = f
	}
	q.tail = f
}

func (q *fifo) pushFront(f *Future) {
	f.next = q.head
	q.head = f
	if q.tail == nil {
		q.tail = f
	}
}

func (q *fifo) pop() *Future {
	f := q.head
	if f == nil {
		return nil
	}
	q.head = f.next
	if q.head == nil {
		q.tail = nil
	}
	f.next = nil
	return f
}

// Priorities run from MinPriority to MaxPriority; higher goes first.
const (
	MinPriority = -8
	MaxPriority = 7
)

// A queue holds the calls that wait, by priority and then by age.
type queue struct {
	levels [MaxPriority - MinPriority + 1]fifo
	filled uint32 // bit i is set when levels[i] may hold a call
	n      int
}

func (q *queue) level(f *Future) *fifo {
	i := int(f.priority) - MinPriority
	q.filled |= 1 << i
	q.n++
	return &q.levels[i]
}

func (q *queue) push(f *Future)      { q.level(f).push(f) }
func (q *queue) pushFront(f *Future) { q.level(f).pushFront(f) }

// remove takes out the calls that match, and returns them. Those that were
// withdrawn while they waited stay: pop finds them.
func (q *queue) remove(match func(*Future) bool) []*Future {
	var removed []*Future
	for i := range q.levels {
		all := q.levels[i]
		q.levels[i] = fifo{}
		for f := all.pop(); f != nil; f = all.pop() {
			if State(f.state.Load()) == Pending && match(f) {
				removed = append(removed, f)
			} else {
				q.levels[i].push(f)
			}
		}
	}
	q.n -= len(removed)
	return removed
}

// sweep takes out the calls that were withdrawn while they waited. It returns how many
// there were, and the bytes of their arguments.
func (q *queue) sweep() (n int, bytes int64) {
	for i := range q.levels {
		all := q.levels[i]
		q.levels[i] = fifo{}
		for f := all.pop(); f != nil; f = all.pop() {
			if State(f.state.Load()) == Pending {
				q.levels[i].push(f)
				continue
			}
			n++
			bytes += f.size
		}
	}
	q.n -= n
	return n, bytes
}

// pop takes the oldest call of the highest priority, or returns nil.
func (q *queue) pop() *Future {
	for q.filled != 0 {
		i := bits.Len32(q.filled) - 1
		if f := q.levels[i].pop(); f != nil {
			q.n--
			return f
		}
		q.filled &^= 1 << i
	}
	return nil
}
