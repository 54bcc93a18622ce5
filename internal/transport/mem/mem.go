// Package mem is the fabric for ranks that are goroutines of one process.
package mem

import (
	"errors"
	"sync"
	"sync/atomic"

	"github.com/wasmpool/wasmpool/internal/transport"
)

// ErrKilled is what the others see of a rank that [World.Kill] took.
var ErrKilled = errors.New("mem: the rank was killed")

// A World is a set of endpoints that reach each other.
type World struct {
	ends []*endpoint

	mu        sync.Mutex
	transfers map[transferKey]half // payloads of which one side has come

	loans loans

	suspect atomic.Pointer[func() (uint64, bool)]
}

// Suspect says what the last function given to Vouch of one of the endpoints does: it is
// for a process that has a rank's signs of life to give in another world.
func (w *World) Suspect() (call uint64, found bool) {
	if f := w.suspect.Load(); f != nil && *f != nil {
		return (*f)()
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

// New returns a world of n ranks, each with a bell of its own.
func New(n int) *World {
	bells := make([]*transport.Bell, n)
	for i := range bells {
		bells[i] = transport.NewBell()
	}
	return newWorld(bells)
}

// Pair returns a world of two ranks in which the root has that bell, so that it
// can wait for another fabric as well.
func Pair(root *transport.Bell) *World {
	return newWorld([]*transport.Bell{root, transport.NewBell()})
}

func newWorld(bells []*transport.Bell) *World {
	w := &World{transfers: map[transferKey]half{}, loans: loans{open: map[uint32][]byte{}}}
	for rank, bell := range bells {
		w.ends = append(w.ends, &endpoint{world: w, rank: rank, bell: bell})
	}
	return w
}

// Endpoint returns the endpoint of a rank.
func (w *World) Endpoint(rank int) transport.Endpoint { return w.ends[rank] }

// Kill makes a rank look dead to the others: what it sends or is sent from now
// on is dropped, its payloads fail, and each of the others is told once. It is
// safe for concurrent use.
func (w *World) Kill(rank int) { w.kill(rank, ErrKilled) }

// kill reports whether the rank was alive.
func (w *World) kill(rank int, cause error) bool {
	if w.ends[rank].dead.Swap(true) {
		return false
	}
	w.drop(func(k transferKey) bool { return k.from == rank || k.to == rank }, cause)
	for _, e := range w.ends {
		if e.rank != rank && (rank == 0 || e.rank == 0) {
			e.lose(rank, cause)
		}
	}
	return true
}

// drop ends the waiting halves of the payloads that match.
func (w *World) drop(match func(transferKey) bool, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for k, h := range w.transfers {
		if match(k) {
			delete(w.transfers, k)
			h.end.complete(h.done, err)
		}
	}
}
