package executor

import (
	"context"
	"fmt"
	"iter"
)

// A feeder takes the futures of an input's calls.
type feeder interface {
	// waitRoom blocks while so many calls are ahead; 0 is any number.
	waitRoom(ctx context.Context, buffer int) error

	add(f *Future)
}

// feed submits a call for each argument and gives its future to the feeder; with
// an error it only ends the input.
func (ex *Executor) feed(ctx context.Context, t *task, args iter.Seq[[]byte], set mapSettings, failure error, to feeder) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = inputPanic(v)
		}
	}()
	for arg := range args {
		if failure != nil {
			return failure
		}
		if err := to.waitRoom(ctx, set.buffer); err != nil {
			return err
		}
		f := &Future{}
		f.prepare(ex, t, arg, set.settings)
		if err := ex.enter(); err != nil {
			return err
		}
		if err := ex.in.add(ctx, f); err != nil {
			ex.leave()
			return err
		}
		ex.loop.serve()
		to.add(f)
	}
	return failure
}

// inputPanic is the error of an input that panicked.
func inputPanic(v any) error {
	if err, ok := v.(error); ok {
		return fmt.Errorf("executor: the input panicked: %w", err)
	}
	return fmt.Errorf("executor: the input panicked: %v", v)
}
