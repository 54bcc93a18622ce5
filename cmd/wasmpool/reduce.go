package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"unicode/utf8"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/internal/plain"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// checkReduce finds flags that do not fit --reduce.
func (f *mapFlags) checkReduce() error {
	switch {
	case f.reduce == "":
		return nil
	case f.raw:
		return errors.New("--raw writes all results, and --reduce makes one of them: leave one of them out")
	case f.out == "-":
		return errors.New("--reduce writes its result to standard output: give --out a file, for the lines")
	case f.unordered && f.out == "":
		return errors.New("--reduce takes the results in the order of the input: leave out --unordered, or keep them with --out F")
	}
	return nil
}

// streams reports whether results are reduced as they come, and nothing else is written of them. With --out they
// are read again from its file.
func (f *mapFlags) streams() bool { return f.reduce != "" && f.out == "" }

// findReduce finds the task of --reduce in the module of a target.
func (t *target) findReduce(name string) error {
	if name == "" {
		return nil
	}
	found, err := findTarget(t.module, []string{name})
	if err != nil {
		return fmt.Errorf("--reduce: %w", err)
	}
	if found.task.Kind == wasmtasks.KindRaw {
		return fmt.Errorf("--reduce: task %s takes numbers, and must take a JSON array of results", name)
	}
	t.reduce = found.name
	return nil
}

const (
	// mostGroup is how many results a group has at most, and mostGroupBytes how many bytes, unless it
	// has two: so there are always fewer groups than results.
	mostGroup      = 100
	mostGroupBytes = 1 << 20

	// firstReductions is how many calls are under way at most, beside one for each slot, before a result of one
	// has come. With each of those it is one more, up to mostReductions.
	firstReductions = 4
	mostReductions  = 1 << 10
)

// A reducer makes one result of many, by calls of a task whose argument is a JSON array of results.
// It makes groups of them in the order in which they come, and of the results of groups, in their order,
// groups again, until one is left. What is in a group depends on the results alone, and not on how fast calls
// are: so are the bytes that come out.
//
// It is for one goroutine. It blocks while many calls are under way.
type reducer struct {
	task   string
	submit func(ctx context.Context, arg []byte) promise
	slots  func(ctx context.Context) int

	results int64 // that were added
	levels  []*reduceLevel
	calls   int          // that are under way
	bytes   int64        // of their arguments
	came    int          // results of calls
	longest int64        // of them, in bytes
	busy    int          // slots; 0 while that is not known
	last    []byte       // the result of a call that came last
	value   bytes.Buffer // of the input that is added
}

// A promise is what there will be of a call.
type promise interface {
	Result(ctx context.Context) ([]byte, error)
}

// A reduceLevel makes groups of the results of the level below, of which the lowest has those of the map.
type reduceLevel struct {
	group  []byte // the open one: a JSON array without its end
	count  int    // results in it
	groups []reduceGroup
	closed bool // a group was made before
}

// A reduceGroup is a call under way.
type reduceGroup struct {
	result promise
	size   int64 // of the argument
}

func newReducer(ex *executor.Executor, task string, options []executor.CallOption) *reducer {
	options = append(slices.Clone(options), executor.Priority(executor.MaxPriority))
	return &reducer{
		task:   task,
		submit: func(ctx context.Context, arg []byte) promise { return ex.Submit(ctx, task, arg, options...) },
		slots: func(ctx context.Context) int {
			stats, _ := ex.Stats(ctx) // without them few calls are made at once
			n := 0
			for _, w := range stats.Workers {
				n += w.Slots
			}
			return n
		},
	}
}

// A reduceError says why results could not be reduced.
type reduceError struct {
	task string
	err  error
}

func (e *reduceError) Error() string { return "--reduce " + e.task + ": " + oneLine(e.err) }
func (e *reduceError) Unwrap() error { return e.err }

// fail wraps an error.
func (r *reducer) fail(err error) error { return &reduceError{r.task, err} }

// errNotUTF8 is the error of a result that cannot be in a JSON array.
var errNotUTF8 = errors.New("it is not UTF-8, as JSON must be")

// add adds the result of an input.
func (r *reducer) add(ctx context.Context, input int64, out []byte) error {
	r.value.Reset()
	if err := writeResultJSON(&r.value, out); err != nil {
		return r.fail(unfit(input, err))
	}
	return r.addJSON(ctx, r.value.Bytes())
}

// unfit is the error of a result that cannot be in an array.
func unfit(input int64, why error) error {
	return &exitError{exitCallFailed, fmt.Errorf("the result of input %d: %w", input, why)}
}

// addJSON adds the result of an input as it stands in lines.
func (r *reducer) addJSON(ctx context.Context, value []byte) error {
	r.results++
	return r.put(ctx, 0, value)
}

// writeResultJSON writes a result as it stands in lines.
func writeResultJSON(to *bytes.Buffer, out []byte) error {
	if !utf8.Valid(out) {
		return errNotUTF8
	}
	to.Write(appendResult(to.AvailableBuffer(), out))
	if value := to.Bytes(); needsEscapes(value) {
		value = plain.AppendJSON(nil, value)
		to.Reset()
		to.Write(value)
	}
	return nil
}

// put adds a result to the open group of a level. One that would be too much for it begins the next.
func (r *reducer) put(ctx context.Context, level int, value []byte) error {
	if level == len(r.levels) {
		r.levels = append(r.levels, new(reduceLevel))
	}
	l := r.levels[level]
	if l.count == mostGroup || l.count >= 2 && len(l.group)+len(value) >= mostGroupBytes {
		if err := r.close(ctx, level); err != nil {
			return err
		}
	}
	before := byte(',')
	if l.count == 0 {
		before = '['
	}
	l.group = append(append(l.group, before), value...)
	l.count++
	return nil
}

// close begins the call of the open group of a level, and waits until there is room for another one.
func (r *reducer) close(ctx context.Context, level int) error {
	l := r.levels[level]
	arg := append(l.group, ']')
	l.group, l.count, l.closed = nil, 0, true
	if r.busy == 0 {
		r.busy = r.slots(ctx)
	}
	l.groups = append(l.groups, reduceGroup{r.submit(ctx, arg), int64(len(arg))})
	r.calls++
	r.bytes += int64(len(arg))
	for len(l.groups) > 0 && !r.hasRoom() {
		if err := r.lift(ctx, level); err != nil {
			return err
		}
	}
	return nil
}

// hasRoom reports whether another call may be made: so that memory is bounded, where results are no longer than
// those that came, and the slots are busy.
func (r *reducer) hasRoom() bool {
	if r.calls <= r.busy {
		return true
	}
	return r.calls < min(r.busy+firstReductions+r.came, mostReductions) && r.bytes+int64(r.calls)*r.longest < heldBytes
}

// lift takes the result of the first group of a level to the next one.
func (r *reducer) lift(ctx context.Context, level int) error {
	l := r.levels[level]
	group := l.groups[0]
	l.groups = slices.Delete(l.groups, 0, 1)
	out, err := group.result.Result(ctx)
	if err != nil {
		return r.fail(err)
	}
	r.calls--
	r.bytes -= group.size
	r.came++
	r.longest = max(r.longest, int64(len(out)))
	r.last = out
	var value bytes.Buffer
	if err := writeResultJSON(&value, out); err != nil {
		return r.fail(&exitError{exitCallFailed, fmt.Errorf("a result of its own: %w", err)})
	}
	return r.put(ctx, level+1, value.Bytes())
}

// finish returns the one result. Nothing is added any more.
func (r *reducer) finish(ctx context.Context) ([]byte, error) {
	if r.results == 0 {
		return nil, r.fail(&exitError{exitCallFailed, errors.New("there are no results to reduce")})
	}
	for level := 0; ; level++ {
		l := r.levels[level]
		one := level > 0 && l.count == 1
		if one && !l.closed {
			return r.last, nil
		}
		if !one && l.count > 0 {
			if err := r.close(ctx, level); err != nil {
				return nil, err
			}
		}
		for len(l.groups) > 0 {
			if err := r.lift(ctx, level); err != nil {
				return nil, err
			}
		}
		if one { // it is the result of a call already
			if err := r.put(ctx, level+1, l.group[1:]); err != nil {
				return nil, err
			}
		}
	}
}

// reduce returns the one result of a map that has come to its end: with --out, of what is in its file.
func (a *app) reduce(ctx context.Context, f *mapFlags, r *results, shown *progress) ([]byte, error) {
	red := r.reducer
	if !f.streams() {
		if err := r.flush(); err != nil {
			return nil, fmt.Errorf("writing the results: %w", err)
		}
		file, err := os.Open(f.out)
		if err != nil {
			return nil, fmt.Errorf("reading the results: %w", err)
		}
		defer file.Close()
		places, err := placesOf(ctx, file, r.plan.part)
		if err != nil {
			return nil, err
		}
		if n, want := int64(len(places)), r.ok.Load()+r.plan.kept; n != want {
			return nil, fmt.Errorf("reading the results: %s has %d, and should have %d: does something else write to it?", f.out, n, want)
		}
		shown.reducing.Store(int64(len(places)))
		err = resultsAt(file, places, r.dir, r.file, func(value []byte) error { return red.addJSON(ctx, value) })
		switch {
		case errors.Is(err, errNotUTF8) && !errors.As(err, new(*reduceError)):
			return nil, red.fail(err)
		case err != nil:
			return nil, err
		}
	}
	shown.reducing.Store(red.results)
	return red.finish(ctx)
}
