package main

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"strings"

	"github.com/wasmpool/wasmpool/executor"
)

// addStages finds the tasks of --then. Their names stand in what results are of, behind that of the
// first: a result of another chain is none of this one.
func (t *target) addStages(names []string) error {
	t.stages = []string{t.name}
	if len(names) == 0 {
		return nil
	}
	first, digest := cutOf(t.of)
	exports := []string{first}
	for _, name := range names {
		next, err := findTarget(t.module, []string{name})
		if err != nil {
			return fmt.Errorf("--then: %w", err)
		}
		t.stages = append(t.stages, next.name)
		exports = append(exports, next.task.Name)
	}
	for _, task := range t.module.Tasks() {
		if strings.Contains(task.Name, "+") {
			return fmt.Errorf("--then: module %s has a task %q, and a + stands between the stages in what results are of: give it another name", t.module.Name(), task.Name)
		}
	}
	t.of = strings.Join(exports, "+") + "@" + digest
	return nil
}

// heldBytes is how many bytes of results wait, over all stages, until no more calls are made.
const heldBytes = 64 << 20

// A chain makes the calls of a map: for each input one of each stage, whose argument is the result
// of the stage before. A stage is a map of its own, which reads the results of the one before it
// no further than keeps the workers busy, and whose calls go before those of that.
type chain struct {
	ex        *executor.Executor
	stages    []string
	unordered bool
	options   []executor.MapOption
	results   *results
}

// outcomes makes the calls and yields how those of the last stage have ended, with the numbers of the
// first stage's calls. What ends before goes to the results at once.
func (c *chain) outcomes(ctx context.Context, args iter.Seq[[]byte]) iter.Seq2[int64, executor.Outcome] {
	all := outcomes(ctx, c.ex, c.stages[0], args, c.unordered, c.options)
	for i, task := range c.stages[1:] {
		first := newLedger()
		ahead := executor.Priority(min(i+1, executor.MaxPriority))
		all = renumber(outcomes(ctx, c.ex, task, c.succeeded(ctx, all, first), c.unordered, append(slices.Clone(c.options), ahead)), first)
	}
	return all
}

// succeeded yields the results of a stage as the arguments of the next one, and notes of which of the
// first stage's calls they are. It runs on the goroutine that reads them.
func (c *chain) succeeded(ctx context.Context, stage iter.Seq2[int64, executor.Outcome], first *ledger) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		call := int64(0)
		for input, o := range stage {
			if o.Err == nil && c.results.ending.Load() {
				o.Err = executor.ErrCancelled
			}
			if o.Err != nil {
				if !c.results.early(ctx, input, o) {
					return
				}
				continue
			}
			first.put(call, entry{input: input}, nil)
			call++
			if !yield(o.Result) {
				return
			}
		}
	}
}

// renumber yields what a stage yields, with the numbers of the first stage's calls.
func renumber(stage iter.Seq2[int64, executor.Outcome], first *ledger) iter.Seq2[int64, executor.Outcome] {
	return func(yield func(int64, executor.Outcome) bool) {
		entries := first.taker()
		for call, o := range stage {
			if call >= 0 {
				e, _ := entries.take(call)
				call = e.input
			}
			if !yield(call, o) {
				return
			}
		}
	}
}

// outcomes makes the calls of a task and yields how they ended, with their numbers.
func outcomes(ctx context.Context, ex *executor.Executor, task string, args iter.Seq[[]byte], unordered bool, opts []executor.MapOption) iter.Seq2[int64, executor.Outcome] {
	if unordered {
		return ex.MapIndexed(ctx, task, args, opts...)
	}
	return ex.MapOutcomes(ctx, task, args, opts...)
}
