package wire

import (
	"fmt"
	"unicode/utf8"
)

// Hello is a worker's first frame.
type Hello struct {
	Host  string `json:"host"`
	PID   int    `json:"pid"`
	Slots int    `json:"slots"`

	// LaunchRank is the rank that the launcher gave the process; 0 without a launcher.
	LaunchRank int `json:"launch_rank,omitempty"`

	// Agreed has a digest of each setting that must be the root's, too, by its name.
	Agreed map[string]string `json:"agreed,omitempty"`
}

// Module offers a module. A worker that has no module with the digest asks
// for its bytes with [Need].
type Module struct {
	Index  uint32 `json:"index"` // the pool's number for the module
	Name   string `json:"name"`
	Digest string `json:"digest"` // SHA-256, hex
	Size   int64  `json:"size"`   // bytes
}

// Need asks for a module's bytes as the payload with that id.
type Need struct {
	Index   uint32 `json:"index"`
	Payload uint32 `json:"payload"`
}

// Tasks names task numbers, which are the pool's.
type Tasks struct {
	Tasks []Task `json:"tasks"`
}

// Task is one task of a module that was offered before.
type Task struct {
	Task   uint32 `json:"task"`
	Module uint32 `json:"module"` // its Index
	Export string `json:"export"`
}

// TakeBack asks a worker to return up to Max calls it has not started.
type TakeBack struct {
	Max int `json:"max"`
}

// Kill asks a worker to end calls, whether they run or wait. It answers each with
// a failed result of that kind, unless the call has ended meanwhile.
type Kill struct {
	Calls  []uint64 `json:"calls"` // numbers, up to [MaxKill]
	Kind   uint8    `json:"kind"`  // host.Kind
	Reason string   `json:"reason"`
}

// MaxKill is how many calls one kill frame names, and MaxReason how long its
// reason is.
const (
	MaxKill   = 512
	MaxReason = 1 << 10
)

// Shortened returns s, or, where that has more than most bytes, its first characters, and how much is missing: some
// bytes more than most together.
func Shortened(s string, most int) string {
	if len(s) <= most {
		return s
	}
	for most > 0 && !utf8.RuneStart(s[most]) {
		most--
	}
	return fmt.Sprintf("%s… (%d bytes more)", s[:most], len(s)-most)
}

// LogLine is one log line of a guest.
type LogLine struct {
	Number uint64 `json:"number"` // the call's
	Ticket uint32 `json:"ticket"` // of the call
	Task   uint32 `json:"task"`
	Level  int    `json:"level"` // as log/slog counts
	Text   string `json:"text"`
}

// Failure is the body of a failed [Result].
type Failure struct {
	Kind    uint8  `json:"kind"` // host.Kind
	Code    int    `json:"code,omitempty"`
	Message string `json:"message"`
	Stack   string `json:"stack,omitempty"`
	Stderr  string `json:"stderr,omitempty"`
	NoStart bool   `json:"no_start,omitempty"` // no instance of the module could be made

	Log   []string `json:"log,omitempty"` // the last lines of the call's log
	Usage *Usage   `json:"usage,omitempty"`
}

// Take says what becomes of a result of [AskFirst] bytes or more: the root takes the
// payload, or refuses it.
type Take struct {
	Payload uint32 `json:"payload"`
	Refused bool   `json:"refused,omitempty"`
}

// Watch says whether somebody watches the pool: results of calls that take longer than a moment then
// say where and when they ran, and what they used.
type Watch struct {
	On bool `json:"on"`
}

// Status says what a worker does.
type Status struct {
	Running  []Running `json:"running"`            // one for each slot that has run a call for longer than a moment
	Waiting  int       `json:"waiting"`            // calls that wait for a slot
	Loading  []string  `json:"loading"`            // names of modules that it fetches or compiles
	Fetching []string  `json:"fetching,omitempty"` // names of shared inputs that it fetches or reads
	Memory   uint64    `json:"memory"`             // bytes that its process uses; 0 is not known
	Guests   uint64    `json:"guests"`             // bytes promised to guests of its process
}

// Running is a call on a slot.
type Running struct {
	Number uint64 `json:"number"`
	Slot   int    `json:"slot"`  // from 0
	Nanos  int64  `json:"nanos"` // since it began
}

// Shared announces a set of shared inputs, by the number that calls name.
type Shared struct {
	Set    uint32        `json:"set"` // from 1
	Inputs []SharedInput `json:"inputs"`
}

// SharedInput is one of a set: a blob and the name that it has for guests.
type SharedInput struct {
	Name   string `json:"name"`
	Digest string `json:"digest"` // SHA-256, hex
	Size   int64  `json:"size"`   // bytes
	Tree   bool   `json:"tree,omitempty"`
}

// Fetch asks for bytes of a blob that was announced, up to [MostPiece]. The worker receives them as
// the payload with that id, once a [Give] says that they come.
type Fetch struct {
	Digest  string `json:"digest"`
	Offset  int64  `json:"offset"`
	Len     int64  `json:"len"`
	Payload uint32 `json:"payload"`
}

// Give says that the payload which was asked for comes, or why it does not.
type Give struct {
	Payload uint32 `json:"payload"`
	Refused string `json:"refused,omitempty"` // at most [MaxReason] bytes
}
