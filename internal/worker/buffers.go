package worker

import (
	"errors"
	"slices"
)

const (
	// bufferedPayload is the longest payload that takes the way through a buffer
	// of the worker: an argument is fetched while the calls before it run, and a
	// result leaves while those after it do. A longer one goes straight to or from
	// guest memory while the runner waits: there the copy would cost more than the
	// wait.
	bufferedPayload = 256 << 10

	// mostBuffered bounds the bytes in buffers, in each direction.
	mostBuffered = 16 << 20

	// keepBuffers is how many buffers are kept for the next payloads.
	keepBuffers = 16
)

var errTooManyPayloads = errors.New("worker: too many payloads are under way")

// A transfer is a payload under way. Its fields are guarded by the server's io.
type transfer struct {
	done bool
	err  error
	free func() // is called when it is done without an error; may be nil
}

// finish returns the callback that ends a transfer and frees its id. The
// endpoint calls it while io is held.
func (s *server) finish(t *transfer, id uint32) func(error) {
	return func(err error) {
		s.payloads = append(s.payloads, id)
		t.done, t.err = true, err
		if t.free != nil && err == nil {
			t.free()
		}
	}
}

// takePayload returns a payload id that is not in use. io is held.
func (s *server) takePayload() (uint32, bool) {
	n := len(s.payloads)
	if n == 0 {
		return 0, false
	}
	id := s.payloads[n-1]
	s.payloads = s.payloads[:n-1]
	return id, true
}

// buffer returns a buffer of n bytes. io is held.
func (s *server) buffer(n int) []byte {
	for i := len(s.buffers) - 1; i >= 0; i-- {
		if b := s.buffers[i]; cap(b) >= n {
			s.buffers = slices.Delete(s.buffers, i, i+1)
			return b[:n]
		}
	}
	return make([]byte, n)
}

// giveBuffer takes back what buffer returned, or lets go the one that was kept
// for longest. io is held.
func (s *server) giveBuffer(b []byte) {
	if len(s.buffers) == keepBuffers {
		s.buffers = slices.Delete(s.buffers, 0, 1)
	}
	s.buffers = append(s.buffers, b)
}
