package dispatcher

import (
	"errors"
	"fmt"
	"strings"

	"github.com/wasmpool/wasmpool/internal/transport"
)

// suspects says what a worker ran when it was lost: the call of which it said so
// itself, or those that were sent to it first, of which it runs as many as it has slots.
func (w *worker) suspects(cause error) string {
	const most = 4
	var still *transport.StandstillError
	told := errors.As(cause, &still)
	var words []string
	for c := w.first; c != nil; c = c.next {
		word := fmt.Sprintf("call %d of %s", c.number, c.task.name)
		if told && c.number == still.Call {
			return word
		}
		words = append(words, word) // the newest first
	}
	words = words[max(0, len(words)-min(w.slots, most)):]
	return strings.Join(words, ", ")
}
