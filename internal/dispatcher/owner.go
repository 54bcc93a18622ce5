package dispatcher

import "sync/atomic"

// An Owner is an executor or a fork: whose call it is. Its fields but final do not change once it has a call.
type Owner struct {
	Dispatcher *Dispatcher
	Gone       <-chan struct{} // closed when the owner takes no call any more
	Left       func()          // told, last of all, that a call of the owner has its outcome; nil where nobody counts them
	Executor   any             // the owner as its callers know it; the dispatcher does not look at it

	final atomic.Pointer[error] // what calls end with that have not begun; nil while they may begin
}

// End makes the owner's calls that have not begun end with err when the loop comes to them. The first
// error counts.
func (o *Owner) End(err error) { o.final.CompareAndSwap(nil, &err) }
