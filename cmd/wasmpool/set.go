package main

// A numberSet is a set of numbers from 0. Where they are close, a number takes a bit.
type numberSet struct{ blocks map[int64]*numberBlock }

// A numberBlock has a bit for each of so many numbers.
type numberBlock [512]uint64

const blockNumbers = int64(len(numberBlock{}) * 64)

func newNumberSet() *numberSet { return &numberSet{map[int64]*numberBlock{}} }

func (s *numberSet) has(i int64) bool {
	b := s.blocks[i/blockNumbers]
	return b != nil && b[i%blockNumbers/64]&(1<<(i%64)) != 0
}

func (s *numberSet) add(i int64) {
	b := s.blocks[i/blockNumbers]
	if b == nil {
		b = new(numberBlock)
		s.blocks[i/blockNumbers] = b
	}
	b[i%blockNumbers/64] |= 1 << (i % 64)
}
