package main

// An index finds inputs by keys of 64 bits, which are spread evenly. Of inputs with equal keys it
// finds the first that is not taken. It takes some 20 bytes an input.
type index struct {
	keys  []uint64 // by input; inputs whose key is 0 are not found
	next  []uint32 // by input: 1 + the next input with the same key, or 0
	heads []uint32 // a hash table: 1 + the first input of a key that may not be taken, or 0
}

// newIndex makes an index of inputs, the keys of which it keeps.
func newIndex(keys []uint64) *index {
	size := 16
	for size < len(keys)/2*3 {
		size *= 2
	}
	x := &index{keys: keys, next: make([]uint32, len(keys)), heads: make([]uint32, size)}
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

// find returns the first input of a key that is not taken. Where all are, known is true and ok
// false. What was taken stays so.
func (x *index) find(key uint64, taken *numberSet) (i int64, known, ok bool) {
	head := x.head(key)
	if key == 0 || *head == 0 {
		return 0, false, false
	}
	for taken.has(int64(*head-1)) && x.next[*head-1] != 0 {
		*head = x.next[*head-1]
	}
	i = int64(*head - 1)
	return i, true, !taken.has(i)
}
