package feed_test

import (
	"errors"
	"iter"
	"testing"

	"github.com/wasmpool/wasmpool/feed"
)

// some yields updates that say how many calls are done: 1, 2 and so on when next is received from, and err when that is closed.
func some(next <-chan bool, err error) iter.Seq2[*feed.Update, error] {
	return func(yield func(*feed.Update, error) bool) {
		for n := uint64(1); ; n++ {
			if _, more := <-next; !more {
				if err != nil {
					yield(nil, err)
				}
				return
			}
			if !yield(&feed.Update{Done: n}, nil) {
				return
			}
		}
	}
}

// TestFollow checks what has been taken when Follow returns and when it ends, and with which error.
func TestFollow(t *testing.T) {
	t.Parallel()
	broken := errors.New("broken")
	next := make(chan bool, 3)
	var taken uint64
	take := func(u *feed.Update) error {
		taken = u.Done
		return nil
	}
	next <- true
	end, err := feed.Follow(some(next, broken), take)
	if err != nil || taken != 1 {
		t.Fatalf("Follow: %v, %d taken; want none, 1", err, taken)
	}
	ended := make(chan error)
	go func() { ended <- end() }()
	for over := false; !over; {
		select {
		case next <- true: // is taken as it comes, perhaps before end
		case err = <-ended:
			over = true
		}
	}
	if err != nil || taken < 2 {
		t.Errorf("end: %v, %d taken; want none, 2 at least", err, taken)
	}
	if err := end(); err != nil {
		t.Errorf("end for the second time: %v", err)
	}

	next = make(chan bool, 3)
	close(next)
	if _, err := feed.Follow(some(next, broken), take); !errors.Is(err, broken) {
		t.Errorf("updates that begin with an error: %v", err)
	}
	for _, want := range []error{broken, nil} {
		next = make(chan bool, 3)
		next <- true
		close(next)
		if end, err = feed.Follow(some(next, want), take); err != nil {
			t.Fatal(err)
		}
		if err := end(); !errors.Is(err, want) {
			t.Errorf("updates that end with %v: %v", want, err)
		}
	}
	next = make(chan bool, 3)
	next <- true
	next <- true
	if end, err = feed.Follow(some(next, nil), func(u *feed.Update) error {
		if u.Done > 1 {
			return broken
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if err := end(); !errors.Is(err, broken) {
		t.Errorf("take that fails: %v", err)
	}
}
