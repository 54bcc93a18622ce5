package transport

import "time"

// Nap sleeps for about d, which may be much less than a millisecond: a timer of
// Go's rounds up to one. It holds a thread, and nothing wakes it early.
func Nap(d time.Duration) { nap(d) }
