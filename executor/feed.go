package executor

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"time"
)

// A feeder takes the futures of an input's calls.
type feeder interface {
	// waitRoom blocks while so many calls are ahead; 0 is any number.
	waitRoom(ctx context.Context, buffer int) error

	add(f *Future)

	// end says that nothing more is submitted, and why. What is said first counts.
	end(why error)
}

// feed submits a call for each argument, on a goroutine of its own, and gives its
// future to the feeder; with an error it only ends the input. Then it tells the feeder
// why it did not come to the end of the input, and calls stop, which ends ctx. An input
// that blocks is left where it is when ctx ends or, after a while, the executor. It is one
// part of the settings' bond.
func (ex *Executor) feed(ctx context.Context, stop context.CancelFunc, t *task, args iter.Seq[[]byte], set mapSettings, failure error, to feeder) {
	go func() {
		defer set.bond().leave()
		err := errInputExited
		defer func() {
			if v := recover(); v != nil {
				err = inputPanic(v)
			}
			to.end(err)
			stop()
		}()
		err = ex.feedAll(ctx, t, args, set, failure, to)
	}()
	go func() {
		if ex.outlived(ctx.Done(), nil) {
			to.end(ErrClosed)
		} else {
			to.end(ctx.Err()) // what was said first counts
		}
	}()
}

// inputPatience is for how long an input may go on when its executor has ended. After that
// it is taken for one that blocks for ever.
const inputPatience = time.Second

// outlived waits until the executor has ended, and then for as long as an input may go on. It
// returns false as soon as one of the channels, which tell that the input is over, is closed.
func (ex *Executor) outlived(over, also <-chan struct{}) bool {
	select {
	case <-over:
		return false
	case <-also:
		return false
	case <-ex.gone():
	case <-ex.done:
	}
	patience := time.NewTimer(inputPatience)
	defer patience.Stop()
	select {
	case <-over:
		return false
	case <-also:
		return false
	case <-patience.C:
		return true
	}
}

// feedAll goes through the arguments. It waits for room before it asks for the next one.
func (ex *Executor) feedAll(ctx context.Context, t *task, args iter.Seq[[]byte], set mapSettings, failure error, to feeder) error {
	if failure != nil {
		return failure
	}
	if args == nil {
		return errNoInput
	}
	if err := to.waitRoom(ctx, set.buffer); err != nil {
		return err
	}
	for arg := range args {
		f := &Future{}
		f.prepare(ex, t, arg, set.settings)
		if err := ex.enter(); err != nil {
			return err
		}
		set.bond().enter()
		if err := ex.in.add(ctx, f); err != nil {
			set.bond().leave()
			ex.leave()
			return err
		}
		ex.loop.serve()
		to.add(f)
		if err := to.waitRoom(ctx, set.buffer); err != nil {
			return err
		}
	}
	return nil
}

// errNoInput is the error of an input that is nil.
var errNoInput = errors.New("executor: the arguments are a nil iterator")

// inputPanic is the error of an input that panicked.
func inputPanic(v any) error {
	if err, ok := v.(error); ok {
		return fmt.Errorf("executor: the input panicked: %w", err)
	}
	return fmt.Errorf("executor: the input panicked: %v", v)
}
