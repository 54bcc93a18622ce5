package feed

import (
	"iter"
	"sync/atomic"
)

// Follow gives updates to take, on a goroutine of its own from the second on: the first has been taken when Follow returns, so what happens from then
// on is in those that come. It ends with the updates, or with an error of theirs or of take, or by end.
//
// What Follow returns, end, waits for one more update, so that all is taken that has happened until then, and until take runs no more. It returns the
// error with which it ended, the same each time.
func Follow(updates iter.Seq2[*Update, error], take func(*Update) error) (end func() error, err error) {
	next, stop := iter.Pull2(updates)
	step := func() (more bool, err error) {
		u, err, more := next()
		if err == nil && more {
			err = take(u)
		}
		return more && err == nil, err
	}
	if _, err := step(); err != nil {
		stop()
		return nil, err
	}
	var (
		ending atomic.Bool
		failed error // read after over
		over   = make(chan struct{})
	)
	go func() {
		defer close(over)
		defer stop()
		for more := true; more; {
			last := ending.Load()
			more, failed = step()
			more = more && !last
		}
	}()
	return func() error {
		ending.Store(true)
		<-over
		return failed
	}, nil
}
