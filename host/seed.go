package host

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"math/rand/v2"

	"github.com/cespare/xxhash/v2"

	"github.com/wasmpool/wasmpool/internal/abi"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// seeds are what a guest's random numbers are made from: nothing but the call, so
// that it gets the same ones wherever it runs, when, and after what. They are made
// when they are first asked for, since most calls do not ask.
type seeds struct {
	in     *instance
	hashed bool
	sum    [sha256.Size]byte // of the argument
	seeded bool
	random *rand.ChaCha8 // what random_get gives
}

// renew forgets the seeds of the call before.
func (s *seeds) renew() { s.hashed, s.seeded = false, false }

// Read implements [io.Reader]: it gives random numbers.
func (s *seeds) Read(p []byte) (int, error) {
	if !s.seeded {
		seed := s.in.seed()
		if s.random == nil {
			s.random = rand.NewChaCha8(seed)
		} else {
			s.random.Seed(seed)
		}
		s.seeded = true
		s.in.slot.dirty = true
	}
	return pieces{s.in, s.random}.Read(p)
}

// seed returns what the random numbers of the call are made from. While an instance
// starts, and for its initializer, that is the argument of initializers and no task.
func (in *instance) seed() (seed [sha256.Size]byte) {
	sum := in.argumentSum()
	h := sha256.New()
	h.Write(in.code.digest[:])
	h.Write(sum[:])
	if t := in.slot.task; t != nil && in.call != nil {
		h.Write([]byte(t.export))
	}
	h.Sum(seed[:0])
	return seed
}

// argumentSum returns the SHA-256 of the call's argument. Of a long one that the guest
// has in its memory, it is that of what now is there.
func (in *instance) argumentSum() [sha256.Size]byte {
	s := &in.seeds
	if s.hashed {
		return s.sum
	}
	in.slot.dirty = true
	arg := in.argument()
	in.charge(uint64(len(arg)) * hashCost)
	h := sha256.New()
	for len(arg) > piece {
		h.Write(arg[:piece])
		arg = arg[piece:]
		in.check()
	}
	h.Write(arg)
	h.Sum(s.sum[:0])
	s.hashed = true
	return s.sum
}

// hashCost is how many instructions a byte counts that is hashed.
const hashCost = 1

// argument returns the bytes of the call's argument.
func (in *instance) argument() []byte {
	switch c := in.call; {
	case c == nil:
		return in.slot.host.cfg.InitArg
	case c.ReadArg == nil:
		return c.Arg
	case in.taken && !in.fetched:
		if in.grown() {
			in.look()
		}
		return in.view[in.takenAt:][:argLen(c)]
	default:
		return in.fetchArg()
	}
}

// seedWord returns eight bytes of the argument's sum, as call_meta gives them.
func (in *instance) seedWord(i uint32) int64 {
	sum := in.argumentSum()
	return int64(binary.LittleEndian.Uint64(sum[8*i:]))
}

// A seedBlock is a part of guest memory that each call finds as it was registered, but
// for the seed that it starts with. See package abi.
type seedBlock struct {
	open bool
	at   uint32
	kept [abi.SeedBlock]byte
}

// putSeeds puts the seed block in order for the call. sum is that of its argument.
func (in *instance) putSeeds(sum uint64) {
	b := &in.block
	all := (*[abi.SeedBlock]byte)(in.view[b.at:])
	*all = b.kept
	if block := all[:]; in.code.draws {
		binary.LittleEndian.PutUint64(block, sum)
		binary.LittleEndian.PutUint64(block[8:], uint64(argLen(in.call)))
		copy(block[16:abi.SeedSize], in.slot.task.key[:])
	}
}

// sum returns what seed blocks have of an argument.
func (p *program) sum(arg []byte) uint64 {
	if !p.draws {
		return 0
	}
	return xxhash.Sum64(arg)
}

// quickSum is what seed blocks have of an argument, looking now and then whether the
// call is to end. It need only tell arguments apart: the generator makes the rest of it.
func (in *instance) quickSum(arg []byte) uint64 {
	h := xxhash.New()
	for ; len(arg) > piece; arg = arg[piece:] {
		_, _ = h.Write(arg[:piece]) // it cannot fail
		in.check()
	}
	_, _ = h.Write(arg)
	return h.Sum64()
}

// draws reports whether what a seed block is seeded with may show in a module. In a Go
// module, which has the names of all its functions in it, only what math/rand draws
// from by itself shows it.
func draws(wasm []byte) bool {
	return !bytes.Contains(wasm, []byte("go:buildid")) || bytes.Contains(wasm, []byte("runtimeSource"))
}

// taskKey tells a task apart from those of other modules and names.
func taskKey(digest wasmtasks.Digest, export string) (key [16]byte) {
	sum := sha256.Sum256(append(digest[:], export...))
	copy(key[:], sum[:])
	return key
}
