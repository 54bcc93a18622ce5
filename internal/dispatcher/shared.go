package dispatcher

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/wasmpool/wasmpool/internal/blob"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// A SharedInput is a blob that calls have in common, and its name for guests.
type SharedInput struct {
	Name string
	Blob *blob.Blob
	Tree bool // it is a zip or tar file, to be seen as a folder
}

// SharedInputs are those of a call, or of many. They never change; nil is none.
type SharedInputs struct {
	inputs []SharedInput // by name
	key    string
}

// With returns the inputs with another one, in place of one of the same name.
func (s *SharedInputs) With(in SharedInput) *SharedInputs {
	list := slices.DeleteFunc(slices.Clone(s.List()), func(old SharedInput) bool { return old.Name == in.Name })
	list = append(list, in)
	slices.SortFunc(list, func(a, b SharedInput) int { return strings.Compare(a.Name, b.Name) })
	var key strings.Builder
	for _, in := range list {
		fmt.Fprintf(&key, "%s %t %s\n", in.Blob.Digest(), in.Tree, in.Name)
	}
	return &SharedInputs{list, key.String()}
}

// Over returns the inputs, and those of base that they do not name.
func (s *SharedInputs) Over(base *SharedInputs) *SharedInputs {
	if s == nil || base == nil {
		return cmp.Or(s, base)
	}
	for _, in := range s.inputs {
		base = base.With(in)
	}
	return base
}

// List returns the inputs by their names. It is not to be changed.
func (s *SharedInputs) List() []SharedInput {
	if s == nil {
		return nil
	}
	return s.inputs
}

// Key tells apart what calls see of shared inputs: it has the digest, the form and the name of
// each, so that equal keys are equal inputs, in any job. Without any it is "".
func (s *SharedInputs) Key() string {
	if s == nil {
		return ""
	}
	return s.key
}

// mostSets is how many sets of shared inputs a pool's calls may have.
const mostSets = 1 << 16

// A sharing is what calls have had of shared inputs: what each set's number is, and the blobs. It is safe
// for concurrent use, but for last and number.
type sharing struct {
	mu    sync.Mutex
	sets  map[string]uint32          // numbers, from 1, by key
	blobs map[blob.Digest]*blob.Blob // kept for as long as the pool lasts: workers may ask again

	// Only used by the loop.
	last   *SharedInputs // whose number was asked for last
	number uint32        // of last
}

// Admit makes a set known before calls have it. The error says that the pool's calls have had
// too many.
func (d *Dispatcher) Admit(set *SharedInputs) error { return d.sharing.admit(set) }

func (s *sharing) admit(set *SharedInputs) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.sets[set.key] != 0 {
		return nil
	}
	if len(s.sets) == mostSets {
		return fmt.Errorf("executor: calls of this pool have had %d different sets of shared inputs, which is all that it takes: give what differs from call to call in the argument", mostSets)
	}
	if s.sets == nil {
		s.sets, s.blobs = map[string]uint32{}, map[blob.Digest]*blob.Blob{}
	}
	s.sets[set.key] = uint32(len(s.sets)) + 1
	for _, in := range set.inputs {
		if d := in.Blob.Digest(); s.blobs[d] == nil {
			s.blobs[d] = in.Blob
		}
	}
	return nil
}

// numberOf returns the number of a set that was admitted. Only the loop calls it.
func (s *sharing) numberOf(set *SharedInputs) uint32 {
	if set != s.last {
		s.mu.Lock()
		s.last, s.number = set, s.sets[set.key]
		s.mu.Unlock()
	}
	return s.number
}

// blob returns a blob that calls have; nil for any other.
func (s *sharing) blob(d blob.Digest) *blob.Blob {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.blobs[d]
}

// Blob returns a blob that calls have, for the workers of this process; nil for any other.
func (d *Dispatcher) Blob(digest blob.Digest) *blob.Blob { return d.sharing.blob(digest) }

// announceShared tells w about a set that it has not seen yet, and returns the set's number.
func (o *outbox) announceShared(w *worker, set *SharedInputs) uint32 {
	n := o.sharing.numberOf(set)
	if w.sets.has(n) {
		return n
	}
	w.sets.add(n)
	all := wire.Shared{Set: n}
	for _, in := range set.inputs {
		all.Inputs = append(all.Inputs, wire.SharedInput{Name: in.Name, Digest: in.Blob.Digest().String(), Size: in.Blob.Len(), Tree: in.Tree})
	}
	o.control(w, wire.TypeShared, all)
	return n
}
