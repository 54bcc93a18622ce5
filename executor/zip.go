package executor

import "iter"

// Zip makes one argument of the next element of each sequence: a JSON array of
// them, as a task of sdk.JSON whose parameter is an array or slice takes it. The
// elements must be JSON. It ends with the shortest sequence, as Python's zip does. Where one is
// nil, so is what it returns, which a map says.
func Zip(sequences ...iter.Seq[[]byte]) iter.Seq[[]byte] {
	for _, s := range sequences {
		if s == nil {
			return nil
		}
	}
	return func(yield func([]byte) bool) {
		nexts := make([]func() ([]byte, bool), len(sequences))
		for i, s := range sequences {
			next, stop := iter.Pull(s)
			defer stop()
			nexts[i] = next
		}
		for len(nexts) > 0 {
			tuple := []byte{'['}
			for i, next := range nexts {
				element, ok := next()
				if !ok {
					return
				}
				if i > 0 {
					tuple = append(tuple, ',')
				}
				tuple = append(tuple, element...)
			}
			if !yield(append(tuple, ']')) {
				return
			}
		}
	}
}
