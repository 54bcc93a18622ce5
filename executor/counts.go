package executor

// counts are what the loop has seen calls do.
type counts struct{ done, failed, retried uint64 }

// add counts an outcome.
func (c *counts) add(err error) {
	if err == nil {
		c.done++
	} else if _, failed := err.(*TaskError); failed { //nolint:errorlint // no other error wraps one here
		c.failed++
	}
}

func (l *loop) stats() Stats {
	l.sweep()
	st := l.sched.stats()
	st.Resting = l.resting.count()
	st.Done, st.Failed, st.Retried = l.counts.done, l.counts.failed, l.counts.retried
	return st
}
