// Package abi holds the numbers and names that a guest module and the host
// agree on: ABI version 1. It is imported by sdk (inside the guest) and by
// wasmtasks and host (outside it), and depends on nothing.
package abi

// Module is the import module a guest names. The name is the ABI's version.
const Module = "wasmpool"

// The imports a host offers in [Module]. A guest imports only what it uses.
// Pointers are offsets in the guest's own memory; one outside it is a trap.
const (
	InputLen    = "input_len"    // () -> i32: bytes in the call's argument
	InputRead   = "input_read"   // (dst, off, n i32) -> i32: copies argument bytes [off, off+n) to dst, returns how many
	OutputWrite = "output_write" // (src, n i32): appends to the result
	ErrorWrite  = "error_write"  // (src, n i32): appends to the error message
	Log         = "log"          // (level, src, n i32): one log line
	CallMeta    = "call_meta"    // (key i32) -> i64: a number about the call, see Meta*
	DoorOpen    = "door_open"    // (ptr, n i32): registers the door, see Door*
	SeedOpen    = "seed_open"    // (ptr i32): registers the seed block, see Seed*

	// Of inputs that calls have besides their arguments, each by a name of some bytes. The
	// answer about one that the call does not have is -1.
	SharedLen    = "shared_len"    // (name, len i32) -> i64: its bytes
	SharedRead   = "shared_read"   // (name, len, dst i32, off i64, n i32) -> i32: copies bytes [off, off+n) to dst, returns how many
	SharedDigest = "shared_digest" // (name, len, dst i32) -> i32: writes its SHA-256, DigestSize bytes, and returns their number
)

// DigestSize is how many bytes shared_digest writes.
const DigestSize = 32

// Keys of call_meta. An unknown key answers -1.
const (
	MetaCall    = 0 // the call's number, unique in the pool, from 1
	MetaAttempt = 1 // 1 for the first run of the call
	MetaRank    = 2 // the rank of the worker
	MetaRun     = 3 // another number for each call of an instance; where it is reset, each call is its first
	MetaSeed    = 4 // to 7: the SHA-256 of the argument, 8 bytes each, little-endian
)

// Status is what a task's export returns.
const (
	StatusOK       = 0
	StatusError    = 1 // the task failed
	StatusPanic    = 2 // the guest caught a panic; the instance stays usable. The text is the message, an empty line, and the stack
	StatusBadInput = 3 // the argument is wrong: do not retry
	StatusReserved = 4 // 4..63 are reserved
	StatusUser     = 64
)

// Levels of log, the values of log/slog.
const (
	LevelDebug = -4
	LevelInfo  = 0
	LevelWarn  = 4
	LevelError = 8
)

// The door is a block of guest memory, registered once per instance with
// door_open, through which a small call crosses no import. All fields are
// little-endian u32 at these offsets.
//
// Before a call the host writes DoorArgLen and, when the argument fits into
// [DoorHeader, n), the argument; otherwise DoorArgLen is [DoorTooBig] and the
// guest reads the argument with input_len and input_read. The host also sets
// DoorResLen to [DoorNone].
//
// Before it returns, a guest may set DoorResPtr and DoorResLen to a result
// anywhere in its memory, which must stay unchanged until its next call; the
// host reads it after the return. With DoorResLen still [DoorNone] the result
// is what output_write appended.
const (
	DoorArgLen = 0
	DoorResPtr = 4
	DoorResLen = 8
	DoorHeader = 16

	DoorTooBig = 0xFFFFFFFF
	DoorNone   = 0xFFFFFFFF

	// DoorMin is the smallest door a host accepts.
	DoorMin = DoorHeader + 16
)

// The seed block is SeedBlock bytes of guest memory, registered once per instance with
// seed_open, that holds the state of a random number generator. Before each call the
// host puts it back to what it held when it was registered, but for its first
// SeedSize bytes: they become a seed that is made from the module, the task and the
// argument. So a generator that its language's runtime seeds once, when the instance
// starts, is seeded by each call. In a Go module without package math/rand the seed is
// put back, too: there nothing shows it, but the order in which maps are walked.
const (
	SeedSize  = 32
	SeedBlock = 56
)

// SectionTasks is the custom section that describes tasks: a JSON array of
// [TaskDoc]. The export section is the truth about which tasks exist. An entry
// named [Start] describes a WASI command.
const SectionTasks = "wasmpool.tasks"

// SectionCommand is the custom section of a WASI command that brings its command line along: a JSON object with "args", an array of
// texts, and "keep": see package wasmtasks.
const SectionCommand = "wasmpool.command"

// TaskDoc is one entry of [SectionTasks].
type TaskDoc struct {
	Name string `json:"name"`          // the export's name
	Doc  string `json:"doc,omitempty"` // one line
	In   string `json:"in,omitempty"`  // the argument's type, as the author wrote it
	Out  string `json:"out,omitempty"` // the result's type
}

// Exports with these prefixes, and the names below, are never tasks.
const (
	ReservedPrefix = "wasmpool_" // and every name that starts with "_"
	Initialize     = "_initialize"
	Start          = "_start"
	Memory         = "memory"
)
