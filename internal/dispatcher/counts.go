package dispatcher

// counts are what the loop has seen calls do.
type counts struct{ done, failed, cancelled, retried, duplicated, checked, differed uint64 }

// add counts the outcome of a call.
func (n *counts) add(c *Call) {
	if c.err == nil {
		n.done++
	} else if _, failed := c.failure(); failed {
		n.failed++
	} else {
		n.cancelled++
	}
}
