package worker

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/blob"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// mostLoaded is how many sets of shared inputs are kept ready that no call uses at the moment.
const mostLoaded = 64

// sharedInputs are those that the root announced. It is safe for concurrent use.
type sharedInputs struct {
	s *server

	mu    sync.Mutex
	sets  []*sharedSet // by number, which counts from 1
	blobs map[blob.Digest]*sharedBlob
	clock uint64 // counts uses of sets
}

// A sharedSet is the shared inputs of calls. All but its number and inputs is guarded by
// sharedInputs.mu.
type sharedSet struct {
	inputs []wire.SharedInput
	load   *sharedLoad // nil while it is not ready, nor about to be
	calls  int         // that use it, or wait for it
	used   uint64      // when it was used last
}

// A sharedLoad makes a set ready, once. shared, blobs and err are set when ready is closed.
type sharedLoad struct {
	ready  chan struct{}
	shared []host.Shared
	blobs  []*sharedBlob
	err    error
}

// isReady reports whether the set is ready, or could not be made so.
func (l *sharedLoad) isReady() bool {
	select {
	case <-l.ready:
		return true
	default:
		return false
	}
}

// A sharedBlob is a blob of one or more sets. blob and err are set when ready is closed.
type sharedBlob struct {
	digest blob.Digest
	sets   int // that use it; guarded by sharedInputs.mu
	ready  chan struct{}
	blob   *blob.Blob
	own    bool // it is to be closed
	err    error
}

// handleShared takes in a set of shared inputs, and begins to make it ready. io is held.
func (s *server) handleShared(body []byte) error {
	var all wire.Shared
	if err := wire.Decode(wire.TypeShared, body, &all); err != nil {
		return err
	}
	in := &s.shared
	in.mu.Lock()
	defer in.mu.Unlock()
	if all.Set == 0 || all.Set > wire.MaxTask || in.find(all.Set) != nil {
		return fmt.Errorf("the shared inputs %d are announced twice or have a bad number", all.Set)
	}
	for _, one := range all.Inputs {
		if _, err := blob.ParseDigest(one.Digest); err != nil || one.Size < 0 {
			return fmt.Errorf("the shared input %s has a bad size, or digest", one.Name)
		}
	}
	for int(all.Set) > len(in.sets) {
		in.sets = append(in.sets, nil)
	}
	set := &sharedSet{inputs: all.Inputs}
	in.sets[all.Set-1] = set
	in.begin(set)
	return nil
}

// set returns the set with that number, nil for none, or for one that was not announced.
func (in *sharedInputs) set(number uint32) *sharedSet {
	in.mu.Lock()
	defer in.mu.Unlock()
	return in.find(number)
}

// find is set with mu held.
func (in *sharedInputs) find(number uint32) *sharedSet {
	if number == 0 || int(number) > len(in.sets) {
		return nil
	}
	return in.sets[number-1]
}

// acquire keeps a set for a call, until release. What it returns may not be ready yet.
func (in *sharedInputs) acquire(set *sharedSet) *sharedLoad {
	in.mu.Lock()
	defer in.mu.Unlock()
	set.calls++
	in.clock++
	set.used = in.clock
	return in.begin(set)
}

// begin makes a set ready, unless it is, or is about to be: one that failed is tried again. mu
// is held.
func (in *sharedInputs) begin(set *sharedSet) *sharedLoad {
	if l := set.load; l != nil && (!l.isReady() || l.err == nil) {
		return l
	}
	l := &sharedLoad{ready: make(chan struct{})}
	set.load = l
	in.s.loads.Go(func() {
		defer close(l.ready)
		if l.err = in.open(l, set.inputs); l.err != nil {
			in.let(l)
		}
		in.trim()
	})
	return l
}

// release ends acquire.
func (in *sharedInputs) release(set *sharedSet) {
	in.mu.Lock()
	defer in.mu.Unlock()
	set.calls--
}

// open opens the blobs of a set, one after the other.
func (in *sharedInputs) open(l *sharedLoad, inputs []wire.SharedInput) error {
	for _, one := range inputs {
		digest, err := blob.ParseDigest(one.Digest)
		if err != nil {
			return err
		}
		b := in.blob(digest, one.Size)
		l.blobs = append(l.blobs, b)
		<-b.ready // whoever opens it ends with the server
		if b.err != nil {
			return fmt.Errorf("the shared input %s: %w", one.Name, b.err)
		}
		shared := host.Shared{Name: one.Name, Digest: digest, Len: one.Size, Data: b.blob}
		if one.Tree {
			if shared.Tree, err = host.OpenTree(b.blob, one.Size); err != nil {
				return fmt.Errorf("the shared input %s: %w", one.Name, err)
			}
		}
		l.shared = append(l.shared, shared)
	}
	return nil
}

// blob returns a blob that one more set uses. Whoever asks first opens it, for all.
func (in *sharedInputs) blob(digest blob.Digest, size int64) *sharedBlob {
	in.mu.Lock()
	b := in.blobs[digest]
	if b != nil {
		b.sets++
		in.mu.Unlock()
		return b
	}
	b = &sharedBlob{digest: digest, sets: 1, ready: make(chan struct{})}
	if in.blobs == nil {
		in.blobs = map[blob.Digest]*sharedBlob{}
	}
	in.blobs[digest] = b
	in.mu.Unlock()
	defer close(b.ready)
	if local := in.s.cfg.Local; local != nil {
		if b.blob = local(digest); b.blob != nil {
			return b
		}
	}
	b.own = true
	b.blob, b.err = in.s.cfg.Blobs.Open(in.s.ctx, digest, size, func(ctx context.Context, to io.Writer) error {
		return in.s.fetchBlob(ctx, digest, size, to)
	})
	return b
}

// let gives up what a set has of blobs, and closes those that no other set uses.
func (in *sharedInputs) let(l *sharedLoad) {
	in.mu.Lock()
	defer in.mu.Unlock()
	in.drop(l)
}

// drop is let with mu held.
func (in *sharedInputs) drop(l *sharedLoad) {
	for _, b := range l.blobs {
		if b.sets--; b.sets > 0 {
			continue
		}
		delete(in.blobs, b.digest)
		if b.own && b.blob != nil {
			b.blob.Close()
		}
	}
	l.blobs, l.shared = nil, nil
}

// trim lets go of the sets that were not used for longest, when many are ready. One that is needed
// again is opened again.
func (in *sharedInputs) trim() {
	in.mu.Lock()
	defer in.mu.Unlock()
	for {
		var oldest *sharedSet
		n := 0
		for _, set := range in.sets {
			if set == nil || set.load == nil || set.calls > 0 || !set.load.isReady() || set.load.err != nil {
				continue
			}
			if n++; oldest == nil || set.used < oldest.used {
				oldest = set
			}
		}
		if n <= mostLoaded {
			return
		}
		in.drop(oldest.load)
		oldest.load = nil
	}
}

// close lets go of all blobs, when nothing runs any more.
func (in *sharedInputs) close() {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, set := range in.sets {
		if set != nil && set.load != nil {
			in.drop(set.load)
			set.load = nil
		}
	}
}

// loading returns the names of the shared inputs that are about to be ready.
func (in *sharedInputs) loading() (names []string) {
	in.mu.Lock()
	defer in.mu.Unlock()
	for _, set := range in.sets {
		if set == nil || set.load == nil || set.load.isReady() {
			continue
		}
		for _, one := range set.inputs {
			names = append(names, one.Name)
		}
	}
	return names
}

// piecesAhead is how many pieces of a blob are asked for at once: while one is written another
// one comes.
const piecesAhead = 2

// A pieceWanted is a piece of a blob that the root was asked for.
type pieceWanted struct {
	buf  []byte
	done chan error // gets one error, or nil when the piece is here
}

// fetchBlob writes a blob that the root has.
func (s *server) fetchBlob(ctx context.Context, digest blob.Digest, size int64, to io.Writer) error {
	var wanted []*pieceWanted
	var free [][]byte
	for asked := int64(0); asked < size || len(wanted) > 0; {
		for asked < size && len(wanted) < piecesAhead {
			n := min(size-asked, wire.MostPiece)
			var buf []byte
			if len(free) > 0 {
				buf, free = free[len(free)-1], free[:len(free)-1]
			} else {
				buf = make([]byte, n)
			}
			p := &pieceWanted{buf: buf[:n], done: make(chan error, 1)}
			if err := s.askPiece(p, wire.Fetch{Digest: digest.String(), Offset: asked, Len: n}); err != nil {
				return err
			}
			wanted = append(wanted, p)
			asked += n
		}
		p := wanted[0]
		wanted = wanted[1:]
		select {
		case err := <-p.done:
			if err != nil {
				return err
			}
		case <-ctx.Done():
			return context.Cause(ctx) // what still comes goes to buffers that nobody uses
		}
		if _, err := to.Write(p.buf); err != nil {
			return err
		}
		free = append(free, p.buf)
	}
	return nil
}

// askPiece asks the root for a piece of a blob.
func (s *server) askPiece(p *pieceWanted, want wire.Fetch) error {
	s.io.Lock()
	defer s.io.Unlock()
	if err := s.ctx.Err(); err != nil { // the endpoint is not the server's any more
		return err
	}
	id, ok := s.takePayload()
	if !ok {
		return errTooManyPayloads
	}
	if s.pieces == nil {
		s.pieces = map[uint32]*pieceWanted{}
	}
	want.Payload = id
	s.pieces[id] = p
	s.send(wire.TypeFetch, want)
	s.wakeSleeper()
	return nil
}

// handleGive receives a piece of a blob, or takes in why it does not come. io is held.
func (s *server) handleGive(body []byte) error {
	var give wire.Give
	if err := wire.Decode(wire.TypeGive, body, &give); err != nil {
		return err
	}
	id := give.Payload
	p := s.pieces[id]
	if p == nil {
		return fmt.Errorf("payload %d, which was not asked for", id)
	}
	delete(s.pieces, id)
	end := func(err error) {
		s.payloads = append(s.payloads, id)
		p.done <- err
	}
	if give.Refused != "" {
		end(errors.New("the root cannot read it: " + give.Refused))
		return nil
	}
	s.ep.RecvPayload(0, id, p.buf, end)
	return nil
}
