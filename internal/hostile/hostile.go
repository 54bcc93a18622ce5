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
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

//go:generate wat2wasm guest.wat -o guest.wasm

//go:embed guest.wasm
var guestWASM []byte

// Limits are those that a pool should have that is attacked.
var Limits = executor.Limits{
	Time:   10 * time.Second,
	Memory: 64 << 20,
	Output: 4 << 20,
	Log:    256 << 10,
}

// An attack is a hostile call.
type attack struct {
	task, arg string
	kinds     []host.Kind   // one of which it must fail with
	slow      bool          // it takes long
	limit     time.Duration // its own, if it takes all the time it may
	work      time.Duration // what it computes, at most, until it comes to another limit
}

func (a *attack) String() string { return fmt.Sprintf("%s(%s)", a.task, a.arg) }

func attacks() []attack {
	kinds := func(k ...host.Kind) []host.Kind { return k }
	const endless = 200 * time.Millisecond
	list := []attack{
		{"golang.attack", "loop", kinds(host.KindTimeout), true, endless, 0},
		{"golang.attack", "sleep", kinds(host.KindTimeout), true, endless, 0},
		{"plain.spin", "", kinds(host.KindTimeout), true, endless, 0},
		{"plain.fill", "", kinds(host.KindTimeout), true, endless, 0},
		{"plain.tree", "", kinds(host.KindTimeout), true, endless, 0},
		{"plain.sleep", "", kinds(host.KindTimeout), true, endless, 0},
		{"golang.attack", "recursion", kinds(host.KindMemory), true, 0, 3 * time.Second}, // its stack of a million frames is moved each time it doubles
		{"golang.attack", "memory", kinds(host.KindMemory), true, 0, 0},
	}
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
	for _, task := range []string{"output", "log"} {
		add(host.KindOutput, "plain."+task, "")
	}
	for _, task := range []string{"stack", "unreachable", "divide", "load", "indirect", "bad_read", "bad_output", "bad_error", "bad_log", "bad_door", "small_door"} {
		add(host.KindTrap, "plain."+task, "argument")
	}
	for _, task := range []string{"bad_wasi_write", "bad_wasi_random", "bad_wasi_poll"} {
		add(host.KindApplication, "plain."+task, "")
	}
	return list
}

// rarity is how many quick attacks there are to one that takes all of its time.
const rarity = 5

// A Plan says how many calls to make.
type Plan struct {
	Good    int
	Hostile int
	Guest   string // the folder of the guest in Go

	// Slack is how long a hostile call may run beyond its own time limit, or
	// from its start when another limit ends it or it ends by itself. All but
	// milliseconds of it are for machines with more ranks than cores.
	//
	// Defaults to 2 seconds.
	Slack time.Duration
}

const defaultSlack = 2 * time.Second

// A Report says what came of a plan.
type Report struct {
	Good, Hostile int
	Wrong         []string             // what should not have been; at most mostWrong lines
	Failures      int                  // how many such there were
	Kinds         map[host.Kind]*Times // of the hostile calls' errors
}

// Times are those of the hostile calls that failed with one kind: how long each
// ran on its worker, without what it waited before.
type Times struct {
	Calls  int
	Most   time.Duration // the one that took the largest part of its bound ran so long
	Bound  time.Duration // of that call
	Attack string        // and this is what it did
}

// add takes note of a call that ran so long.
func (t *Times) add(a *attack, ran, bound time.Duration) {
	t.Calls++
	if t.Calls == 1 || ran.Seconds()/bound.Seconds() > t.Most.Seconds()/t.Bound.Seconds() {
		t.Most, t.Bound, t.Attack = ran, bound, a.String()
	}
}

const mostWrong = 20

func (r *Report) wrong(format string, args ...any) {
	r.Failures++
	if len(r.Wrong) < mostWrong {
		r.Wrong = append(r.Wrong, fmt.Sprintf(format, args...))
	}
}

// Load adds the guests to a pool.
func Load(ctx context.Context, ex *executor.Executor, guest string) error {
	plain, err := wasmtasks.Load("plain", guestWASM)
	if err != nil {
		return err
	}
	golang, err := wasmtasks.Build(ctx, guest)
	if err != nil {
		return err
	}
	return errors.Join(ex.Load(plain), ex.Load(golang.WithName("golang")))
}

// Run makes the calls of a plan, whose guests are loaded, and checks each
// outcome. The order is the same each time.
func Run(ctx context.Context, ex *executor.Executor, p Plan) (*Report, error) {
	random := rand.New(rand.NewPCG(1, 2))
	hostile := make([]bool, p.Good+p.Hostile)
	for i := range p.Hostile {
		hostile[i] = true
	}
	random.Shuffle(len(hostile), func(i, j int) { hostile[i], hostile[j] = hostile[j], hostile[i] })
	var quick, slow []attack
	for _, a := range attacks() {
		if a.slow {
			slow = append(slow, a)
		} else {
			quick = append(quick, a)
		}
	}
	type call struct {
		attack *attack
		arg    []byte
		future *executor.Future
	}
	calls := make([]call, len(hostile))
	n := 0
	for i := range calls {
		c := &calls[i]
		if hostile[i] {
			c.attack = &quick[n%len(quick)]
			if n%(rarity+1) == rarity {
				c.attack = &slow[n/(rarity+1)%len(slow)]
			}
			n++
			c.future = ex.Submit(ctx, c.attack.task, []byte(c.attack.arg), executor.WithLimits(executor.Limits{Time: c.attack.limit}))
			continue
		}
		c.arg = fmt.Appendf(nil, "good call %d, %x", i, random.Uint64())
		c.future = ex.Submit(ctx, []string{"golang.mix", "plain.copy"}[i%2], c.arg)
	}
	r := &Report{Kinds: map[host.Kind]*Times{}}
	for i := range calls {
		c := &calls[i]
		got, err := c.future.Result(ctx)
		if ctx.Err() != nil {
			return r, ctx.Err()
		}
		if c.attack == nil {
			r.Good++
			r.good(i, c.arg, got, err)
			continue
		}
		r.Hostile++
		info, _ := c.future.Info()
		r.hostile(c.attack, err, info.Ran, c.attack.limit+c.attack.work+cmp.Or(p.Slack, defaultSlack))
	}
	return r, nil
}

func (r *Report) good(i int, arg, got []byte, err error) {
	want := arg
	if i%2 == 0 {
		want = append(binary.LittleEndian.AppendUint32(nil, crc32.ChecksumIEEE(arg)), bytes.ToUpper(arg)...)
	}
	if err != nil || !bytes.Equal(got, want) {
		r.wrong("good call %d returned %q, %v, want %q", i, got, err, want)
	}
}

func (r *Report) hostile(a *attack, err error, ran, bound time.Duration) {
	var e *executor.TaskError
	if !errors.As(err, &e) {
		r.wrong("%v: got %v, want a task's error", a, err)
		return
	}
	if r.Kinds[e.Kind] == nil {
		r.Kinds[e.Kind] = &Times{}
	}
	if r.Kinds[e.Kind].add(a, ran, bound); ran <= 0 || ran > bound {
		r.wrong("%v: it ran for %v, its bound is %v", a, ran, bound)
	}
	if !slices.Contains(a.kinds, e.Kind) || !errors.Is(err, e.Kind) {
		r.wrong("%v: got %v, want one of %v", a, err, a.kinds)
	}
	if e.Usage.Memory > Limits.Memory {
		r.wrong("%v: it had %d bytes of memory", a, e.Usage.Memory)
	}
}
