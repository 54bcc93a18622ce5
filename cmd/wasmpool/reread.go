package main

import (
	"cmp"
	"errors"
	"iter"
)

// A reread is an input that --resume has read once, to find what is to run. The places of
// that count only as long as the input is the same.
type reread struct {
	input
	keys    []uint64 // as they were
	changed error
}

var errInputChanged = errors.New("the input changed after --resume had read it: start the map again, and what is missing runs")

// again returns the input to run what the plan has left.
func (p *plan) again(in input) input {
	if p.keys == nil {
		return in
	}
	return &reread{input: in, keys: p.keys}
}

func (in *reread) items(p *plan) iter.Seq2[int64, item] {
	return func(yield func(int64, item) bool) {
		missing := p.left()
		for i, it := range in.input.items(p) {
			if lineKey(it) != in.keys[i] {
				in.changed = errInputChanged
				return
			}
			missing--
			if !yield(i, it) {
				return
			}
		}
		if missing > 0 {
			in.changed = errInputChanged
		}
	}
}

func (in *reread) err() error { return cmp.Or(in.input.err(), in.changed) }
