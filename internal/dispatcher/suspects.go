package dispatcher

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/wasmpool/wasmpool/internal/transport"
)

// suspects says what a worker ran when it was lost: the call of which it said so
// itself, or those that were sent to it first, of which it runs as many as it has slots.
func (s *scheduler) suspects(w *worker, cause error) string {
	const most = 4
	var still *transport.StandstillError
	told := errors.As(cause, &still)
	type one struct {
		number uint64
		task   *Task
	}
	var ones []one
	for _, c := range s.callsOf(w) {
		if told && c.has(still.Call) {
			return fmt.Sprintf("call %d of %s", still.Call, c.task.name)
		}
		for _, number := range c.appendNumbers(nil) {
			ones = append(ones, one{number, c.task})
		}
	}
	slices.SortFunc(ones, func(a, b one) int { return cmp.Compare(a.number, b.number) })
	var words []string
	for _, o := range slices.Backward(ones[:min(w.slots, most, len(ones))]) {
		words = append(words, fmt.Sprintf("call %d of %s", o.number, o.task.name))
	}
	return strings.Join(words, ", ")
}
