package main

// An index finds inputs by keys of 64 bits, which are spread evenly. Of inputs with equal keys it
// hands out each once, the first first. It takes some 20 bytes an input.
type index struct {
	keys  []uint64 // by input; inputs whose key is 0 are not found
	next  []uint32 // by input: 1 + the next input with the same key, or 0
	taken []bool   // by input
	heads []uint32 // a hash table: 1 + the first input of a key that may be taken, or 0
}

// newIndex makes an index of inputs, the keys of which it keeps.
func newIndex(keys []uint64) *index {
	size := 16
	for size < len(keys)/2*3 {
		size *= 2
	}
	x := &index{keys: keys, next: make([]uint32, len(keys)), taken: make([]bool, len(keys)), heads: make([]uint32, size)}
	for i := len(keys) - 1; i >= 0; i-- {
		if keys[i] != 0 {
			head := x.head(keys[i])
			x.next[i], *head = *head, uint32(i)+1
		}
	}
	return x
}

// head returns the place of a key in the table.
func (x *index) head(key uint64) *uint32 {
	mask := uint64(len(x.heads) - 1)
	for at := key & mask; ; at = (at + 1) & mask {
		if h := x.heads[at]; h == 0 || x.keys[h-1] == key {
			return &x.heads[at]
		}
	}
}

// find returns the first input of a key that was not taken. Where all were, known is true
// and ok false.
func (x *index) find(key uint64) (i int64, known, ok bool) {
	h := *x.head(key)
	if key == 0 || h == 0 {
		return 0, false, false
	}
	return int64(h - 1), true, !x.taken[h-1]
}

// take takes an input that find has returned.
func (x *index) take(i int64) {
	x.taken[i] = true
	if next := x.next[i]; next != 0 {
		*x.head(x.keys[i]) = next
	}
}
