package blob

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"os"
	"sync"
)

// A Digest is the SHA-256 of a blob.
type Digest [sha256.Size]byte

// String returns the digest in hex.
func (d Digest) String() string { return hex.EncodeToString(d[:]) }

// ParseDigest reads what String returns.
func ParseDigest(text string) (d Digest, err error) {
	if n, err := hex.Decode(d[:], []byte(text)); err != nil || n != len(d) {
		return Digest{}, fmt.Errorf("blob: %q is no digest", text)
	}
	return d, nil
}

// ErrChanged matches the error for a file that is not any more what it was when its
// digest was taken.
var ErrChanged = errors.New("the file has changed since it was shared")

// A Blob is an immutable sequence of bytes, in memory or in a file that is read as it is
// needed. It is safe for concurrent use.
type Blob struct {
	digest  Digest
	size    int64
	data    []byte   // nil for a file
	file    *os.File // nil in memory
	seen    identity // of the file when its digest was taken
	release func()   // what else Close lets go; may be nil

	closing sync.Once
}

// OfBytes returns a blob of data, which is not copied and must not be changed.
func OfBytes(data []byte) *Blob {
	return &Blob{digest: sha256.Sum256(data), size: int64(len(data)), data: nonNil(data)}
}

func nonNil(data []byte) []byte {
	if data == nil {
		return []byte{}
	}
	return data
}

// OfFile returns a blob of a regular file, which is read once, a piece at a time, and stays
// open. It blocks for that, or until ctx ends.
func OfFile(ctx context.Context, name string) (*Blob, error) {
	// One without a writer would block: see plain.
	if err := plain(os.Stat(name)); err != nil {
		return nil, fileError(name, err)
	}
	file, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	b, err := ofOpenFile(ctx, file)
	if err != nil {
		return nil, errors.Join(fileError(name, err), file.Close())
	}
	return b, nil
}

func ofOpenFile(ctx context.Context, file *os.File) (*Blob, error) {
	if err := plain(file.Stat()); err != nil {
		return nil, err
	}
	before, err := identify(file)
	if err != nil {
		return nil, err
	}
	b := &Blob{size: before.size, file: file, seen: before}
	sum := sha256.New()
	if err := copyAll(ctx, sum, io.NewSectionReader(b, 0, b.size)); err != nil {
		return nil, err
	}
	sum.Sum(b.digest[:0])
	return b, nil
}

func fileError(name string, err error) error {
	if pathError := (*os.PathError)(nil); errors.As(err, &pathError) {
		return err
	}
	return fmt.Errorf("%s: %w", name, err)
}

// plain refuses what is no regular file: what cannot be read twice, at any place.
func plain(info os.FileInfo, err error) error {
	switch {
	case err != nil:
		return err
	case info.IsDir():
		return errors.New("it is a folder; a zip or tar file of it can be shared")
	case !info.Mode().IsRegular():
		return errors.New("it is no regular file, and cannot be read at any place")
	}
	return nil
}

// Digest returns the SHA-256 of the bytes.
func (b *Blob) Digest() Digest { return b.digest }

// Len returns how many bytes there are.
func (b *Blob) Len() int64 { return b.size }

// Bytes returns the bytes of a blob in memory, which must not be changed. It is nil for
// one in a file.
func (b *Blob) Bytes() []byte { return b.data }

// ReadAt implements [io.ReaderAt]. A file that was cut or changed meanwhile is an error
// that matches [ErrChanged].
func (b *Blob) ReadAt(p []byte, at int64) (int, error) {
	if at < 0 {
		return 0, errors.New("blob: a negative offset")
	}
	if at >= b.size {
		return 0, io.EOF
	}
	var end error
	if left := b.size - at; int64(len(p)) > left {
		p, end = p[:left], io.EOF
	}
	if b.file == nil {
		return copy(p, b.data[at:]), end
	}
	n, err := b.file.ReadAt(p, at)
	// What is looked at after the read says that what was read was still the blob's.
	if now, lookErr := identify(b.file); lookErr == nil && !now.sameBytes(b.seen) || err == io.EOF {
		return 0, fmt.Errorf("%s: %w", b.file.Name(), ErrChanged)
	}
	if err == nil {
		err = end
	}
	return n, err
}

// Close lets go of the file. Calling it again is fine.
func (b *Blob) Close() {
	b.closing.Do(func() {
		if b.file != nil {
			b.file.Close() //nolint:errcheck // it was only read
		}
		if b.release != nil {
			b.release()
		}
	})
}

// copyStep is how many bytes are copied or hashed before a look whether ctx has ended.
const copyStep = 1 << 20

// copyAll copies all of r to w, until ctx ends.
func copyAll(ctx context.Context, w io.Writer, r io.Reader) error {
	buf := make([]byte, copyStep)
	for {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		n, err := r.Read(buf)
		if n > 0 {
			if _, err := w.Write(buf[:n]); err != nil {
				return err
			}
		}
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// writeStep is how many bytes are written and hashed at once: what the processor has at hand. A write of 4 MiB takes Linux
// (6.18, ext4) three times as long as sixteen of a quarter.
const writeStep = 256 << 10

// A checker writes on, and takes the digest of what it writes. It remembers whether it was the
// writer that failed.
type checker struct {
	to  io.Writer
	sum hash.Hash
	n   int64
	err error
}

func newChecker(to io.Writer) *checker { return &checker{to: to, sum: sha256.New()} }

func (c *checker) Write(p []byte) (n int, err error) {
	for n < len(p) && err == nil {
		var m int
		m, err = c.to.Write(p[n:min(n+writeStep, len(p))])
		c.sum.Write(p[n : n+m])
		n += m
	}
	c.n += int64(n)
	if err != nil {
		c.err = err
	}
	return n, err
}

// check returns an error unless exactly the blob was written.
func (c *checker) check(d Digest, size int64) error {
	var got Digest
	c.sum.Sum(got[:0])
	if got != d || c.n != size {
		return fmt.Errorf("blob: what came for %.12s has %d bytes, for %d, and the digest %.12s", d, c.n, size, got)
	}
	return nil
}
