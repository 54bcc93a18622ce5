package wire

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
)

// Version is the frame layout's version. Both ends must have the same one.
const Version = 4

// HeaderLen is the length of a frame's header in bytes.
const HeaderLen = 8

// Inline is the longest argument or result, in bytes, that travels inside a
// frame; a longer one goes as a payload.
const Inline = 16 << 10

// AskFirst is the length in bytes from which a result's payload begins only when the
// root has said that it takes it.
const AskFirst = 4 << 20

// Kind says what a frame carries.
type Kind uint8

// The kinds of frames. Each comment begins with the side that sends it.
const (
	KindInvalid  Kind = iota
	KindHello         // worker: a [Hello], its first frame
	KindModule        // root: a [Module] that coming tasks need
	KindNeed          // worker: a [Need], it wants a module's bytes
	KindTasks         // root: [Tasks], names for task numbers
	KindCalls         // root: entries of [Call]
	KindResults       // worker: entries of [Result]
	KindPull          // worker: entries of [Pull], it wants long arguments
	KindTakeBack      // root: a [TakeBack], it wants unstarted calls back
	KindReturned      // worker: tickets of calls it will not run
	KindLog           // worker: a [LogLine] of a guest
	KindStop          // root: the pool is shut down
	KindKill          // root: a [Kill], it wants calls ended
	KindAsk           // root: it wants a [Status]
	KindStatus        // worker: a [Status], asked for by an ask
	KindTake          // root: a [Take], what becomes of a result that it was asked about
	kindEnd
)

var kindNames = [...]string{
	"invalid", "hello", "module", "need", "tasks", "calls",
	"results", "pull", "take-back", "returned", "log", "stop", "kill", "ask", "status", "take",
}

// String returns the kind's name.
func (k Kind) String() string {
	if int(k) < len(kindNames) {
		return kindNames[k]
	}
	return fmt.Sprintf("kind %d", uint8(k))
}

// ErrVersion is matched by the error for a frame of another version.
var ErrVersion = errors.New("wire: version mismatch")

// Header checks a frame's header and returns its kind, its count and its body.
func Header(frame []byte) (kind Kind, count int, body []byte, err error) {
	if len(frame) < HeaderLen {
		return 0, 0, nil, fmt.Errorf("wire: a frame of %d bytes is shorter than its header", len(frame))
	}
	if frame[0] != Version {
		return 0, 0, nil, fmt.Errorf("%w: the frame has version %d, this program speaks %d: run the same build on every rank", ErrVersion, frame[0], Version)
	}
	kind = Kind(frame[1])
	if kind == KindInvalid || kind >= kindEnd || frame[2] != 0 || frame[3] != 0 {
		return 0, 0, nil, fmt.Errorf("wire: bad frame header % x", frame[:HeaderLen])
	}
	return kind, int(binary.LittleEndian.Uint32(frame[4:])), frame[HeaderLen:], nil
}

func appendHeader(b []byte, kind Kind, count int) []byte {
	b = append(b, Version, byte(kind), 0, 0)
	return binary.LittleEndian.AppendUint32(b, uint32(count))
}

// Bare returns a frame without a body.
func Bare(kind Kind) []byte { return appendHeader(nil, kind, 0) }

// Control returns a frame of one of the rare kinds with v as its JSON body.
func Control(kind Kind, v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("wire: encoding a %s frame: %w", kind, err)
	}
	return append(appendHeader(nil, kind, len(body)), body...), nil
}

// Decode reads the JSON body of a rare kind into v.
func Decode(kind Kind, body []byte, v any) error {
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("wire: decoding a %s frame: %w", kind, err)
	}
	return nil
}
