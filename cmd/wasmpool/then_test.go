package main

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
)

// Failures of early stages, of which the first input is ahead, wait for it: so no more than some of them
// are kept, and whoever tells them goes on when it is done. What they wait for is not held up.
func TestEarlyFailures(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		const inputs = 3 * mostWaiting
		var out bytes.Buffer
		r := newResults(&output{w: &out}, func(int64) string { return "" }, new(plan), newRecordWriter("f@", false), true)
		for range r.arguments(func(yield func(int64, item) bool) {
			for i := int64(0); i < inputs && yield(i, item{arg: []byte("x")}); i++ {
				continue
			}
		}) {
			continue
		}
		failed := executor.Outcome{Err: &executor.TaskError{Kind: host.KindTrap, Task: "t"}}
		told := int64(0)
		go func() { // reads the results of the first stage
			for told = 2; told < inputs; told++ {
				r.early(t.Context(), told, failed)
			}
		}()
		synctest.Wait()
		if told != mostWaiting+1 {
			t.Errorf("while input 0 has no result, %d others fail, want %d", told-2, mostWaiting-1)
		}
		go r.early(t.Context(), 0, failed) // reads those of the second
		synctest.Wait()
		if told != mostWaiting+1 || r.done() != 1 {
			t.Errorf("while input 1 has no result, %d others fail, and %d are done, want %d and 1", told-2, r.done(), mostWaiting-1)
		}
		r.settle(t.Context(), 1, &executor.Outcome{Result: []byte("1")}, false)
		synctest.Wait()
		if err := r.finish(); err != nil || r.done() != inputs {
			t.Errorf("%d of %d inputs are done, error %v", r.done(), inputs, err)
		}
		i := 0
		for line := range strings.Lines(out.String()) {
			if !strings.HasPrefix(line, fmt.Sprintf(`{"i":%d,`, i)) {
				t.Fatalf("line %d is %s", i, line)
			}
			i++
		}
	})
}

// A map that has ended holds up nobody who has a failure to tell.
func TestEarlyFailuresLeft(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(r *results){
		"finished":    func(r *results) { r.finish() }, //nolint:errcheck // it cannot fail
		"interrupted": func(r *results) { r.interrupt(executor.ErrInterrupted) },
		"too many": func(r *results) {
			r.limit = failLimit{fails: 1}
			r.settle(t.Context(), 0, &executor.Outcome{Err: &executor.TaskError{Kind: host.KindTrap}}, false)
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r := newResults(&output{w: io.Discard}, func(int64) string { return "" }, new(plan), newRecordWriter("f@", false), true)
				r.cancel = func() {}
				r.ledger.put(0, entry{}, nil)
				done := false
				go func() {
					for range mostWaiting {
						r.addEarly(&earlyFailure{failed: &executor.TaskError{Kind: host.KindTrap}, before: 1}) //nolint:errcheck // it does not write
					}
					done = true
				}()
				synctest.Wait()
				if done {
					t.Error("nobody waits")
				}
				end(r)
				synctest.Wait()
				if !done {
					t.Error("one still waits")
				}
			})
		})
	}
}
