package dispatcher

import "math/bits"

// A fifo is a list of calls, oldest first. Its zero value is empty.
type fifo struct{ head, tail *Call }

func (q *fifo) push(c *Call) {
	c.next = nil
	if q.tail == nil {
		q.head = c
	} else {
		q.tail.next = c
	}
	q.tail = c
}

func (q *fifo) pushFront(c *Call) {
	c.next = q.head
	q.head = c
	if q.tail == nil {
		q.tail = c
	}
}

func (q *fifo) pop() *Call {
	c := q.head
	if c == nil {
		return nil
	}
	q.head = c.next
	if q.head == nil {
		q.tail = nil
	}
	c.next = nil
	return c
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
	n      int    // calls, those of stretches too
}

func (q *queue) level(c *Call) *fifo {
	i := int(c.priority) - MinPriority
	q.filled |= 1 << i
	q.n += c.calls()
	return &q.levels[i]
}

func (q *queue) push(c *Call)      { q.level(c).push(c) }
func (q *queue) pushFront(c *Call) { q.level(c).pushFront(c) }

// remove takes out the calls that match, and returns them. Those that were
// withdrawn while they waited stay: pop finds them.
func (q *queue) remove(match func(*Call) bool) []*Call {
	var removed []*Call
	for i := range q.levels {
		all := q.levels[i]
		q.levels[i] = fifo{}
		for c := all.pop(); c != nil; c = all.pop() {
			if State(c.state.Load()) == Pending && match(c) {
				removed = append(removed, c)
			} else {
				q.levels[i].push(c)
			}
		}
	}
	for _, c := range removed {
		q.n -= c.calls()
	}
	return removed
}

// sweep takes out the calls that were withdrawn while they waited. It returns how many
// there were, and the bytes of their arguments.
func (q *queue) sweep() (n int, bytes int64) {
	for i := range q.levels {
		all := q.levels[i]
		q.levels[i] = fifo{}
		for c := all.pop(); c != nil; c = all.pop() {
			if State(c.state.Load()) == Pending {
				q.levels[i].push(c)
				continue
			}
			n += c.calls()
			bytes += c.size
		}
	}
	q.n -= n
	return n, bytes
}

// lowest returns the lowest priority of calls that wait, less than all where none does.
func (q *queue) lowest() int {
	for i := bits.TrailingZeros32(q.filled); q.n > 0 && i < len(q.levels); i++ {
		if q.levels[i].head != nil {
			return i + MinPriority
		}
	}
	return MinPriority - 1
}

// pop takes the oldest call of the highest priority, or returns nil.
func (q *queue) pop() *Call {
	for q.filled != 0 {
		i := bits.Len32(q.filled) - 1
		if c := q.levels[i].pop(); c != nil {
			q.n -= c.calls()
			return c
		}
		q.filled &^= 1 << i
	}
	return nil
}
