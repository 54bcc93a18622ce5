package main

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// A plan says which inputs of a map are to run: those of its part that have no result yet.
type plan struct {
	part part

	resumed bool
	done    *numberSet // inputs that have a result, when resumed
	total   int64      // inputs that there are, when resumed
	keys    []uint64   // of all inputs, when resumed and they are read one after the other
	kept    int64      // results that are in the file, of inputs of the part
}

// left returns how many inputs a resumed map has to run.
func (p *plan) left() int64 { return p.part.count(p.total) - p.kept }

// next returns the first input from number i on that is to run, or -1. The inputs may end before.
func (p *plan) next(i int64) int64 {
	if !p.resumed && p.part.all() {
		return i
	}
	i = p.part.next(i)
	for p.resumed && i >= 0 {
		switch {
		case i >= p.total:
			return -1
		case !p.done.has(i):
			return i
		}
		i = p.part.next(i + 1)
	}
	return i
}

// A part is some of the inputs of a map: those of --where that are in the shard, too. The zero
// part has all.
type part struct {
	where stretchesFlag
	shard shardFlag
}

// mostNumber is how far the numbers of inputs may go, so that a bit can be added to each.
const mostNumber = 1 << 62

// all reports whether the part leaves out none.
func (p part) all() bool { return len(p.where) == 0 && p.shard.of == 0 }

// next returns the first input of the part from number i on, or -1.
func (p part) next(i int64) int64 {
	if len(p.where) == 0 {
		return p.shard.next(i)
	}
	at, _ := slices.BinarySearchFunc(p.where, i, func(s stretch, i int64) int { return cmp.Compare(s.to, i) })
	for _, s := range p.where[at:] {
		if i := p.shard.next(max(i, s.from)); i <= s.to {
			return i
		}
	}
	return -1
}

func (p part) has(i int64) bool { return p.next(i) == i }

// count returns how many inputs of n are in the part, -1 when n is.
func (p part) count(n int64) int64 {
	if n < 0 || p.all() {
		return n
	}
	where := p.where
	if len(where) == 0 {
		where = stretchesFlag{{0, mostNumber}}
	}
	sum := int64(0)
	for _, s := range where {
		first, last := p.shard.next(s.from), min(s.to, n-1)
		if first <= last {
			sum += (last-first)/max(p.shard.of, 1) + 1
		}
	}
	return sum
}

// A stretch is the numbers from one to another, which is one of them.
type stretch struct{ from, to int64 }

// A stretchesFlag is a flag whose value is numbers, in order.
type stretchesFlag []stretch

// Set adds numbers such as "7,100-199,500-".
func (f *stretchesFlag) Set(text string) error {
	all := slices.Clone(*f)
	for _, piece := range strings.Split(text, ",") {
		s, err := parseStretch(strings.TrimSpace(piece))
		if err != nil {
			return err
		}
		all = append(all, s)
	}
	slices.SortFunc(all, func(a, b stretch) int { return cmp.Compare(a.from, b.from) })
	*f = nil
	for _, s := range all {
		if last := len(*f) - 1; last >= 0 && s.from <= (*f)[last].to+1 {
			(*f)[last].to = max((*f)[last].to, s.to)
			continue
		}
		*f = append(*f, s)
	}
	return nil
}

func parseStretch(text string) (stretch, error) {
	first, last, both := strings.Cut(text, "-")
	from, ok := parseNumber(first)
	to := from
	if both && last == "" {
		to = mostNumber
	} else if both {
		var okTo bool
		to, okTo = parseNumber(last)
		ok = ok && okTo
	}
	switch {
	case !ok:
		return stretch{}, fmt.Errorf("%q is no number of an input, want ones such as 7, 100-199 or 500-", text)
	case to < from:
		return stretch{}, fmt.Errorf("%s ends before it begins", text)
	}
	return stretch{from, to}, nil
}

// parseNumber parses the number of an input.
func parseNumber(text string) (int64, bool) {
	n, err := strconv.ParseUint(text, 10, 62)
	return int64(n), err == nil
}

// String formats the numbers as they may be given.
func (f *stretchesFlag) String() string {
	var parts []string
	for _, s := range *f {
		switch s.to {
		case s.from:
			parts = append(parts, strconv.FormatInt(s.from, 10))
		case mostNumber:
			parts = append(parts, fmt.Sprintf("%d-", s.from))
		default:
			parts = append(parts, fmt.Sprintf("%d-%d", s.from, s.to))
		}
	}
	return strings.Join(parts, ",")
}

// Type names the value in help.
func (f *stretchesFlag) Type() string { return "numbers" }

// A shardFlag is a flag whose value is one of some equal parts: each of-th input. The zero flag
// has all.
type shardFlag struct{ index, of int64 }

// mostShards keeps numbers of inputs within their bounds.
const mostShards = 1 << 31

// Set parses text such as "1/4".
func (f *shardFlag) Set(text string) error {
	first, second, both := strings.Cut(text, "/")
	k, okK := parseNumber(first)
	n, okN := parseNumber(second)
	switch {
	case !both || !okK || !okN || n < 1 || n > mostShards:
		return errors.New("want K/N, such as 1/4")
	case k < 1 || k > n:
		return fmt.Errorf("the parts are 1/%d to %d/%d", n, n, n)
	}
	*f = shardFlag{k - 1, n}
	return nil
}

// next returns the first input of the shard from number i on.
func (f shardFlag) next(i int64) int64 {
	if f.of == 0 {
		return i
	}
	return i + (f.index-i%f.of+f.of)%f.of
}

// String formats the shard as it may be given.
func (f *shardFlag) String() string {
	if f.of == 0 {
		return ""
	}
	return fmt.Sprintf("%d/%d", f.index+1, f.of)
}

// Type names the value in help.
func (f *shardFlag) Type() string { return "shard" }
