// Package mem is the fabric for ranks that are goroutines of one process.
package mem

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/wasmpool/wasmpool/internal/transport"
)

// ErrKilled is what the others see of a rank that [Fabric.Kill] took.
var ErrKilled = errors.New("mem: the rank was killed")

// A Fabric is a set of endpoints that reach each other.
type Fabric struct {
	ends []*endpoint

	mu        sync.Mutex
	transfers map[transferKey]half // payloads of which one side has come

	loans loans

	suspect atomic.Pointer[func() (uint64, bool)]
}

// Suspect says what the last function given to Vouch of one of the endpoints does: it is
// for a process that has a rank's signs of life to give on another fabric.
func (f *Fabric) Suspect() (call uint64, found bool) {
	if fn := f.suspect.Load(); fn != nil && *fn != nil {
		return (*fn)()
	}
	return 0, false
}

// A transferKey names a payload: the ids of one direction are apart.
type transferKey struct {
	from, to int
	id       uint32
}

// A half is one side of a payload.
type half struct {
	end  *endpoint // whose call it was
	data []byte
	done func(error)
}

// New returns a fabric of n ranks, each with a bell of its own.
func New(n int) *Fabric {
	bells := make([]*transport.Bell, n)
	for i := range bells {
		bells[i] = transport.NewBell()
	}
	return newFabric(bells)
}

// Pair returns a fabric of two ranks in which the root has that bell, so that it
// can wait for another fabric as well.
func Pair(root *transport.Bell) *Fabric {
	return newFabric([]*transport.Bell{root, transport.NewBell()})
}

func newFabric(bells []*transport.Bell) *Fabric {
	f := &Fabric{transfers: map[transferKey]half{}, loans: loans{open: map[uint32][]byte{}}}
	for rank, bell := range bells {
		f.ends = append(f.ends, &endpoint{fabric: f, rank: rank, bell: bell})
	}
	return f
}

// Endpoint returns the endpoint of a rank.
func (f *Fabric) Endpoint(rank int) transport.Endpoint { return f.ends[rank] }

// Kill makes a rank look dead to the others: what it sends or is sent from now
// on is dropped, its payloads fail, and each of the others is told once. It is
// safe for concurrent use.
func (f *Fabric) Kill(rank int) { f.kill(rank, ErrKilled) }

// kill reports whether the rank was alive.
func (f *Fabric) kill(rank int, cause error) bool {
	if f.ends[rank].dead.Swap(true) {
		return false
	}
	f.drop(func(k transferKey) bool { return k.from == rank || k.to == rank }, cause)
	for _, e := range f.ends {
		if e.rank != rank && (rank == 0 || e.rank == 0) {
			e.lose(rank, cause)
		}
	}
	return true
}

// drop ends the waiting halves of the payloads that match.
func (f *Fabric) drop(match func(transferKey) bool, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for k, h := range f.transfers {
		if match(k) {
			delete(f.transfers, k)
			h.end.complete(h.done, err)
		}
	}
}
