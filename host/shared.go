package host

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"

	"github.com/tetratelabs/wazero/api"

	"github.com/wasmpool/wasmpool/internal/abi"
)

// A Shared is an input that a call has besides its argument: bytes that many calls have in
// common, which the guest reads as it needs them. By its name the SDK reads it, as other
// guests do through [abi.SharedRead]; a guest that opens files finds it as /shared/NAME.
// What is not among its call's shared inputs does not exist for a guest.
type Shared struct {
	Name   string      // see [CheckSharedName]
	Digest [32]byte    // SHA-256 of the bytes
	Len    int64       // how many there are
	Data   io.ReaderAt // gives them; safe for concurrent use

	// Tree shows what a zip or tar file holds as a folder, /shared/NAME; nil to show the
	// bytes as a file.
	Tree *Tree
}

// MostShared is how many shared inputs a call may have.
const MostShared = 100

// mostSharedName is how many bytes the name of a shared input may have.
const mostSharedName = 100

// CheckSharedName returns an error for what cannot be the name of a shared input: it is of 1
// to 100 of the letters a to z and A to Z, digits, and _ - . of which the last is not the
// first.
func CheckSharedName(name string) error {
	switch {
	case name == "":
		return errors.New("the name of a shared input is empty")
	case len(name) > mostSharedName:
		return fmt.Errorf("the name of a shared input has %d bytes, must have at most %d: %.40q…", len(name), mostSharedName, name)
	case name[0] == '.':
		return fmt.Errorf("the name of a shared input, %q, must not begin with a dot", name)
	}
	for _, c := range []byte(name) {
		if !isNameByte(c) {
			return fmt.Errorf("the name of a shared input, %q, must be of a-z A-Z 0-9 _ - and . only", name)
		}
	}
	return nil
}

func isNameByte(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.'
}

// shared returns the call's shared input of that name, or nil.
func (s *Slot) shared(name []byte) *Shared {
	if s.call == nil {
		return nil
	}
	for i := range s.call.Shared {
		if in := &s.call.Shared[i]; in.Name == string(name) {
			return in
		}
	}
	return nil
}

// sharedSum tells apart what guests see of shared inputs. It is zero without any.
func sharedSum(list []Shared) (sum [32]byte) {
	if len(list) == 0 {
		return sum
	}
	h := sha256.New()
	for i := range list {
		in := &list[i]
		fmt.Fprintf(h, "%x %t %s\n", in.Digest, in.Tree != nil, in.Name)
	}
	h.Sum(sum[:0])
	return sum
}

// checkShared refuses shared inputs that no guest could tell apart.
func checkShared(list []Shared) error {
	for i := range list {
		in := &list[i]
		switch err := CheckSharedName(in.Name); {
		case err != nil:
			return errorf(KindHost, "%w", err)
		case in.Data == nil || in.Len < 0:
			return errorf(KindHost, "the shared input %s has no data", in.Name)
		case i >= MostShared:
			return errorf(KindHost, "a call has %d shared inputs, may have at most %d", len(list), MostShared)
		case slices.ContainsFunc(list[:i], func(s Shared) bool { return s.Name == in.Name }):
			return errorf(KindHost, "two shared inputs are named %s", in.Name)
		}
	}
	return nil
}

// sharedCost is what a look at a shared input costs besides the bytes: it is a call of the
// system.
const sharedCost = 256

// named returns the shared input whose name an import was given; nil for none.
func (in *instance) named(mod api.Module, function string, at, n uint32) *Shared {
	name := in.memory(mod, function, at, n)
	if n > mostSharedName || in.slot.call == nil {
		return nil
	}
	in.pay(mod, uint64(len(in.slot.call.Shared)))
	return in.slot.shared(name)
}

func sharedLen(ctx context.Context, mod api.Module, stack []uint64) {
	in := ctx.(*instance)
	s := in.named(mod, abi.SharedLen, uint32(stack[0]), uint32(stack[1]))
	stack[0] = math.MaxUint64
	if s != nil {
		stack[0] = uint64(s.Len)
	}
}

func sharedDigest(ctx context.Context, mod api.Module, stack []uint64) {
	in := ctx.(*instance)
	s := in.named(mod, abi.SharedDigest, uint32(stack[0]), uint32(stack[1]))
	dst := in.memory(mod, abi.SharedDigest, uint32(stack[2]), abi.DigestSize)
	stack[0] = noShared
	if s != nil {
		stack[0] = abi.DigestSize
		copy(dst, s.Digest[:])
	}
}

// noShared is the answer about an input that the call does not have: -1.
const noShared = math.MaxUint32

func sharedRead(ctx context.Context, mod api.Module, stack []uint64) {
	in := ctx.(*instance)
	s := in.named(mod, abi.SharedRead, uint32(stack[0]), uint32(stack[1]))
	dst, off, n := uint32(stack[2]), stack[3], uint32(stack[4])
	stack[0] = noShared
	if s == nil {
		return
	}
	stack[0] = 0
	if off >= uint64(s.Len) || n == 0 {
		in.pay(mod, sharedCost)
		return
	}
	n = uint32(min(uint64(n), uint64(s.Len)-off))
	part := in.memory(mod, abi.SharedRead, dst, n)
	in.pay(mod, sharedCost+instructionsFor(uint64(n)))
	if got, err := in.readShared(s.Data, part, int64(off)); got < len(part) {
		raise(unreadable(s, err))
	}
	stack[0] = uint64(n)
}

// unreadable ends a call whose shared input cannot be read.
func unreadable(s *Shared, err error) *abort {
	return &abort{kind: KindHost, message: fmt.Sprintf("the shared input %s cannot be read: %v", s.Name, err), err: err}
}

// readShared reads bytes of a shared input, a piece at a time.
func (in *instance) readShared(data io.ReaderAt, dst []byte, at int64) (int, error) {
	in.slot.beat(false) // while it waits for a disk others watch for frames
	return in.inPieces(dst, func(part []byte) (int, error) {
		n, err := data.ReadAt(part, at)
		at += int64(n)
		if n == len(part) {
			err = nil // the end of the input may be told with its last bytes
		}
		return n, err
	})
}
