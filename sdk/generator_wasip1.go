package sdk

import (
	"unsafe"

	"github.com/wasmpool/wasmpool/internal/abi"
)

// The runtime of a Go program seeds its random numbers once, when it starts. All that
// a program can see of them comes from one generator: the functions of math/rand and
// math/rand/v2, the order in which a map is walked, the case that a select takes, and
// the seeds of hash/maphash. So that a call finds none of it as an earlier call left
// it, the SDK looks for that generator, and lets the host seed it before each call.

//go:linkname getm runtime.getm
func getm() unsafe.Pointer

//go:linkname runtimeRand runtime.rand
func runtimeRand() uint64

//go:linkname runtimeCheaprand runtime.cheaprand
func runtimeCheaprand() uint32

//go:wasmimport wasmpool seed_open
//go:noescape
func seedOpen(block unsafe.Pointer)

// A generator is a State of the runtime's package internal/chacha8rand, and what
// stands behind it in the runtime's only m: the state of another generator, for what
// need not be as random. What stands before the seed are numbers that were made from
// it.
type generator struct {
	numbers [32]uint64
	seed    [4]uint64
	next    uint32 // of numbers
	end     uint32 // of numbers: when next reaches it, more are made from the seed
	round   uint32
	_       uint32
	cheap   uint64
}

// This fails to compile when the seed block is not what stands from seed on.
var _ [unsafe.Sizeof(generator{}) - unsafe.Offsetof(generator{}.seed)]byte = [abi.SeedBlock]byte{}

// mostM bounds how far into an m its generator may be. In Go 1.26 it is at 1248.
const mostM = 4096

// found is the runtime's generator, nil where the runtime has another.
var found = findGenerator()

func init() {
	g := found
	if g == nil {
		return
	}
	g.next, g.end, g.round = 0, 0, 0
	seedOpen(unsafe.Pointer(&g.seed))
}

// drawApart runs do with numbers of its own: what is drawn after it does not depend on
// what it draws.
func drawApart(do func()) {
	if found == nil {
		do()
		return
	}
	kept := *found
	found.next, found.end, found.round = 0, 0, 0
	found.seed[0] = ^found.seed[0]
	do()
	*found = kept
}

// findGenerator looks for the runtime's generator by what it does: the next number is
// the one that stands there. It returns nil where the runtime has another.
func findGenerator() *generator {
	m := getm()
	runtimeRand() // so that there are numbers
	for at := uintptr(0); at < mostM; at += unsafe.Sizeof(uint64(0)) {
		if g := (*generator)(unsafe.Add(m, at)); g.fits() && g.works() {
			return g
		}
	}
	return nil
}

// fits reports whether g may be a generator that has numbers ready.
func (g *generator) fits() bool {
	return g.next < g.end && g.end <= uint32(len(g.numbers)) && g.round < 16
}

// works reports whether g is the runtime's generator.
func (g *generator) works() bool {
	next, want, cheap := g.next, g.numbers[g.next], g.cheap
	got := runtimeRand()
	runtimeCheaprand()
	return got == want && g.next == next+1 && g.cheap != cheap
}
