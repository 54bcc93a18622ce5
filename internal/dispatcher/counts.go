package dispatcher

// counts are what the loop has seen calls do.
type counts struct{ done, failed, cancelled, retried, duplicated, checked, differed uint64 }

// add counts the outcome of a call, or of those that it stands for.
func (n *counts) add(c *Call) {
	calls := uint64(c.calls())
	if c.err == nil {
		n.done += calls
	} else if _, failed := c.failure(); failed {
		n.failed += calls
	} else {
		n.cancelled += calls
	}
}
