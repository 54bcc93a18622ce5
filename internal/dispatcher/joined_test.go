package dispatcher

import "testing"

// TestWithdrawWhileTakenIn withdraws a call while it is taken in, as one may who has joined it by its key. The race detector looks on.
func TestWithdrawWhileTakenIn(t *testing.T) {
	t.Parallel()
	for range 100 {
		q := &intake{maxCalls: 1, wake: func() {}}
		c := new(Call)
		done := make(chan struct{})
		go func() {
			defer close(done)
			if _, err := q.tryAdd(c, false); err != nil {
				t.Error(err)
			}
		}()
		if !c.Withdraw(ErrCancelled) {
			t.Error("it was not withdrawn")
		}
		<-done
	}
}
