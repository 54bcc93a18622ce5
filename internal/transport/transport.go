package transport

import "errors"

// A StandstillError is why a rank is lost that said itself that it stands still: one of
// its guests neither ends nor lets Go stop it.
type StandstillError struct {
	Call uint64 // the number of the guest's call; 0 when it is not known
}

// Error says so.
func (*StandstillError) Error() string {
	return "it stands still: a guest does not let it go on"
}

// ErrClosed is returned by an endpoint that was closed.
var ErrClosed = errors.New("transport: endpoint closed")

// FrameCap is the largest frame in bytes that Send takes. Longer data travels
// as a payload.
const FrameCap = 64 << 10

// EagerFrame is the length in bytes up to which a frame leaves at once. Open
// MPI sends 4 KiB through shared memory with its own header; a longer message
// waits for the receiver to ask for it.
const EagerFrame = 3880

// Overhead is how many bytes all wrappers of an endpoint together may add to a frame:
// the Send of a fabric takes that much more than FrameCap.
const Overhead = 16

// A Handler receives what [Endpoint.Poll] finds. Its methods run on the
// goroutine that polls and must not call Poll.
type Handler interface {
	// Frame delivers one frame. The bytes are valid only during the call.
	// Frames of one sender arrive in the order in which they were sent.
	Frame(from int, frame []byte)

	// Lost reports that a rank is gone: its process died or its link was cut.
	// It is called once per rank; nothing of that rank is delivered after it.
	Lost(rank int, err error)
}

// An Endpoint is one rank's connection to the others. Frames go between the root (rank 0)
// and the others only; two workers never talk.
//
// One goroutine at a time owns an endpoint: it alone calls the methods. Only the Ring of
// its Bell may be called from elsewhere. No method waits for a peer.
type Endpoint interface {
	// Rank is this endpoint's number, 0 <= Rank < Size.
	Rank() int

	// Size is the number of ranks, at least 1.
	Size() int

	// Send starts sending a frame of 1 to FrameCap bytes (a fabric takes Overhead more) and
	// returns at once.
	// The frame is copied: the caller may reuse it. Sending to a lost rank is
	// not an error; the frame is dropped.
	Send(to int, frame []byte) error

	// SendPayload starts sending data of any length, 0 and more than 2 GiB
	// included, without copying it first: the caller must leave data alone
	// until done is called (from Poll, exactly once; with an error when the
	// peer is lost or the endpoint closes). The receiver must ask for the same
	// id with RecvPayload. No two payloads in flight between two ranks, in one
	// direction, may have the same id; ids are below MaxPayloads.
	SendPayload(to int, id uint32, data []byte, done func(error))

	// RecvPayload receives the payload with that id and exactly len(data)
	// bytes into data, which may lie in guest memory (outside the Go heap).
	// done is called as for SendPayload.
	RecvPayload(from int, id uint32, data []byte, done func(error))

	// Poll makes progress and delivers what has arrived to h. It returns how
	// many things it delivered or completed; 0 means there was nothing to do.
	// An error means the endpoint is broken as a whole.
	Poll(h Handler) (int, error)

	// Pending reports whether sends or payloads are still under way, which
	// progress only while somebody polls.
	Pending() bool

	// Fence takes a rank for lost, for the given reason: nothing is sent to it any
	// more, nothing of it is delivered, and the next Poll reports it to Lost. The
	// rank in turn loses this one. Fencing a lost rank does nothing.
	Fence(rank int, cause error)

	// Doze announces that the owner is about to wait on Bell: from now on
	// what arrives rings it. The owner must Poll once more after Doze before
	// it waits, and need not say when it is awake again.
	Doze()

	// Bell is what the endpoint rings. It is the one given at construction.
	Bell() *Bell

	// Close ends the endpoint. Payloads still under way fail with ErrClosed.
	// On MPI it finalizes MPI when no rank was lost: all ranks must call it.
	// Closing twice is fine.
	Close() error
}

// MaxPayloads bounds the payload ids of SendPayload.
const MaxPayloads = 1 << 13
