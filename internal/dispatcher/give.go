package dispatcher

import (
	"fmt"

	"github.com/wasmpool/wasmpool/internal/blob"
	"github.com/wasmpool/wasmpool/internal/wire"
)

const (
	// mostGiven is how many pieces of blobs are on their way to workers at once. Each
	// worker asks for two at a time, so some four are served together, however many ask.
	mostGiven = 8

	// mostRead is how many pieces are read from files at once, and mostOfBlob how many of one blob: a disk that hangs is not to
	// hold up what lies on others.
	mostRead   = 32
	mostOfBlob = 4

	// mostWanted is how many pieces a worker may ask for at once.
	mostWanted = 1 << 10
)

// A giver sends pieces of blobs to the workers that ask for them: a bounded number at once,
// and first those of the transfer that began first, so that many nodes that ask at the same
// time get their blobs one after the other and not all at the end. It belongs to the loop.
type giver struct {
	loop    *Loop
	waiting []*piece                 // that were asked for
	given   int                      // that are on their way
	reading map[blob.Digest]int      // how many are read from a file, by its blob
	reads   int                      // how many in all
	clock   uint64                   // counts transfers
	sent    uint64                   // bytes that have left
	told    map[blob.Digest]struct{} // blobs of which the log has that they cannot be read
}

// A piece is bytes of a blob that a worker wants.
type piece struct {
	fabric   *fabric
	worker   *worker
	blob     *blob.Blob
	at, n    int64
	payload  uint32
	transfer uint64 // when the worker's transfer of the blob began
}

// handleFetch takes in that a worker wants a piece of a blob.
func (f *fabric) handleFetch(w *worker, body []byte) error {
	var want wire.Fetch
	if err := wire.Decode(wire.TypeFetch, body, &want); err != nil {
		return err
	}
	digest, err := blob.ParseDigest(want.Digest)
	if err != nil {
		return err
	}
	b := f.loop.sharing.blob(digest)
	switch {
	case b == nil:
		return fmt.Errorf("it wants the blob %.12s, which was not offered", want.Digest)
	case want.Len < 1 || want.Len > wire.MostPiece || want.Offset < 0 || want.Offset > b.Len()-want.Len:
		return fmt.Errorf("it wants %d bytes at %d of a blob of %d", want.Len, want.Offset, b.Len())
	case w.wanted >= mostWanted:
		return fmt.Errorf("it wants %d pieces of blobs at once", w.wanted)
	}
	if err := checkPayload(want.Payload); err != nil {
		return err
	}
	w.wanted++
	f.loop.giver.add(&piece{fabric: f, worker: w, blob: b, at: want.Offset, n: want.Len, payload: want.Payload})
	return nil
}

// add queues a piece.
func (g *giver) add(p *piece) {
	digest := p.blob.Digest()
	if p.worker.transfers == nil {
		p.worker.transfers = map[blob.Digest]uint64{}
	}
	if p.at == 0 || p.worker.transfers[digest] == 0 {
		g.clock++
		p.worker.transfers[digest] = g.clock
	}
	p.transfer = p.worker.transfers[digest]
	if p.at+p.n == p.blob.Len() {
		delete(p.worker.transfers, digest)
	}
	g.waiting = append(g.waiting, p)
	g.next()
}

// next begins with the pieces whose turn it is.
func (g *giver) next() {
	for g.given < mostGiven {
		p := g.take()
		if p == nil {
			return
		}
		g.begin(p)
	}
}

// mayRead reports whether a piece can be begun with, as far as that is read from a file.
func (g *giver) mayRead(p *piece) bool {
	return p.blob.Bytes() != nil || g.reads < mostRead && g.reading[p.blob.Digest()] < mostOfBlob
}

// read counts pieces that are read from a blob's file.
func (g *giver) read(b *blob.Blob, n int) {
	if g.reading == nil {
		g.reading = map[blob.Digest]int{}
	}
	g.reads += n
	if g.reading[b.Digest()] += n; g.reading[b.Digest()] == 0 {
		delete(g.reading, b.Digest())
	}
}

// take returns the piece of the oldest transfer, and drops those of workers that are lost.
func (g *giver) take() *piece {
	var first *piece
	left := g.waiting[:0]
	for _, p := range g.waiting {
		switch {
		case p.worker.lost:
		case !g.mayRead(p):
			left = append(left, p)
		case first == nil:
			first = p
		case p.transfer < first.transfer:
			left = append(left, first)
			first = p
		default:
			left = append(left, p)
		}
	}
	clear(g.waiting[len(left):])
	g.waiting = left
	return first
}

// begin sends a piece: at once where the blob is in memory, and otherwise when a goroutine has
// read it, since the loop waits for no disk.
func (g *giver) begin(p *piece) {
	if data := p.blob.Bytes(); data != nil {
		g.given++
		g.give(p, data[p.at:][:p.n], nil)
		return
	}
	g.read(p.blob, 1)
	in := g.loop.in
	go func() { // ends when it has read, and is not waited for: a file may hang
		data := make([]byte, p.n)
		n, err := p.blob.ReadAt(data, p.at)
		if n == len(data) {
			err = nil // the end of the blob may be told with its last bytes
		}
		in.request(func(l *Loop) {
			l.giver.read(p.blob, -1)
			l.giver.given++
			l.giver.give(p, data, err)
		})
	}()
}

// tell logs that a blob cannot be read, once: each call that would have it fails, and says so.
func (g *giver) tell(p *piece, err error) {
	digest := p.blob.Digest()
	if _, told := g.told[digest]; told {
		return
	}
	if g.told == nil {
		g.told = map[blob.Digest]struct{}{}
	}
	g.told[digest] = struct{}{}
	g.loop.log.Error("a shared input cannot be read: calls that would have it fail, which is not logged again", "rank", p.worker.rank, "blob", digest.String()[:12], "error", err)
}

// give sends a piece that is here, or says why it does not come.
func (g *giver) give(p *piece, data []byte, err error) {
	w := p.worker
	w.wanted--
	answer := wire.Give{Payload: p.payload}
	if err != nil {
		answer.Refused = wire.Shortened(err.Error(), wire.MaxReason)
		g.tell(p, err)
	}
	g.loop.out.control(w, wire.TypeGive, answer)
	if err != nil || w.lost {
		g.given--
		g.next()
		return
	}
	p.fabric.ep.SendPayload(w.peer, p.payload, data, func(err error) {
		g.given--
		if err == nil {
			g.sent += uint64(p.n)
		}
		w.sent(err)
		g.next()
	})
}
