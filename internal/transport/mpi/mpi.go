//go:build mpi

package mpi

/*
#cgo pkg-config: ompi
#cgo CFLAGS: -O2
#cgo noescape wp_send
#cgo nocallback wp_send
#cgo noescape wp_poll
#cgo nocallback wp_poll
#cgo nocallback wp_chunk
#include "fabric.h"
*/
import "C"

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unsafe"

	"github.com/emer/empi/v2/mpi"

	"github.com/wasmpool/wasmpool/internal/transport"
)

// Built reports whether this program has MPI.
const Built = true

// startTimeout bounds how long Open waits for the other ranks.
const startTimeout = 60 * time.Second

// An Endpoint is that of a rank among MPI processes.
type Endpoint interface {
	transport.Endpoint

	// LocalWorkers is how many workers share this rank's node.
	LocalWorkers() int

	// Leave makes Close not wait for the other ranks, which then take this one
	// for lost. The process should exit with an error after it.
	Leave()
}

// Version describes the MPI library this program is linked with. It may be
// called at any time.
func Version() string {
	var text [C.MPI_MAX_LIBRARY_VERSION_STRING]byte
	n := C.wp_library((*C.char)(unsafe.Pointer(&text[0])))
	first, _, _ := strings.Cut(string(text[:n]), ",")
	return strings.TrimSpace(first)
}

var opened sync.Once

// kept is the endpoint, which holds the memory that MPI or a lost rank may still
// use, for as long as the process lives.
var kept atomic.Pointer[endpoint]

// Open starts MPI and connects the ranks. All ranks of the launcher must call it,
// with the same members, once in a process's life. It blocks until all have, at
// most a minute or until ctx ends; after such an error the process can only leave.
//
// members are the launcher's ranks that take part, in the order of the ranks that they
// get: the first is the root. None stands for all. A rank that is no member gets an
// endpoint of size 0, which it can only close; that blocks until the members are done.
//
// A peer that is silent for longer than silence though its connection stands is
// lost; with 0 none is.
func Open(ctx context.Context, bell *transport.Bell, members []int, silence time.Duration) (Endpoint, error) {
	err := errors.New("mpi: opened twice; MPI starts once in a process")
	var e *endpoint
	opened.Do(func() { e, err = openOnce(ctx, bell, members, silence) })
	if err != nil {
		return nil, err
	}
	kept.Store(e)
	return e, nil
}

func openOnce(ctx context.Context, bell *transport.Bell, members []int, silence time.Duration) (*endpoint, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, startTimeout,
		fmt.Errorf("not all ranks were there after %v: did one die at the start, or does the launcher belong to another MPI?", startTimeout))
	defer cancel()
	e := &endpoint{bell: bell}
	started := make(chan error, 1)
	go func() { started <- e.start(members) }() // it cannot be interrupted
	select {
	case err := <-started:
		if err != nil {
			return nil, err
		}
	case <-ctx.Done():
		return nil, fmt.Errorf("mpi: starting: %w", context.Cause(ctx))
	}
	return e, e.connect(ctx, silence)
}

// start initializes MPI, makes the communicators and tells all ranks how to
// reach the root. Here, and only here, there are collectives.
func (e *endpoint) start(members []int) error {
	e.yields = prefer()
	mpi.LogErrors = false // empi would write to the global log
	// empi's Init asks for no thread level and its InitThreadSafe demands
	// MULTIPLE; this transport needs SERIALIZED, so it starts MPI itself.
	var code, provided C.int
	if err := check(C.wp_start(&code, &provided), code); err != nil {
		return err
	}
	if provided < C.MPI_THREAD_SERIALIZED {
		return fmt.Errorf("mpi: %s grants thread level %d, MPI_THREAD_SERIALIZED (%d) is needed", Version(), provided, C.MPI_THREAD_SERIALIZED)
	}
	comm, err := mpi.NewComm(nil)
	if err != nil {
		return fmt.Errorf("mpi: %w", err)
	}
	all := comm.Size()
	if err := e.place(members, all); err != nil {
		return err
	}
	e.lost, e.pieces = make([]bool, e.size), make([][]byte, e.size)
	e.loans.with, e.loans.notes = make([]bool, e.size), make([][]byte, e.size)
	if e.rank == 0 {
		e.sent, e.dozing, e.roused = make([]uint32, e.size), make([]bool, e.size), make([]bool, e.size)
	}
	e.result = C.wp_new()
	if all > 1 {
		if err := comm.Barrier(); err != nil {
			return fmt.Errorf("mpi: %w", err)
		}
	}
	if e.size > 1 {
		if err := e.shareAddress(e.local == e.size); err != nil {
			return err
		}
	}
	if e.yields {
		C.wp_yield(0)
	}
	return nil
}

// place finds out where this process stands among the members.
func (e *endpoint) place(members []int, all int) error {
	ranks := make([]C.int, len(members)+1) // so that there is an address
	for i, m := range members {
		if m < 0 || m >= all || slices.Contains(members[:i], m) {
			return fmt.Errorf("mpi: rank %d cannot be a member: it is named twice or is not among the %d that were started", m, all)
		}
		ranks[i] = C.int(m)
	}
	var code C.int
	var at C.wp_place
	call := C.wp_communicators(&code, &ranks[0], C.int(len(members)), &at)
	if err := check(call, code); err != nil {
		return err
	}
	if at.differ != 0 {
		return errors.New("mpi: not all ranks were given the same members: give all of them the same Config, with the same Ranks")
	}
	e.rank, e.size, e.local = int(at.rank), int(at.size), int(at.local)
	e.localWorkers = int(at.local - at.root_is_local)
	return nil
}

// prefer sets what suits this transport in Open MPI, unless the environment
// chooses. See RATIONALE.md, "How does Open MPI move long messages?".
//
// On a node with more ranks than CPUs, a rank that waits must give up the CPU in each
// look that finds nothing while the ranks meet and when they part, or each step of a
// collective lasts until the system takes it. Between the two the poller decides when to.
// prefer reports whether Open MPI can change its mind; if not it gives up nothing.
func prefer() (yields bool) {
	const yieldVar = "OMPI_MCA_mpi_yield_when_idle"
	yields = os.Getenv(yieldVar) == "" && C.wp_yield(-1) != 0
	if yields {
		setDefault(yieldVar, "1")
	}
	setDefault(yieldVar, "0")
	if !canRead() {
		setDefault("OMPI_MCA_btl_vader_single_copy_mechanism", "none")
	}
	return yields
}

func setDefault(name, value string) {
	if os.Getenv(name) == "" {
		os.Setenv(name, value) //nolint:errcheck // Open MPI's own default works, too
	}
}

// shareAddress opens the lifeline's listener on the root and tells every rank
// where it is.
func (e *endpoint) shareAddress(oneNode bool) error {
	var addrs []netip.Addr
	var listenErr error
	if !oneNode {
		said, err := e.gatherNetworks()
		if err != nil {
			return err
		}
		if e.rank == 0 {
			addrs, listenErr = listenAddrs(said)
		}
	}
	var card [1024]byte
	if e.rank == 0 && listenErr == nil {
		var text string
		if e.lifeline, text, listenErr = listen(e.size, addrs, e.bell, e.offerLoans); listenErr == nil {
			copy(card[:], text)
		}
	}
	var code C.int
	call := C.wp_share(&code, unsafe.Pointer(&card[0]), C.int(len(card)))
	if err := errors.Join(listenErr, check(call, code)); err != nil {
		return err
	}
	text, _, _ := bytes.Cut(card[:], []byte{0})
	e.card = string(text)
	if e.card == "" {
		return errors.New("mpi: the root could not open its lifeline")
	}
	return nil
}

// gatherNetworks tells the root what each rank says of its node's networks.
func (e *endpoint) gatherNetworks() ([]byte, error) {
	mine := networks()
	all := make([]byte, networksLen)
	if e.rank == 0 {
		all = make([]byte, e.size*networksLen)
	}
	var code C.int
	call := C.wp_gather(&code, unsafe.Pointer(&mine[0]), C.int(len(mine)), unsafe.Pointer(&all[0]))
	return all, check(call, code)
}

// connect sets up the lifelines.
func (e *endpoint) connect(ctx context.Context, silence time.Duration) (err error) {
	switch {
	case e.size <= 1:
		return nil
	case e.rank == 0:
		err = e.lifeline.accept(ctx)
		copy(e.loans.with, e.lifeline.borrows)
	default:
		e.lifeline, err = dial(ctx, e.card, e.rank, e.bell, e.takesLoans)
	}
	if err != nil {
		return err
	}
	return e.lifeline.startPulse(e.rank, silence)
}

// check turns MPI's error code into an error that names the call.
func check(call *C.char, code C.int) error {
	if code == C.MPI_SUCCESS {
		return nil
	}
	var text [C.MPI_MAX_ERROR_STRING]byte
	n := C.wp_error(code, (*C.char)(unsafe.Pointer(&text[0])))
	return fmt.Errorf("mpi: %s: %s (code %d)", C.GoString(call), text[:n], int(code))
}

// An endpoint implements [Endpoint], and whatever else an endpoint may.
type endpoint struct {
	bell         *transport.Bell
	rank, size   int
	local        int // ranks of this node
	localWorkers int
	card         string    // how to reach the root's lifeline
	lifeline     *lifeline // nil where there is one rank only
	yields       bool      // Open MPI is told when to give up the CPU

	// Only used by the owner.
	result    *C.wp_result
	lost      []bool    // by rank
	untold    []lineEnd // losses that the handler does not know of yet
	pieces    [][]byte  // by rank: the pieces of a frame that is not complete
	anyLost   bool
	awaited   int // polls since a loss was seen that is not taken in
	closed    bool
	received  uint32    // frames and loans
	sent      []uint32  // on the root: the same, by rank
	dozing    []bool    // on the root: by rank
	roused    []bool    // on the root: by rank, rung since it said that it dozes
	looks     bool      // on the root: it said so
	spoke     time.Time // on a worker: when it last sent something
	loans     loans
	transfers []*transfer
	free      []int32 // places in transfers
	spare     []*transfer
	live      int // transfers whose done was not called yet
	finished  []completion
}

var (
	_ transport.Lender   = (*endpoint)(nil)
	_ transport.Borrower = (*endpoint)(nil)
	_ transport.Waker    = (*endpoint)(nil)
	_ transport.Voucher  = (*endpoint)(nil)
)

func (e *endpoint) Rank() int             { return e.rank }
func (e *endpoint) Size() int             { return e.size }
func (e *endpoint) LocalWorkers() int     { return e.localWorkers }
func (e *endpoint) Bell() *transport.Bell { return e.bell }

// Pending does not count what the root has lent: workers move that.
func (e *endpoint) Pending() bool { return e.result.pending > 0 || e.live > len(e.loans.lent) }

// Types in a frame's transport header.
const (
	typeFrame = iota // a frame, or the last piece of one
	typePiece        // a piece of a frame, more follow
	typeLoss         // a rank was lost: nobody can finalize MPI any more
	typeDoze         // a worker is about to sleep; the count is how much it has received
	typeLoans        // loans, or what comes back of them
)

// pieceLen is how much of a frame one message carries, so that every message
// leaves at once and a frame waits for no answer of the receiver.
const pieceLen = transport.EagerFrame + transport.Overhead

// ringAfter is how long a worker must have sent nothing to ring a root on another
// node after a send. A root that waits for something sleeps without looking only after
// twice that silence, and then for a bounded time; so under load no worker rings.
const ringAfter = 10 * time.Millisecond

func (e *endpoint) Send(to int, b []byte) error {
	switch {
	case e.closed:
		return transport.ErrClosed
	case to < 0 || to >= e.size || to == e.rank:
		return fmt.Errorf("mpi: rank %d cannot send to rank %d of %d", e.rank, to, e.size)
	case len(b) == 0 || len(b) > transport.FrameCap+transport.Overhead:
		return fmt.Errorf("mpi: a frame of %d bytes; 1 to %d are allowed", len(b), transport.FrameCap)
	case e.lost[to]:
		return nil
	}
	ring := e.rank == 0 && e.mustRing(to)
	if e.rank == 0 && !e.looks {
		e.looks = true
		e.lifeline.look(true)
	}
	// After a pause ringing and sending both take long, and should at the same time. A
	// worker that finds no frame and sleeps again says so, and is rung again. But one
	// that has to come to this CPU is rung after the frame has left.
	if ring && !e.Beside(to) {
		e.lifeline.ring(to)
		ring = false
	}
	for len(b) > pieceLen {
		C.wp_send(e.result, C.int(to), typePiece, 0, unsafe.Pointer(&b[0]), pieceLen)
		b = b[pieceLen:]
	}
	C.wp_send(e.result, C.int(to), typeFrame, 0, unsafe.Pointer(&b[0]), C.int(len(b)))
	if ring {
		e.lifeline.ring(to)
	}
	e.spoken()
	return e.failure()
}

// spoken rings the root after a message of a worker, unless the root looks anyway.
func (e *endpoint) spoken() {
	if e.rank == 0 {
		return
	}
	if e.lifeline.bells != nil {
		if !e.lifeline.rootLooks() {
			e.lifeline.ring(0)
		}
		return
	}
	now := time.Now()
	if now.Sub(e.spoke) >= ringAfter {
		e.lifeline.ring(0)
	}
	e.spoke = now
}

// mustRing reports whether the root must ring a worker to which it sends, since it
// said that it sleeps.
func (e *endpoint) mustRing(to int) bool {
	e.sent[to]++
	if !e.dozing[to] {
		return false
	}
	e.dozing[to] = false
	roused := e.roused[to]
	e.roused[to] = true
	return !roused
}

// Rouse implements [transport.Waker]. It rings a worker before the frame is made. Should the worker sleep again
// before the frame is there, it says so, as ever.
func (e *endpoint) Rouse(to int) {
	if e.rank == 0 && to > 0 && !e.roused[to] && !e.Beside(to) {
		e.roused[to] = true
		e.lifeline.ring(to)
	}
}

// Beside implements [transport.Waker].
func (e *endpoint) Beside(rank int) bool { return e.lifeline.sees(rank) }

// Vouch implements [transport.Voucher].
func (e *endpoint) Vouch(suspect func() (call uint64, found bool)) {
	switch {
	case e.lifeline == nil:
	case suspect == nil:
		e.lifeline.suspect.Store(nil)
	default:
		e.lifeline.suspect.Store(&suspect)
	}
}

// Doze tells the root, with the number of frames and loans that came, that this worker
// will sleep: so the root knows whether one is still on its way. The root itself
// shows that it does not look; on another node a worker goes by ringAfter.
func (e *endpoint) Doze() {
	switch {
	case e.closed:
	case e.rank == 0:
		e.looks = false
		e.lifeline.look(false)
	case !e.lost[0]:
		e.lifeline.show(e.rank)
		C.wp_send(e.result, 0, typeDoze, C.uint32_t(e.received), nil, 0)
	}
}

// heardDoze notes on the root that a worker sleeps, unless it has not seen yet
// all that was sent to it.
func (e *endpoint) heardDoze(from int, received uint32) {
	if e.sent[from] != received {
		e.lifeline.ring(from)
		return
	}
	e.roused[from] = false
	e.dozing[from] = true
}

// mostAwaited is how many polls that find something a loss waits for: the last frames of the one that is lost may be among it. There
// may be no end of those of others.
const mostAwaited = 64

func (e *endpoint) Poll(h transport.Handler) (int, error) {
	if e.closed {
		return 0, transport.ErrClosed
	}
	if e.size <= 1 {
		return 0, nil
	}
	r := e.result
	e.tellNotes()
	C.wp_poll(r)
	n := 0
	for i := range int(r.frames) {
		n += e.deliver(h, &r.frame[i])
	}
	for i := range int(r.done) {
		e.chunkDone(int32(r.finished[i]), r.bad[i] != 0)
		n++
	}
	n += e.move()
	if len(e.finished) > 0 {
		n += e.complete()
	}
	e.tellNotes()
	if e.lifeline.ended.Load() {
		e.awaited++
	}
	if e.awaited > 0 && (n == 0 || e.awaited > mostAwaited) {
		e.awaited = 0
		for _, end := range e.lifeline.takeEnded() {
			e.lose(end.rank, end.err)
		}
	}
	if len(e.untold) > 0 {
		n += e.tellLost(h)
	}
	return n, e.failure()
}

// deliver hands one frame over, or takes note of a doze.
func (e *endpoint) deliver(h transport.Handler, f *C.wp_frame) int {
	from := int(f.from)
	if e.lost[from] || f.length < C.WP_HEADER {
		return 0
	}
	frame := unsafe.Slice((*byte)(unsafe.Pointer(f.data)), int(f.length))
	header := (*[2]uint32)(unsafe.Pointer(f.data))
	switch header[0] {
	case typeDoze:
		e.heardDoze(from, header[1])
		return 0
	case typeLoss:
		e.anyLost = true
		return 0
	case typeLoans:
		e.received++
		e.heardLoans(from, frame[C.WP_HEADER:])
		return 1
	case typePiece:
		e.pieces[from] = append(e.pieces[from], frame[C.WP_HEADER:]...)
		return 1
	}
	e.received++
	frame = frame[C.WP_HEADER:]
	if len(e.pieces[from]) > 0 {
		frame = append(e.pieces[from], frame...)
		e.pieces[from] = frame[:0]
	}
	h.Frame(from, frame)
	return 1
}

// Fence implements [transport.Endpoint].
func (e *endpoint) Fence(rank int, cause error) {
	if e.closed || rank == e.rank || e.lifeline == nil {
		return
	}
	e.lifeline.hangUp(rank)
	e.lose(rank, cause)
}

// lose takes a rank for lost.
func (e *endpoint) lose(rank int, cause error) {
	if e.lost[rank] {
		return
	}
	e.lost[rank], e.anyLost = true, true
	e.untold = append(e.untold, lineEnd{rank, cause})
	C.wp_forget(C.int(rank))
	e.tellLoss()
	e.orphan(rank, cause)
	e.endStanding(rank)
}

// tellLost tells of the ranks that were lost.
func (e *endpoint) tellLost(h transport.Handler) int {
	list := e.untold
	e.untold = nil
	for _, l := range list {
		h.Lost(l.rank, l.err)
	}
	return len(list) + e.complete()
}

// tellLoss makes the root tell the workers that one of them is lost.
func (e *endpoint) tellLoss() {
	if e.rank != 0 {
		return
	}
	for rank := 1; rank < e.size; rank++ {
		if !e.lost[rank] {
			C.wp_send(e.result, C.int(rank), typeLoss, 0, nil, 0)
		}
	}
}

// failure returns the first error of MPI since the last call.
func (e *endpoint) failure() error {
	code := e.result.code
	if code == C.MPI_SUCCESS {
		return nil
	}
	e.result.code = C.MPI_SUCCESS
	return check(e.result.call, code)
}

func (e *endpoint) Leave() { e.anyLost = true }

func (e *endpoint) Close() error {
	if e.closed {
		return nil
	}
	e.closed = true
	e.orphan(-1, transport.ErrClosed)
	e.endStanding(0)
	e.complete()
	if e.lifeline != nil {
		defer e.lifeline.close()
	}
	e.ringAll()
	if !e.anyLost {
		e.finalize()
		return nil
	}
	// MPI_Finalize would wait for ever for a rank that is lost. It would also
	// have sent what MPI still keeps for the others.
	for end := time.Now().Add(linger); time.Now().Before(end); {
		C.wp_poll(e.result)
		time.Sleep(time.Millisecond)
	}
	return nil
}

// ringAll wakes the workers for what the root has sent last: it does not hear any more
// that one sleeps.
func (e *endpoint) ringAll() {
	for rank := 1; rank < e.size && e.rank == 0; rank++ {
		e.lifeline.ring(rank)
	}
}

// finalize ends MPI. It gives up when a rank dies in the middle of it, for which
// MPI would wait for ever: the process ends without it. A rank that is no member
// does not give up: it waits as long as the members work, and the launcher would end
// them if it left.
func (e *endpoint) finalize() {
	done := make(chan struct{})
	if e.yields {
		C.wp_yield(1)
	}
	go func() {
		defer close(done)
		if e.size > 0 {
			C.wp_drain(e.result)
		}
		mpi.Finalize()
	}()
	if e.size == 0 {
		<-done
		return
	}
	patience := time.NewTimer(finalizeTimeout)
	defer patience.Stop()
	look := time.NewTicker(10 * time.Millisecond)
	defer look.Stop()
	for ended, looks := false, 0; ; {
		select {
		case <-done:
			return
		case <-patience.C:
			return
		case <-look.C:
			if looks++; looks&(looks-1) == 0 {
				e.ringAll() // a ring between nodes may be faster than what it is for
			}
			if !ended && e.lifeline != nil && e.lifeline.ended.Load() {
				ended = true // a rank was through, or died
				patience.Reset(finalizeAfterEnd)
			}
		}
	}
}

// finalizeTimeout bounds MPI_Finalize, and finalizeAfterEnd what is left of it
// after the first rank has gone. Tests shorten the first.
var finalizeTimeout = time.Minute

const finalizeAfterEnd = 3 * time.Second

// linger is how long a rank makes progress before it leaves without
// MPI_Finalize.
const linger = 50 * time.Millisecond
