package sdk

import (
	"errors"
	"io"
)

// A SharedInput is bytes that many calls have in common, which the host keeps once for all guests
// of a node: weights, a table, a reference genome. It is good until the call ends.
type SharedInput struct {
	name string
	size int64
}

// Shared returns the call's shared input of that name. The error says that the call has none: it
// has those that it was submitted with, by executor.With, or by --shared of the command.
//
// Package variables of a module are initialized before there is a call, and so is an
// initializer's call: neither has any.
func Shared(name string) (*SharedInput, error) {
	size := sharedLen(name)
	if size < 0 {
		return nil, &noShared{name}
	}
	return &SharedInput{name, size}, nil
}

type noShared struct{ name string }

func (e *noShared) Error() string {
	return "the call has no shared input " + e.name + ": share it with executor.With, or --shared " + e.name + "=FILE"
}

// Len returns how many bytes there are.
func (s *SharedInput) Len() int64 { return s.size }

// Digest returns the SHA-256 of the bytes.
func (s *SharedInput) Digest() [32]byte {
	var d [32]byte
	sharedDigest(s.name, &d)
	return d
}

// ReadAt implements io.ReaderAt. It costs a microsecond and, where the node has to read its disk, the
// time for that. Nothing is copied besides what is asked for.
func (s *SharedInput) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("sdk: a shared input is read at a negative offset")
	}
	for n < len(p) {
		got := sharedRead(s.name, p[n:min(len(p), n+mostRead)], off+int64(n))
		if got <= 0 {
			return n, io.EOF
		}
		n += got
	}
	return n, nil
}

// mostRead is how many bytes are read at once: their number must fit an i32.
const mostRead = 1 << 30

// Bytes returns all bytes, in the memory of the guest. The first call loads them; later calls of the
// instance get the same, as long as the input's digest is the same, so they must not be changed. For large
// inputs of which a call needs a part, ReadAt takes less memory: that of Bytes is taken in each
// slot.
func (s *SharedInput) Bytes() []byte {
	digest := s.Digest()
	if l, ok := loadedShared[s.name]; ok && l.digest == digest {
		return l.data
	}
	delete(loadedShared, s.name) // let it go before the other one is loaded
	data := make([]byte, s.size)
	if n, _ := s.ReadAt(data, 0); n < len(data) {
		panic(errors.New("sdk: the shared input " + s.name + " ended early")) //nolint:forbidigo // the host does not let that happen
	}
	if loadedShared == nil {
		loadedShared = map[string]loaded{}
	}
	loadedShared[s.name] = loaded{digest, data}
	return data
}

// A loaded input is what Bytes has returned.
type loaded struct {
	digest [32]byte
	data   []byte
}

// loadedShared are the inputs that the instance has loaded, by name.
var loadedShared map[string]loaded
