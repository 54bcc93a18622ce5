package wire

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
)

// Version is the frame layout's version. Both ends must have the same one.
const Version = 7

// HeaderLen is the length of a frame's header in bytes.
const HeaderLen = 8

// Inline is the longest argument or result, in bytes, that travels inside a
// frame; a longer one goes as a payload.
const Inline = 16 << 10

// MostPiece is how many bytes of a blob are asked for at once.
const MostPiece = 4 << 20

// AskFirst is the length in bytes from which a result's payload begins only when the
// root has said that it takes it.
const AskFirst = 4 << 20

// Type says what a frame carries.
type Type uint8

// The types of frames. Each comment begins with the side that sends it.
const (
	TypeInvalid  Type = iota
	TypeHello         // worker: a [Hello], its first frame
	TypeModule        // root: a [Module] that coming tasks need
	TypeNeed          // worker: a [Need], it wants a module's bytes
	TypeTasks         // root: [Tasks], names for task numbers
	TypeCalls         // root: entries of [Call]
	TypeResults       // worker: entries of [Result]
	TypePull          // worker: entries of [Pull], it wants long arguments
	TypeTakeBack      // root: a [TakeBack], it wants unstarted calls back
	TypeReturned      // worker: tickets of calls it will not run
	TypeLog           // worker: a [LogLine] of a guest
	TypeStop          // root: the pool is shut down
	TypeKill          // root: a [Kill], it wants calls ended
	TypeAsk           // root: it wants a [Status]
	TypeStatus        // worker: a [Status], asked for by an ask
	TypeTake          // root: a [Take], what becomes of a result that it was asked about
	TypeWatch         // root: a [Watch], whether results say more
	TypeShared        // root: a [Shared], inputs that coming calls have in common
	TypeFetch         // worker: a [Fetch], it wants a piece of a blob
	TypeGive          // root: a [Give], what becomes of a piece that it was asked for
	typeEnd
)

var typeNames = [...]string{
	"invalid", "hello", "module", "need", "tasks", "calls",
	"results", "pull", "take-back", "returned", "log", "stop", "kill", "ask", "status", "take", "watch", "shared", "fetch", "give",
}

// String returns the type's name.
func (t Type) String() string {
	if int(t) < len(typeNames) {
		return typeNames[t]
	}
	return fmt.Sprintf("type %d", uint8(t))
}

// ErrVersion is matched by the error for a frame of another version.
var ErrVersion = errors.New("wire: version mismatch")

// Header checks a frame's header and returns its type, its count and its body.
func Header(frame []byte) (typ Type, count int, body []byte, err error) {
	if len(frame) < HeaderLen {
		return 0, 0, nil, fmt.Errorf("wire: a frame of %d bytes is shorter than its header", len(frame))
	}
	if frame[0] != Version {
		return 0, 0, nil, fmt.Errorf("%w: the frame has version %d, this program speaks %d: run the same build on every rank", ErrVersion, frame[0], Version)
	}
	typ = Type(frame[1])
	if typ == TypeInvalid || typ >= typeEnd || frame[2] != 0 || frame[3] != 0 {
		return 0, 0, nil, fmt.Errorf("wire: bad frame header % x", frame[:HeaderLen])
	}
	return typ, int(binary.LittleEndian.Uint32(frame[4:])), frame[HeaderLen:], nil
}

func appendHeader(b []byte, typ Type, count int) []byte {
	b = append(b, Version, byte(typ), 0, 0)
	return binary.LittleEndian.AppendUint32(b, uint32(count))
}

// Bare returns a frame without a body.
func Bare(typ Type) []byte { return appendHeader(nil, typ, 0) }

// Control returns a frame of one of the rare types with v as its JSON body.
func Control(typ Type, v any) ([]byte, error) {
	body, err := json.Marshal(v)
	if err != nil {
		return nil, fmt.Errorf("wire: encoding a %s frame: %w", typ, err)
	}
	return append(appendHeader(nil, typ, len(body)), body...), nil
}

// Decode reads the JSON body of a rare type into v.
func Decode(typ Type, body []byte, v any) error {
	if err := json.Unmarshal(body, v); err != nil {
		return fmt.Errorf("wire: decoding a %s frame: %w", typ, err)
	}
	return nil
}
