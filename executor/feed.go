package executor

import (
	"context"
	"errors"
	"fmt"
	"iter"
)

// A feeder takes the futures of an input's calls.
type feeder interface {
	// waitRoom blocks while so many calls are ahead; 0 is any number.
	waitRoom(ctx context.Context, buffer int) error

	add(f *Future)
}

// feed submits a call for each argument, on a goroutine of its own, and gives its
// future to the feeder; with an error it only ends the input. Then it calls end with
// why it did not come to the end of the input. It is one part of the settings' bond.
func (ex *Executor) feed(ctx context.Context, t *task, args iter.Seq[[]byte], set mapSettings, failure error, to feeder, end func(error)) {
	go func() {
		defer set.bond().leave()
		err := errInputExited
		defer func() {
			if v := recover(); v != nil {
				err = inputPanic(v)
			}
			end(err)
		}()
		err = ex.feedAll(ctx, t, args, set, failure, to)
	}()
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
