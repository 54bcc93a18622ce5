package compile

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/wasmpool/wasmpool/internal/monotime"
)

// A module that is not in the cache is compiled in a child process, which is the same
// program, started again: the init function below does the child's work and ends the
// process where childEnv is set. A module that the gate's bounds do not stop, and that is
// too much for the compiler, then meets the child's limits; the parent takes the code from
// the cache folder, or refuses the module. See RATIONALE.md, "Why is a module compiled in
// a child process?".

// childEnv is set for a child process. It holds the child's limits, the length of the
// module as it came, and the cache folder. The child reads the module as it came from its
// standard input, and behind it the module that it is to compile. Without a folder it only
// validates.
const childEnv = "WASMPOOL_COMPILE_CHILD"

// A childLimit bounds what a child may use. The time is that of the CPU, which
// does not depend on what else the machine does.
type childLimit struct {
	memory uint64 // bytes of writable memory
	cpu    uint64 // seconds
	large  bool   // they have been raised
}

// childLimitFor returns the limits for a module. The engine takes some 30 bytes and 0.5 µs
// for each byte of a module that came from a compiler: the child may take three and six
// times that, for the sake of slow machines. So a module of 300 KiB is refused within 1 s
// and 160 MiB, whatever is in it.
func childLimitFor(wasm []byte, large bool) childLimit {
	const mib = 1 << 20
	n := uint64(len(wasm)) * raceFactor
	limit := childLimit{memory: 128*mib + 96*n, cpu: 1 + 3*n/mib, large: large}
	if large {
		limit.memory, limit.cpu = limit.memory*largeChild, limit.cpu*largeChild
	}
	return limit
}

// exceeded says that a module took more than a part of the limit, and how that is raised.
func (l childLimit) exceeded(part uint64, what string) error {
	text := fmt.Sprintf("compiling it was stopped: it took more than %d %s", part, what)
	if !l.large {
		text += ": " + fmt.Sprintf(raises, largeChild, " times as much")
	}
	return badModule("%s", text)
}

// childProcs is how many threads a child compiles with, at most. In a program with
// C code in it, the system counts 8 MiB for the stack of each.
const childProcs = 4

// childPatience is how many times the limit on CPU time a child may take by the
// clock, and childLeast at least: a loaded machine must not refuse modules.
const (
	childPatience = 20
	childLeast    = 5 * time.Minute
)

// How a child ends.
const (
	childRefuses = 3 // it refuses the module; standard output says why
	childFails   = 4 // it could not do its work; standard output says why
	childTooSlow = 5 // the limit on CPU time was reached
)

// childBegun is what a child says first, when it has all it needs but memory and time: what ends
// it before is not the module's doing.
const childBegun = "wasmpool compiles\n"

// errNoChild says that no child could be started: the module is compiled here.
var errNoChild = errors.New("host: no child process for compiling")

// errFewProcesses says why a process, or a thread of one, cannot be had.
var errFewProcesses = errors.New("this user, or this job, may have too few processes and threads: ulimit -u shows how many, and pids.max in its control group")

// compileInChild validates the module, and fills the cache folder dir with its native
// code, unless dir is empty. It blocks until the child has ended; when ctx ends, it kills
// the child. The error is a [BadModuleError] when the engine refuses the module or cannot
// cope with it, and matches errNoChild when there was no child. The state is how the child
// ended, nil when it did not start.
func compileInChild(ctx context.Context, dir string, src source) (*os.ProcessState, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoChild, err)
	}
	limit := childLimitFor(src.wasm, src.large)
	patience := max(childLeast, childPatience*time.Duration(limit.cpu)*time.Second)
	ctx, cancel := monotime.WithTimeout(ctx, patience, fmt.Errorf("it took more than %v", patience))
	defer cancel()
	cmd := exec.CommandContext(ctx, self)
	order := fmt.Sprintf("%s=%d %d %d %s", childEnv, limit.memory, limit.cpu, len(src.original), dir)
	cmd.Env = append(os.Environ(), order, "GOMAXPROCS="+strconv.Itoa(min(childProcs, runtime.GOMAXPROCS(0))))
	cmd.Stdin = io.MultiReader(bytes.NewReader(src.original), bytes.NewReader(src.wasm))
	var out, errText bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errText
	dieWithParent(cmd)
	runtime.LockOSThread() // the child dies with the thread that started it
	defer runtime.UnlockOSThread()
	if err := cmd.Start(); errors.Is(err, syscall.EAGAIN) {
		return nil, fmt.Errorf("%w: %w: %w", errNoChild, err, errFewProcesses)
	} else if err != nil {
		return nil, fmt.Errorf("%w: %w", errNoChild, err)
	}
	err = cmd.Wait()
	_, said, begun := strings.Cut(out.String(), childBegun)
	switch end := cmd.ProcessState; {
	case err == nil:
		return end, nil
	case end.ExitCode() == childRefuses:
		return end, badModule("%s", said)
	case end.ExitCode() == childFails:
		return end, fmt.Errorf("%w: %s", errNoChild, said)
	default:
		return end, childDeath(ctx, end, limit, errText.String(), begun)
	}
}

// childDeath explains how a child ended that did not say so itself. With begun it had begun its work.
func childDeath(ctx context.Context, end *os.ProcessState, limit childLimit, stderr string, begun bool) error {
	killed, outOfTime := limit.killed(end)
	outOfTime = outOfTime || end.ExitCode() == childTooSlow
	first, _, _ := strings.Cut(strings.TrimSpace(stderr), "\n")
	switch {
	case ctx.Err() != nil:
		return badModule("compiling it was stopped: %w", context.Cause(ctx))
	case outOfThreads(stderr, begun):
		return fmt.Errorf("%w: %v %s: %w", errNoChild, end, first, errFewProcesses)
	case !begun && !killed:
		return fmt.Errorf("%w: %v %s", errNoChild, end, first)
	case outOfTime:
		return limit.exceeded(limit.cpu, "s of CPU time")
	case outOfMemory(stderr):
		return limit.exceeded(limit.memory>>20, "MiB of memory")
	case killed: // which says nothing of the module
		return errors.New("the process that compiles it was killed: does the machine lack memory?")
	}
	return badModule("compiling it ended the compiler: %v %s", end, first)
}

// outOfThreads reports whether a process ended as it could not have another thread, by the last words of Go.
// Those of C are the same where memory lacks, which a module is to blame for once the work has begun.
func outOfThreads(stderr string, begun bool) bool {
	again := fmt.Sprintf("errno=%d)", int(syscall.EAGAIN))
	return strings.Contains(stderr, "failed to create new OS thread") && strings.Contains(stderr, again) ||
		!begun && strings.Contains(stderr, "pthread_create failed")
}

// outOfMemory reports whether a process ended for lack of memory, by the last words of Go,
// C or the race detector.
func outOfMemory(stderr string) bool {
	return slices.ContainsFunc([]string{"out of memory", "annot allocate memory", "failed to allocate", "pthread_create failed"},
		func(words string) bool { return strings.Contains(stderr, words) })
}

// The child process never gets past this function: see the package's documentation.
func init() {
	if order := os.Getenv(childEnv); order != "" {
		os.Exit(beChild(order, os.Stdin, os.Stdout))
	}
}

// beChild does what order says with the module from in, and returns the process's exit
// code.
func beChild(order string, in io.Reader, out io.Writer) int {
	limit, length, dir, err := readOrder(order)
	if err == nil {
		tryThreads(childThreads)
		err = limit.apply()
	}
	fmt.Fprint(out, childBegun)
	if err != nil {
		fmt.Fprint(out, err)
		return childFails
	}
	all, err := io.ReadAll(in)
	if err == nil && len(all) < length {
		err = io.ErrUnexpectedEOF
	}
	if err == nil {
		err = validateAndStore(context.Background(), dir, all[:length], all[length:])
	}
	switch {
	case err == nil:
		return 0
	case errors.As(err, new(*BadModuleError)):
		fmt.Fprint(out, err)
		return childRefuses
	default:
		fmt.Fprint(out, err)
		return childFails
	}
}

// childThreads is how many threads a child may need, besides those that it starts with.
const childThreads = 16

// tryThreads makes so many threads at once, which end again: Go ends the process where it may not have
// them. Later that could not be told from a lack of memory, of which they need some.
func tryThreads(n int) {
	var up, down sync.WaitGroup
	enough := make(chan struct{})
	up.Add(n)
	for range n {
		down.Go(func() {
			runtime.LockOSThread() // the thread ends with the goroutine
			up.Done()
			<-enough
		})
	}
	up.Wait()
	close(enough)
	down.Wait()
}

// readOrder returns the parts of an order, as [compileInChild] writes it.
func readOrder(order string) (limit childLimit, length int, dir string, err error) {
	fields := strings.SplitN(order, " ", 4)
	if len(fields) != 4 {
		return limit, 0, "", fmt.Errorf("the order %q makes no sense", order)
	}
	var errs [3]error
	limit.memory, errs[0] = strconv.ParseUint(fields[0], 10, 64)
	limit.cpu, errs[1] = strconv.ParseUint(fields[1], 10, 64)
	length, errs[2] = strconv.Atoi(fields[2])
	return limit, length, fields[3], errors.Join(errs[:]...)
}
