package dispatcher

import "testing"

func TestNumbers(t *testing.T) {
	t.Parallel()
	var s numbers
	in := map[uint32]bool{0: true, 5: true, 63: true, 64: true, 127: true, 128: true, 1000: true}
	for n := range in {
		s.add(n)
		s.add(n) // it is there already
	}
	for n := range uint32(2000) {
		if s.has(n) != in[n] {
			t.Errorf("has(%d) = %t", n, s.has(n))
		}
	}
}
