package main

import (
	"iter"
	"os"
)

// A computed input makes each argument from its number.
type computed struct {
	n      int64
	append func(dst []byte, i int64) []byte // appends argument i
	kept   blocks
}

// at returns an input.
func (in *computed) at(i int64) item {
	return item{arg: in.kept.took(in.append(in.kept.room(), i))}
}

func (in *computed) items(p *plan) iter.Seq2[int64, item] { return byNumber(in.n, in.at, p) }
func (in *computed) err() error                           { return nil }
func (in *computed) count() int64                         { return in.n }
func (in *computed) file(int64) string                    { return "" }
func (in *computed) reads(os.FileInfo) bool               { return false }
func (in *computed) close() error                         { return nil }
