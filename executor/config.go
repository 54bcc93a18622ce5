package executor

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"os"
	"runtime"
	"slices"
	"time"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/blob"
	"github.com/wasmpool/wasmpool/internal/cachedir"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// Config holds an Executor's settings. The zero value is ready to use. On
// several ranks, all must be given the same. Where a setting differs on which results, or
// their safety, depend, the pool is broken, with an error that names the field.
type Config struct {
	// Modules are loaded at once; the workers start to compile them while MPI
	// starts. More can be added with [Executor.Load].
	Modules []*wasmtasks.Module

	// Ranks are the launcher's ranks that take part, the root first; inside the
	// pool they are counted from 0 in this order. On the others Run calls nothing
	// and returns nil when the job is over. It counts under MPI only.
	//
	// Defaults to all, with rank 0 as the root.
	Ranks []int

	// Slots is how many calls a worker rank runs at once, at most [MostSlots].
	//
	// Defaults to the CPUs the rank has for itself: those it is bound to, or
	// its share of the node's, within the quota of its control group; or to the
	// variable GOMAXPROCS of its environment.
	Slots int

	// RootSlots is how many calls the root runs at once in its own process, at most
	// [MostSlots].
	//
	// Defaults to the number of CPUs that the process may use when there is no worker rank,
	// by its control group's quota and the variable GOMAXPROCS, too. When there is one, but none
	// on the root's node, which would do nothing then, it is those CPUs but
	// one, which the root needs for itself, and at most Slots where that is set: not with
	// Confine or Sandbox.NoMeter, where guests do not belong into the root's process.
	// Otherwise it is none, as is a negative number.
	RootSlots int

	// Sandbox says what calls may use, see and keep, and where compiled modules are kept.
	// When its Initializer fails, the pool is broken. Its Logger receives what the hosts
	// have to say of their own work. With its NoMeter a guest that computes cannot be ended, so
	// that Shutdown may give up on one, and the process stay.
	//
	// Defaults to the zero value, but for its Logger, which defaults to the one below.
	Sandbox host.Config

	// Confine makes the worker ranks give up, before their first call, what they do not
	// need: on Linux they can then read no files but granted folders and compiled
	// modules, make none, start no program, open no connection and reach no other process,
	// so that a task that breaks out of its sandbox cannot either. What a system
	// cannot take away is logged. Payloads between ranks of a node go through
	// MPI's shared memory. Without worker ranks, or with RootSlots, it is an error that
	// matches [ErrNotConfined]. See SECURITY.md.
	//
	// Defaults to not.
	Confine bool

	// QueueCalls and QueueBytes bound the calls, and their arguments, that wait
	// on the root. Submit blocks beyond.
	//
	// Default to 4 Mi calls and 4 GiB.
	QueueCalls int
	QueueBytes int64

	// ResultBytes bounds the bytes of results of more than 16 KiB that are on their way to
	// the root at once. A longer result comes alone. Workers wait for room with their result,
	// and begin no other call on that slot meanwhile. What the root's process cannot have, by
	// its node's memory, control group or rlimits, fails the call with kind memory.
	//
	// Defaults to a quarter of what the process may have, at most 256 MiB.
	ResultBytes int64

	// HeldBytes bounds the bytes of results that one Map holds before they are taken: it
	// begins no further call when these, and the results of calls under way, are more,
	// by the length of those that came. A call for each slot may come on top of that: so
	// the slots are busy as long as less is held, however long the results are.
	//
	// Defaults to 64 MiB: so many bytes are in the 65,536 results of 1 KiB that a Map
	// holds at most.
	HeldBytes int64

	// Memo keeps the results of calls beyond the end of the pool, and has them found again: by a call of the same task, with the same argument and all else that
	// decides what it gives, which then does not run. Package memo has one, in a folder. It is for the root alone: on other ranks it
	// is not opened. A call whose result may depend on something else is an error that says on what: its module has a grant of clock, randomness, environment or
	// folders, or the isolation is reuse; unless it is [Pure], or [WithoutMemo]. Failures are not kept.
	//
	// Defaults to none.
	Memo Memo

	// VerifyMemo is the share of calls, from 0 to 1, whose results were found and that run all the same. Where one
	// gives something else the log says so, [Stats] counts it, and the memo has no result of it any more. The call has the result of this run.
	//
	// Defaults to 0.
	VerifyMemo float64

	// Speculate has a call that takes unusually long started a second time, on another worker, when nothing waits and slots idle,
	// as at the end of a map: the first answer counts, and the other run is ended. So a slow node, or one that hangs, holds up nothing.
	// Unusually long is three times the median of the last runs of the task, and 100 ms at least, since the call was sent. Such a second
	// run makes way for calls that wait. It is for tasks whose results are of their arguments alone: for others a call is an
	// error that says why, as with Memo. [Speculate] sets it for one call or map. With one worker it does nothing.
	//
	// Defaults to not.
	Speculate bool

	// SpotCheck is the share of calls, from 0 to 1, that run again on another worker when they have a result, so that both can be compared: bad memory,
	// a bad CPU, and a task whose result is not of its argument alone show so. Where they differ the call fails, with kind differed
	// ([ErrDiffered]) and both ranks, hosts and digests in its error, the log says so, and [Stats] counts it. Which calls are checked follows from their task and
	// argument, so it is the same ones in each job. With one worker both runs are there. It is for the tasks that Speculate is for. [SpotCheck] sets
	// it for one call or map.
	//
	// Defaults to 0.
	SpotCheck float64

	// Shared are inputs that each call of the pool has besides its argument, by their names:
	// see [With]. The root reads them, before Run calls its function; on other ranks the
	// field is not looked at.
	//
	// Defaults to none.
	Shared map[string]Source

	// SharedDir is the folder in which a node keeps shared inputs for all ranks that run there; with
	// Confine a rank keeps them in its memory. A folder that others can write to is not used, nor one in
	// such a folder: then, too, shared inputs are in the memory of each rank. All of it may be
	// removed at any time.
	//
	// Defaults to "shared" in the folder that WASMPOOL_CACHE names, or in "wasmpool" in
	// [os.UserCacheDir]. It should be on a disk of the node, as $TMPDIR is on clusters.
	SharedDir string

	// SharedBytes bounds what is kept in SharedDir: when it holds more, what was not used for longest
	// is removed. What is in use stays.
	//
	// Defaults to 8 GiB.
	SharedBytes int64

	// LostAfter is for how long a rank may be silent, though its connection stands,
	// before it is taken for lost: its process was stopped, its node hangs or the
	// network is cut. Within that time, too, a rank is lost of which a guest neither
	// ends nor can be stopped; a guest that computes, or waits, does not silence its rank.
	// A rank whose process died is lost at once. It counts under MPI only.
	//
	// Defaults to 10 s; a negative duration is never.
	LostAfter time.Duration

	// Grace is for how long running calls may go on after a signal that Run has caught.
	// See [Run].
	//
	// Defaults to 10 s; a negative duration is none.
	Grace time.Duration

	// NoSignals leaves signals to the program: [Run] catches none then, on no rank. Launchers
	// send some signals to all ranks, and a worker rank that a signal ends is lost: so the
	// program should catch them there, too. With the root on another host, wasmpool launch
	// sends SIGUSR1 to all ranks in place of SIGINT, SIGTERM and SIGHUP. For an end as after a
	// signal the program calls [Executor.CancelAll], and its root function returns when
	// the other calls are done.
	//
	// Defaults to not.
	NoSignals bool

	// ReportAfter is after how long a silence, with calls in flight, the executor
	// logs what each worker does; again after twice that, and so on. While the calls
	// keep it from shutting down it first does after three seconds.
	//
	// Defaults to a minute; a negative duration is never.
	ReportAfter time.Duration

	// Logger receives the executor's and the guests' log lines. In those of guests,
	// characters that a terminal would obey stand as escapes. A line may be written
	// shortly after its call has its result.
	//
	// Defaults to [slog.Default].
	Logger *slog.Logger
}

// MostSlots is how many slots a process may have. Each that computes takes a thread.
const MostSlots = 1024

func (c Config) withDefaults() Config {
	c.QueueCalls = cmp.Or(c.QueueCalls, 4<<20)
	c.QueueBytes = cmp.Or(c.QueueBytes, 4<<30)
	c.HeldBytes = cmp.Or(c.HeldBytes, mostAhead*leastHeld)
	c.SharedBytes = cmp.Or(c.SharedBytes, blob.DefaultBytes)
	c.SharedDir = cmp.Or(c.SharedDir, cachedir.Default("shared"))
	c.LostAfter = cmp.Or(c.LostAfter, 10*time.Second)
	c.Grace = cmp.Or(c.Grace, 10*time.Second)
	c.ReportAfter = cmp.Or(c.ReportAfter, time.Minute)
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	if c.Sandbox.Logger == nil {
		c.Sandbox.Logger = c.Logger
	}
	return c
}

func (c Config) validate() error {
	if c.Slots < 0 || c.Slots > MostSlots {
		return fmt.Errorf("executor: Config.Slots is %d, must be from 0 to %d", c.Slots, MostSlots)
	}
	if c.RootSlots > MostSlots {
		return fmt.Errorf("executor: Config.RootSlots is %d, must be at most %d", c.RootSlots, MostSlots)
	}
	if c.QueueCalls < 0 || c.QueueBytes < 0 || c.ResultBytes < 0 || c.HeldBytes < 0 {
		return fmt.Errorf("executor: Config.QueueCalls (%d), QueueBytes (%d), ResultBytes (%d) and HeldBytes (%d) must not be negative", c.QueueCalls, c.QueueBytes, c.ResultBytes, c.HeldBytes)
	}
	if !(c.VerifyMemo >= 0 && c.VerifyMemo <= 1) {
		return fmt.Errorf("executor: Config.VerifyMemo is %v, must be from 0 to 1", c.VerifyMemo)
	}
	if err := checkShare(c.SpotCheck); err != nil {
		return fmt.Errorf("executor: Config.SpotCheck: %w", err)
	}
	if c.SharedBytes < 0 {
		return fmt.Errorf("executor: Config.SharedBytes is %d, must not be negative", c.SharedBytes)
	}
	if len(c.Shared) > host.MostShared {
		return fmt.Errorf("executor: Config.Shared has %d inputs, may have at most %d", len(c.Shared), host.MostShared)
	}
	for _, name := range slices.Sorted(maps.Keys(c.Shared)) {
		if err := host.CheckSharedName(name); err != nil {
			return fmt.Errorf("executor: Config.Shared: %w", err)
		}
		if c.Shared[name].open == nil {
			return fmt.Errorf("executor: Config.Shared[%q] is the zero Source: use FromBytes, FromFile or FromReader", name)
		}
	}
	if err := c.Sandbox.Validate(); err != nil {
		return fmt.Errorf("executor: Config.Sandbox: %w", err)
	}
	if c.Confine && c.Sandbox.Compiler != nil {
		return errors.New("executor: Config.Confine starts a compiler for each worker: Config.Sandbox.Compiler must be nil")
	}
	for i, r := range c.Ranks {
		if r < 0 || slices.Contains(c.Ranks[:i], r) {
			return fmt.Errorf("executor: Config.Ranks has rank %d twice, or it is negative", r)
		}
	}
	for i, m := range c.Modules {
		if m == nil {
			return fmt.Errorf("executor: Config.Modules[%d] is nil", i)
		}
	}
	return nil
}

// checkGrants finds folders that are not there. It is the root's to check: an error of one
// worker, before the ranks have met, would leave the others waiting.
func (c Config) checkGrants() error {
	for _, module := range slices.Sorted(maps.Keys(c.Sandbox.Grants)) {
		folders := c.Sandbox.Grants[module].Folders
		for _, path := range slices.Sorted(maps.Keys(folders)) {
			switch info, err := os.Stat(folders[path]); {
			case err != nil:
				return fmt.Errorf("executor: Config.Sandbox.Grants of module %s: the folder for %s: %w", module, path, err)
			case !info.IsDir():
				return fmt.Errorf("executor: Config.Sandbox.Grants of module %s: what is granted as %s, %s, is no folder", module, path, folders[path])
			}
		}
	}
	return nil
}

// ungranted returns the modules that Config.Sandbox.Grants names and that were never loaded.
func (c Config) ungranted(loaded func(module string) bool) []string {
	var names []string
	for _, module := range slices.Sorted(maps.Keys(c.Sandbox.Grants)) {
		if module != host.EveryModule && !loaded(module) {
			names = append(names, module)
		}
	}
	return names
}

// lent returns how many slots the root has by default, beside the worker ranks, with so many of them on its node
// and so many CPUs that it may use.
func (c Config) lent(workersOnNode, cpus int) int {
	if workersOnNode > 0 || c.Confine || c.Sandbox.NoMeter {
		return 0
	}
	return min(cpus-1, cmp.Or(c.Slots, MostSlots))
}

// works reports whether the launcher's rank will be a worker.
func (c Config) works(rank int) bool {
	if len(c.Ranks) == 0 {
		return rank != 0
	}
	return slices.Index(c.Ranks, rank) > 0
}

// Limits bound what one call may use. See package host.
type Limits = host.Limits

// Usage says what one call used. See package host.
type Usage = host.Usage

// Unlimited lifts a limit that is a number of bytes or instructions.
const Unlimited = host.Unlimited

// spareProcs is how many goroutines must be able to run while every slot
// computes: a guest that computes holds its P.
const spareProcs = 2

// makeRoom raises GOMAXPROCS so that slots that compute do not starve the rest.
func makeRoom(slots int) {
	if want := slots + spareProcs; runtime.GOMAXPROCS(0) < want {
		runtime.GOMAXPROCS(want)
	}
}
