package dispatcher

// numbers is a set of small numbers.
type numbers struct {
	first uint64   // those below 64
	rest  []uint64 // the others, as many in each
}

func (s *numbers) has(n uint32) bool {
	if n < 64 {
		return s.first&(1<<n) != 0
	}
	i := int(n/64) - 1
	return i < len(s.rest) && s.rest[i]&(1<<(n%64)) != 0
}

func (s *numbers) add(n uint32) {
	if n < 64 {
		s.first |= 1 << n
		return
	}
	i := int(n/64) - 1
	for i >= len(s.rest) {
		s.rest = append(s.rest, 0)
	}
	s.rest[i] |= 1 << (n % 64)
}
