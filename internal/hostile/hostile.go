// Package hostile attacks a pool: it mixes calls of guests that loop, recurse,
// eat memory, write without end, exit, crash and lie among good ones, and checks
// that each fails with the right kind, and only it.
package hostile

import (
	"bytes"
	"cmp"
	"context"
	_ "embed"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

//go:generate wat2wasm guest.wat -o guest.wasm

//go:embed guest.wasm
var guestWASM []byte

// Limits are those that a pool should have that is attacked. There is none on time: what
// another limit ends must come to it on the slowest machine.
var Limits = executor.Limits{
	Memory:       64 << 20,
	Output:       4 << 20,
	Log:          256 << 10,
	Instructions: 20_000_000_000,
}

const (
	// mostWork is how many instructions a hostile call may execute that does not come to
	// a limit on time.
	mostWork = 150_000_000

	// endless is the limit on time of those that do.
	endless = 200 * time.Millisecond

	// patience is for how long a call may go on, on the slowest machine, before it counts
	// as one that will not end.
	patience = 5 * time.Minute
)

// endlessly are the limits of calls that come to one on time.
var endlessly = executor.Limits{Time: endless, Instructions: host.Unlimited}

// An attack is a hostile call.
type attack struct {
	task, arg string
	kinds     []host.Kind     // it must fail with one of these
	want      []string        // or have one of these results
	same      bool            // or have the result that others of its kind have
	slow      bool            // it takes long
	limits    executor.Limits // the call's own
	work      uint64          // instructions it may execute; mostWork if 0

	// Of an attack by a module of its own, which may be refused already when it is
	// loaded.
	module string
	wasm   []byte
	alone  bool // it takes too much of the root to be made often
}

func (a *attack) String() string { return fmt.Sprintf("%s(%.40s)", a.task, a.arg) }

func attacks() []attack {
	kinds := func(k ...host.Kind) []host.Kind { return k }
	var list []attack
	for _, task := range []string{"golang.attack loop", "golang.attack sleep", "plain.spin", "plain.fill", "plain.tree", "plain.sleep"} {
		task, arg, _ := strings.Cut(task, " ")
		list = append(list, attack{task: task, arg: arg, kinds: kinds(host.KindTimeout), slow: true, limits: endlessly})
	}
	list = append(list,
		attack{task: "golang.attack", arg: "recursion", kinds: kinds(host.KindMemory), slow: true, work: 15_000_000_000}, // its stack of a million frames is moved each time it doubles
		attack{task: "golang.attack", arg: "memory", kinds: kinds(host.KindMemory), slow: true},
	)
	add := func(kind host.Kind, task string, args ...string) {
		for _, arg := range args {
			list = append(list, attack{task: task, arg: arg, kinds: kinds(kind)})
		}
	}
	add(host.KindTrap, "golang.attack", "deadlock", "deadlocked goroutines", "background panic")
	add(host.KindOutput, "golang.attack", "log", "print")
	add(host.KindPanic, "golang.attack", "nil map", "no such attack")
	add(host.KindExit, "golang.attack", "exit")
	add(host.KindOutput, "golang.huge", "")
	add(host.KindMemory, "plain.grow", "")
	add(host.KindExit, "plain.exit", "")
	for _, task := range []string{"output", "log", "lines"} {
		add(host.KindOutput, "plain."+task, "")
	}
	for _, task := range []string{"stack", "unreachable", "divide", "load", "indirect", "bad_read", "bad_output", "bad_error", "bad_log", "bad_door", "small_door"} {
		add(host.KindTrap, "plain."+task, "argument")
	}
	for _, task := range []string{"bad_wasi_write", "bad_wasi_random", "bad_wasi_poll"} {
		add(host.KindApplication, "plain."+task, "")
	}
	for range 4 {
		list = append(list, attack{task: "plain.random", same: true}, attack{task: "golang.draw", arg: "numbers", same: true})
	}
	return list
}

// rarity is how many quick attacks there are to one that takes all of its time.
const rarity = 5

// A Plan says how many calls to make.
type Plan struct {
	Good    int
	Hostile int
}

// A Report says what came of a plan.
type Report struct {
	Good, Hostile int
	Wrong         []string             // what should not have been; at most mostWrong lines
	Failures      int                  // how many such there were
	Kinds         map[host.Kind]*Worst // of the hostile calls' errors

	same map[string]string // results of calls that must all have the same
}

// Worst is the most that hostile calls used that failed with one kind.
type Worst struct {
	Calls  int
	Work   uint64        // instructions
	Worker string        // the call that executed them
	CPU    time.Duration // of all ranks, beyond its limit on time; of calls that ran alone
	Taker  string        // the call that took it
}

const mostWrong = 20

func (r *Report) wrong(format string, args ...any) {
	r.Failures++
	if len(r.Wrong) < mostWrong {
		r.Wrong = append(r.Wrong, fmt.Sprintf(format, args...))
	}
}

// Add adds what came of another plan.
func (r *Report) Add(other *Report) {
	r.Good += other.Good
	r.Hostile += other.Hostile
	r.Failures += other.Failures
	r.Wrong = append(r.Wrong, other.Wrong...)
	for kind, w := range other.Kinds {
		mine := r.worst(kind)
		mine.Calls += w.Calls
		mine.worked(w.Work, w.Worker)
		mine.took(w.CPU, w.Taker)
	}
}

func newReport() *Report { return &Report{Kinds: map[host.Kind]*Worst{}, same: map[string]string{}} }

func (r *Report) worst(kind host.Kind) *Worst {
	if r.Kinds[kind] == nil {
		r.Kinds[kind] = &Worst{}
	}
	return r.Kinds[kind]
}

func (w *Worst) worked(work uint64, who string) {
	if work >= w.Work {
		w.Work, w.Worker = work, who
	}
}

func (w *Worst) took(cpu time.Duration, who string) {
	if who != "" && cpu >= w.CPU {
		w.CPU, w.Taker = cpu, who
	}
}

// An Attack is a pool and the guests that attack it.
type Attack struct {
	// Options are given to all calls, but for those that a memo refuses, which run without it.
	Options []executor.CallOption

	ex      *executor.Executor
	attacks []attack
}

// New adds the guests to a pool with the settings of [Config]: those that attack with what
// modules may do, those that attack with what they may not, and good ones. guest is the
// folder of the one in Go.
func New(ctx context.Context, ex *executor.Executor, guest string) (*Attack, error) {
	plain, err := wasmtasks.Load("plain", guestWASM)
	if err != nil {
		return nil, err
	}
	golang, err := wasmtasks.Build(ctx, guest)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(ex.Load(plain), ex.Load(golang.WithName("golang"))); err != nil {
		return nil, err
	}
	holes, err := holes(ctx)
	return &Attack{ex: ex, attacks: append(attacks(), holes...)}, err
}

// A goodCall is one that must be right whatever goes on beside it.
type goodCall struct {
	number int
	arg    []byte
	future *executor.Future
}

func (at *Attack) submitGood(ctx context.Context, i int, random *rand.Rand) goodCall {
	arg := fmt.Appendf(nil, "good call %d, %x", i, random.Uint64())
	return goodCall{i, arg, at.ex.Submit(ctx, []string{"golang.mix", "plain.copy"}[i%2], arg, at.Options...)}
}

// await checks the outcome. The error is that the call has none.
func (c *goodCall) await(ctx context.Context, r *Report) error {
	got, err := result(ctx, c.future)
	if errors.Is(err, errEndless) || ctx.Err() != nil {
		return fmt.Errorf("good call %d: %w", c.number, err)
	}
	want := c.arg
	if c.number%2 == 0 {
		want = append(binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(c.arg)), bytes.ToUpper(c.arg)...)
	}
	r.Good++
	if err != nil || !bytes.Equal(got, want) {
		r.wrong("good call %d returned %q, %v, want %q", c.number, got, err, want)
	}
	return nil
}

// Run makes the calls of a plan at once and checks each outcome. The order is the same
// each time.
func (at *Attack) Run(ctx context.Context, p Plan) (*Report, error) {
	random := rand.New(rand.NewPCG(1, 2))
	hostile := make([]bool, p.Good+p.Hostile)
	for i := range p.Hostile {
		hostile[i] = true
	}
	random.Shuffle(len(hostile), func(i, j int) { hostile[i], hostile[j] = hostile[j], hostile[i] })
	var quick, slow []attack
	for _, a := range at.attacks {
		switch {
		case a.alone:
		case a.slow:
			slow = append(slow, a)
		default:
			quick = append(quick, a)
		}
	}
	var good []goodCall
	var bad []hostileCall
	for i := range hostile {
		if !hostile[i] {
			good = append(good, at.submitGood(ctx, i, random))
			continue
		}
		n := len(bad)
		a := &quick[n%len(quick)]
		if n%(rarity+1) == rarity {
			a = &slow[n/(rarity+1)%len(slow)]
		}
		bad = append(bad, at.submit(ctx, a))
	}
	r := newReport()
	for i := range good {
		if err := good[i].await(ctx, r); err != nil {
			return r, err
		}
	}
	for i := range bad {
		if _, err := bad[i].await(ctx, r); err != nil {
			return r, err
		}
	}
	return r, nil
}

// A hostileCall is an attack under way.
type hostileCall struct {
	attack  *attack
	future  *executor.Future
	refused error // its module was, by the root
}

func (at *Attack) submit(ctx context.Context, a *attack) hostileCall {
	if a.wasm != nil {
		m, err := wasmtasks.Load(a.module, a.wasm)
		if err == nil {
			err = at.ex.Load(m)
		}
		if err != nil {
			return hostileCall{attack: a, refused: err}
		}
	}
	opts := append(slices.Clone(at.Options), executor.WithLimits(a.limits))
	if a.module == grantedModule || a.module == trustedModule { // which see more than their argument
		opts = append(opts, executor.WithoutMemo())
	}
	return hostileCall{attack: a, future: at.ex.Submit(ctx, a.task, []byte(a.arg), opts...)}
}

// await checks the outcome and returns its kind; 0 for a result. The error is that the
// call has none.
func (c *hostileCall) await(ctx context.Context, r *Report) (host.Kind, error) {
	a := c.attack
	if c.refused != nil {
		r.Hostile++
		r.worst(host.KindBadModule).Calls++
		if !slices.Contains(a.kinds, host.KindBadModule) {
			r.wrong("%v: its module is refused: %v", a, c.refused)
		}
		return host.KindBadModule, nil
	}
	got, err := result(ctx, c.future)
	if errors.Is(err, errEndless) || ctx.Err() != nil {
		return 0, fmt.Errorf("%v: %w", a, err)
	}
	r.Hostile++
	if err == nil && (slices.Contains(a.want, string(got)) || a.same && r.sameAsBefore(a, string(got))) {
		return 0, nil
	}
	var e *executor.TaskError
	if !errors.As(err, &e) {
		r.wrong("%v: got %.40q, %v, want one of %q or an error of %v", a, got, err, a.want, a.kinds)
		return 0, nil
	}
	if !slices.Contains(a.kinds, e.Kind) || !errors.Is(err, e.Kind) {
		r.wrong("%v: got %v, want one of %v", a, err, a.kinds)
	}
	if most := cmp.Or(a.limits.Memory, Limits.Memory); e.Usage.Memory > most {
		r.wrong("%v: it had %d bytes of memory", a, e.Usage.Memory)
	}
	w := r.worst(e.Kind)
	w.Calls++
	if w.worked(e.Usage.Instructions, a.String()); a.limits.Time == 0 && e.Usage.Instructions > cmp.Or(a.work, mostWork) {
		r.wrong("%v: it executed %d instructions, more than %d", a, e.Usage.Instructions, cmp.Or(a.work, mostWork))
	}
	return e.Kind, nil
}

// sameAsBefore reports whether a call has the result of those before it.
func (r *Report) sameAsBefore(a *attack, got string) bool {
	first, ok := r.same[a.String()]
	if !ok {
		r.same[a.String()] = got
	}
	return !ok || got == first
}

var errEndless = fmt.Errorf("it has not ended after %v", patience)

// result waits for a call's outcome, but not for ever.
func result(ctx context.Context, f *executor.Future) ([]byte, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, errEndless)
	defer cancel()
	got, err := f.Result(ctx)
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	return got, err
}
