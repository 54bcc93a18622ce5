package executor

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"sync"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/dispatcher"
)

// A Memo keeps results beyond the end of the pool: package memo has one. What a key stands for never changes, so
// what is found is what the call would give. All methods but Open and Close are safe for concurrent use.
type Memo interface {
	// Open is called on the root, before the pool has workers, and Close when it has ended: an error of either is one of
	// the pool. They may block.
	Open() error
	Close() error

	// Find returns the result that is kept under a key, which the caller owns then. It may block, at most until ctx ends: on the
	// goroutine that submits the call. For a call of [Future.Then] that is one of its own, and ctx ends with the pool.
	Find(ctx context.Context, key *MemoKey) (result []byte, found bool)

	// Keep keeps a result, of which it makes a copy. It must not block.
	Keep(key *MemoKey, result []byte)

	// Drop has what is kept under a key not be found again. It must not block.
	Drop(key *MemoKey)
}

// A MemoKey is what a result is known by.
type MemoKey struct {
	Task *MemoTask
	Arg  [sha256.Size]byte // the SHA-256 of the argument
	Sum  [sha256.Size]byte // of the task's digest, of the shared inputs and of Arg: the key itself
}

// A MemoTask is a task with all, but for the argument and the shared inputs, that decides what it gives. It never changes.
type MemoTask struct {
	Digest   [sha256.Size]byte // of all
	Name     string            // the export and the beginning of the module's digest, as "square@2f9f1c1b7a40"
	Settings string            // all, as JSON: docs/data.md has its members
}

// Pure declares that the result of the task depends on nothing but its argument, also where an instance
// is used again. So a memo may have it under [host.IsolationReuse], where a call could otherwise find what others have left, and the call may run
// twice for Config.Speculate and Config.SpotCheck. Nobody checks that, but Config.VerifyMemo and Config.SpotCheck. Results that rest on this are found by calls that declare it, too, and by no others.
func Pure() CallOption {
	return optionFunc(func(s *settings) error {
		s.pure = true
		return nil
	})
}

// WithoutMemo has a call run whatever Config.Memo has, and its result not be kept: so its task may see the world.
func WithoutMemo() CallOption {
	return optionFunc(func(s *settings) error {
		s.unkept = true
		return nil
	})
}

// A keptResults is what a pool with a memo knows of it. It is safe for concurrent use.
type keptResults struct {
	memo   Memo
	ctx    context.Context //nolint:containedctx // ends with the pool
	cancel context.CancelFunc
	pool   *pool
	share  float64  // of what is found that runs again
	tasks  sync.Map // memoSettings → *MemoTask
	warned sync.Map // of *dispatcher.Task: that its results cannot be kept
}

// memoSettings are what is besides the pool's settings.
type memoSettings struct {
	task   *dispatcher.Task
	limits Limits
	pure   bool
	more   float64 // of the memory, for further attempts
}

// openMemo opens the memo of the pool, if there is one.
func (p *pool) openMemo() error {
	if p.cfg.Memo == nil {
		return nil
	}
	if err := p.cfg.Memo.Open(); err != nil {
		return fmt.Errorf("executor: Config.Memo: %w", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	p.kept = &keptResults{memo: p.cfg.Memo, ctx: ctx, cancel: cancel, pool: p, share: p.cfg.VerifyMemo}
	return nil
}

// closeMemo closes it.
func (p *pool) closeMemo() error {
	if p.kept == nil {
		return nil
	}
	p.kept.cancel()
	if err := p.cfg.Memo.Close(); err != nil {
		return fmt.Errorf("executor: Config.Memo: %w", err)
	}
	return nil
}

// taskOf returns the task of calls with those settings, nil where their results are not kept.
func (k *keptResults) taskOf(t *dispatcher.Task, s *settings) (*MemoTask, error) {
	if k == nil || s.unkept {
		return nil, nil
	}
	id := memoSettings{task: t, pure: s.pure && k.pool.cfg.Sandbox.Isolation == host.IsolationReuse}
	if o := s.options; o != nil {
		if o.Limits != nil {
			id.limits = *o.Limits
		}
		if o.Retry != nil && o.Retry.MoreMemory > 1 {
			id.more = o.Retry.MoreMemory
		}
	}
	if known, ok := k.tasks.Load(id); ok {
		return known.(*MemoTask), nil //nolint:forcetypeassert // what is stored below
	}
	module := t.Module()
	if err := k.pool.cfg.refuses(needsPure{"Memo", "WithoutMemo"}, module, s.pure); err != nil {
		return nil, err
	}
	made, err := k.pool.cfg.memoTask(&id)
	if err != nil {
		return nil, err
	}
	known, _ := k.tasks.LoadOrStore(id, made)
	return known.(*MemoTask), nil //nolint:forcetypeassert // likewise
}

// memoTask makes the task of some settings. A limit of time is not among what decides: a call that goes past it has no result.
func (c Config) memoTask(id *memoSettings) (*MemoTask, error) {
	s := c.Sandbox
	limits := s.EffectiveLimits(&id.limits)
	module := id.task.Module().Digest().String()
	grants, err := s.GrantsOf(id.task.Module())
	if err != nil {
		return nil, err
	}
	all := struct {
		Module       string   `json:"module"` // SHA-256
		Task         string   `json:"task"`
		Args         []string `json:"args,omitempty"`
		Keep         string   `json:"keep,omitempty"`
		ResultFile   string   `json:"result_file,omitempty"`
		Memory       uint64   `json:"memory"`
		Most         uint64   `json:"memory_limit"`
		Output       uint64   `json:"output"`
		Log          uint64   `json:"log"`
		Instructions uint64   `json:"instructions"`
		More         float64  `json:"more_memory,omitempty"`
		Pure         bool     `json:"pure,omitempty"`
		NoMeter      bool     `json:"no_meter,omitempty"`
		StubImports  bool     `json:"stub_imports,omitempty"`
		Initializer  string   `json:"initializer,omitempty"`
		InitArg      string   `json:"init_arg,omitempty"` // SHA-256
		Host         string   `json:"host"`
	}{
		Module: module, Task: id.task.Export(), Args: grants.Args, Keep: keepText(grants.Keep, s.Isolation), ResultFile: grants.ResultFile,
		Memory: limits.Memory, Most: s.EffectiveLimits(&Limits{Memory: Unlimited}).Memory,
		Output: limits.Output, Log: limits.Log, Instructions: limits.Instructions,
		More: id.more, Pure: id.pure, NoMeter: s.NoMeter, StubImports: s.StubImports, Initializer: s.Initializer, Host: host.Version(),
	}
	if s.Initializer != "" {
		sum := sha256.Sum256(s.InitArg)
		all.InitArg = hex.EncodeToString(sum[:])
	}
	text, err := json.Marshal(all)
	if err != nil {
		return nil, fmt.Errorf("executor: Config.Memo: %w", err)
	}
	return &MemoTask{Digest: sha256.Sum256(text), Name: all.Task + "@" + module[:12], Settings: string(text)}, nil
}

// keepText says how a command is kept; "" where it is not. Whether its input ends behind the argument depends on the isolation.
func keepText(k host.Keep, i host.Isolation) string {
	switch {
	case k == host.KeepNot:
		return ""
	case i == host.IsolationFresh:
		return k.String() + ", fresh"
	}
	return k.String()
}

// sumShared returns what a key has of all shared inputs. It is zero without any.
func sumShared(all *dispatcher.SharedInputs) (sum [sha256.Size]byte) {
	if all == nil {
		return sum
	}
	return sha256.Sum256([]byte(all.Key()))
}

// set makes the key of a call.
func (key *MemoKey) set(t *MemoTask, shared, arg []byte) {
	key.Task, key.Arg = t, sha256.Sum256(arg)
	var all [3 * sha256.Size]byte
	copy(all[:], t.Digest[:])
	copy(all[sha256.Size:], shared)
	copy(all[2*sha256.Size:], key.Arg[:])
	key.Sum = sha256.Sum256(all[:])
}

// find looks for the result of a call. Where there is none, or the call is to run all the same, it returns the options for
// that.
func (k *keptResults) find(ctx context.Context, t *MemoTask, s *settings, arg []byte) (result []byte, found bool, options *dispatcher.Options) {
	var key MemoKey
	var shared [sha256.Size]byte
	if s.options != nil {
		shared = sumShared(s.options.Shared)
	}
	key.set(t, shared[:], arg)
	result, found = k.memo.Find(ctx, &key)
	verify := found && k.share > 0 && rand.Float64() < k.share //nolint:gosec // which are looked at again is of no account to anybody
	if found && !verify {
		return result, true, nil
	}
	c := &keptCall{of: k, key: key, again: verify, expected: result}
	if s.options != nil {
		c.options = *s.options
	}
	c.options.Keeper, c.options.Find = c, nil
	return nil, false, &c.options
}

// sequel has the result of a call be looked for once its argument, another's result, is known.
func (k *keptResults) sequel(t *dispatcher.Task, s *settings) error {
	task, err := k.taskOf(t, s)
	if task == nil || err != nil {
		return err
	}
	of := *s
	s.options = &dispatcher.Options{}
	if of.options != nil {
		*s.options = *of.options
	}
	s.options.Find = func(arg []byte) ([]byte, bool, *dispatcher.Options) {
		return k.find(k.ctx, task, &of, arg)
	}
	return nil
}

// A keptCall is a call whose result is to be kept, or compared.
type keptCall struct {
	options  dispatcher.Options
	of       *keptResults
	key      MemoKey
	again    bool   // its result was found,
	expected []byte // and was this
}

// Keep implements [dispatcher.Keeper].
func (c *keptCall) Keep(call *dispatcher.Call, result []byte, asked bool) {
	switch {
	case c.again && !bytes.Equal(result, c.expected):
		c.differs(call, result)
	case c.again:
	case asked:
		c.warn(call)
	default:
		c.of.memo.Keep(&c.key, result)
	}
}

// warn says, once for a task, that its results are not kept.
func (c *keptCall) warn(call *dispatcher.Call) {
	if _, was := c.of.warned.LoadOrStore(call.Task(), true); was {
		return
	}
	p := c.of.pool
	text := keptText{call.TaskName(), "has asked which call it is, or on which rank it runs"}
	p.calls.add(text, func() {
		p.cfg.Logger.Warn("the results of a task are not kept in the memo, as they may be other ones next time: it has asked for the call's number, its attempt or its rank", "task", text.task)
	})
}

// differs says that a call has given something else than was found, of which the memo then has neither.
func (c *keptCall) differs(call *dispatcher.Call, result []byte) {
	p := c.of.pool
	p.dispatcher.Differed()
	c.of.memo.Drop(&c.key)
	kept, now := sha256.Sum256(c.expected), sha256.Sum256(result)
	rank, node := call.Worker()
	tags := c.options.Tags
	text := keptText{call.TaskName(), "has given another result than the memo has"}
	number := call.Number()
	p.calls.add(text, func() {
		p.cfg.Logger.Error("a call has given another result than the memo has: bad memory or a bad CPU, then or now, or the task is not of its argument alone; the memo keeps neither",
			"task", text.task, "call", number, "tags", tags, "argument", hex.EncodeToString(c.key.Arg[:]),
			"kept", hex.EncodeToString(kept[:]), "now", hex.EncodeToString(now[:]), "rank", rank, "host", node)
	})
}

// A keptText is what a log line is of.
type keptText struct{ task, what string }

// String implements [fmt.Stringer].
func (t keptText) String() string { return t.task + " " + t.what }

// lookUp looks for the result of the call of a future, and resolves it if there is one.
func (ex *Executor) lookUp(ctx context.Context, f *Future, t *dispatcher.Task, s *settings, arg []byte) (found bool, err error) {
	task, err := ex.kept.taskOf(t, s)
	if task == nil || err != nil {
		return false, err
	}
	return ex.recall(ctx, &f.call, task, s, arg, func(int64) {})
}

// recall looks whether the memo has the result of a call that was prepared: then it is resolved with it. With an error
// nothing was done.
//
// told is told the length of the result before the call is resolved.
func (ex *Executor) recall(ctx context.Context, c *dispatcher.Call, t *MemoTask, s *settings, arg []byte, told func(result int64)) (found bool, err error) {
	result, found, options := ex.kept.find(ctx, t, s, arg)
	if !found {
		c.Prepare(&ex.owner, c.Task(), arg, s.priority, options)
		return false, nil
	}
	if !ex.dispatcher.Takes() {
		return false, ex.dispatcher.Closed()
	}
	if err := ex.enter(); err != nil {
		return false, err
	}
	told(int64(len(result)))
	c.Find(result)
	return true, nil
}
