//go:build !wasip1

package sdk

import (
	"crypto/sha256"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"

	"github.com/wasmpool/wasmpool/internal/abi"
)

// A Trial is a call for unit tests: it runs a task's export natively, with the
// argument and in the way a worker would. It exists only outside guests. The
// zero value is call 0, attempt 1, rank 0 with an empty argument.
//
//	result, err := sdk.Trial{Arg: []byte("12")}.Run(square)
//
// Trials run one at a time, also those of parallel tests.
type Trial struct {
	Arg     []byte
	Call    uint64
	Attempt int // 0 means 1
	Rank    int

	// Shared are the call's shared inputs, by name.
	Shared map[string][]byte

	// Log receives the task's log lines. Defaults to dropping them.
	Log func(level Level, line string)
}

// Run calls export, such as a function marked with //go:wasmexport, and
// returns the result. A failure is an [*Error] whose code is the status that a
// worker would see: 1 for an ordinary error, 2 for a panic, 3 for bad input,
// and 64 and up for the task's own.
func (t Trial) Run(export func() int32) ([]byte, error) {
	trials.Lock()
	defer trials.Unlock()
	arg := t.Arg
	t.Arg = slices.Clone(arg) // the task may change it
	r := &run{trial: t, random: sync.OnceValue(func() *rand.Rand { return randFor(arg) })}
	current.Store(r)
	defer current.Store(nil)
	if status := export(); status != abi.StatusOK {
		return nil, &Error{Code: int(status), Message: r.message}
	}
	return slices.Clone(r.result), nil // it may be a view that the next trial reuses
}

// A run is the state of a trial. The rest of the package reaches it through
// current, as a guest reaches its host.
type run struct {
	trial   Trial
	result  []byte
	message string
	random  func() *rand.Rand
}

var (
	trials  sync.Mutex // held by the trial that runs
	current atomic.Pointer[run]
)

var errNoTrial = errors.New("sdk: a task was called outside a pool: call the plain function, or use sdk.Trial in tests")

// running returns the trial that runs, of which there must be one.
func running() *run {
	r := current.Load()
	if r == nil {
		panic(errNoTrial) //nolint:forbidigo // a task has no caller that could take an error
	}
	return r
}

func input() []byte { return running().trial.Arg }

func succeed(result []byte) int32 {
	running().result = result
	return abi.StatusOK
}

func random() *rand.Rand {
	if r := current.Load(); r != nil {
		return r.random()
	}
	return randFor(nil)
}

// randFor returns what a task draws from that has this argument.
func randFor(arg []byte) *rand.Rand { return rand.New(rand.NewChaCha8(sha256.Sum256(arg))) }

func writeError(msg string) { running().message += msg }

func writeLog(level int, line string) {
	if r := current.Load(); r != nil && r.trial.Log != nil {
		r.trial.Log(Level(level), line)
	}
}

// meta answers outside a trial as the zero Trial does, since the plain
// functions of a task are tested without one.
func meta(key uint32) int64 {
	var t Trial
	if r := current.Load(); r != nil {
		t = r.trial
	}
	switch key {
	case abi.MetaCall:
		return int64(t.Call)
	case abi.MetaAttempt:
		return int64(max(t.Attempt, 1))
	case abi.MetaRank:
		return int64(t.Rank)
	}
	return -1
}

// shared returns a shared input of the trial that runs.
func shared(name string) (data []byte, ok bool) {
	if r := current.Load(); r != nil {
		data, ok = r.trial.Shared[name]
	}
	return data, ok
}

func sharedLen(name string) int64 {
	data, ok := shared(name)
	if !ok {
		return -1
	}
	return int64(len(data))
}

func sharedDigest(name string, d *[32]byte) {
	data, _ := shared(name)
	*d = sha256.Sum256(data)
}

func sharedRead(name string, p []byte, off int64) int {
	data, _ := shared(name)
	return copy(p, data[min(off, int64(len(data))):])
}

// drawApart has nothing to keep apart here: a native program's numbers are random.
func drawApart(do func()) { do() }
