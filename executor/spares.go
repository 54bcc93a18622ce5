package executor

import "sync"

// spares are what may be used again. They are safe for concurrent use.
type spares[T any] struct {
	mu   sync.Mutex
	list []T
}

// take returns one, if there is one.
func (s *spares[T]) take() (one T, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last := len(s.list) - 1
	if last < 0 {
		return one, false
	}
	one, s.list[last] = s.list[last], one
	s.list = s.list[:last]
	return one, true
}

// give adds one, unless there are so many.
func (s *spares[T]) give(one T, most int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.list) < most {
		s.list = append(s.list, one)
	}
}
