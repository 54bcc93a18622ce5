// Package wire lays out the frames that travel between the root and its
// workers.
//
// A frame starts with a header of eight bytes: the version, the type, two
// zero bytes, and a count (little-endian u32, as all numbers here). The body
// of the frequent types is a list of fixed-size entries, each followed by its
// bytes; the body of the rare types is JSON. Decoding trusts nothing: every
// length is checked against what is there, and an error names what is wrong.
//
// A frame usually carries many calls or many results. Short calls of one task may be one entry
// together, a block, and so may be their results. Arguments and results
// of more than [Inline] bytes do not travel in frames: the entry says how
// long they are, and the bytes go as a payload of the transport.
package wire
