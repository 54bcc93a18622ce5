package host

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wasmpool/wasmpool/internal/cachedir"
	"github.com/wasmpool/wasmpool/internal/compile"
	"github.com/wasmpool/wasmpool/internal/memory"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// CacheEnv names the environment variable that overrides wasmpool's cache
// folder.
const CacheEnv = cachedir.Env

// Config holds a Host's settings. The zero value is ready to use.
type Config struct {
	// CacheDir is the folder for compiled modules. A user who may write to it may run
	// native code as this one: it is made for this user alone, and a folder that others
	// can write to, or that belongs to somebody else, is not used, nor one in such a
	// folder. Beyond 2 GiB the modules that were not used for longest are removed; all of
	// it may be, at any time.
	//
	// Defaults to "compiled" in the folder that WASMPOOL_CACHE names, or in "wasmpool" in
	// [os.UserCacheDir]. Where there is none, no compiled module is kept.
	CacheDir string

	// MemoryLimit bounds the linear memory of one instance, in bytes. Memory that the
	// node, a control group or an rlimit does not give cannot be had in any case: the call
	// that wants it fails with [KindMemory]. See docs/limits.md.
	//
	// Defaults to the most that a module can use, 2 GiB; more is an error. See
	// docs/engine.md.
	MemoryLimit uint64

	// Limits are those of a call that does not set its own, which may go up to
	// MemoryLimit. See [Limits] for their defaults.
	Limits Limits

	// NoMeter leaves modules without ticks: they run some 8 % faster, but a guest
	// that computes cannot be stopped, its time and instructions are not
	// limited, and a garbage collection waits for it while everything else in
	// the process stands still. See docs/limits.md.
	NoMeter bool

	// Isolation says what a call finds of those that ran before it on its slot.
	//
	// Defaults to [IsolationReuse]: instances are reused as they are.
	Isolation Isolation

	// MaxCallsPerInstance is after how many calls a slot replaces its instance of a
	// module by a new one.
	//
	// Defaults to never.
	MaxCallsPerInstance int

	// KeepMemory is the largest linear memory, in bytes, with which an instance is kept
	// for the next call: a larger instance is closed, so that a slot does not hold for
	// ever the memory that one call needed.
	//
	// Defaults to 512 MiB, or less where there are so many slots that the instances they
	// keep would take a quarter of the memory that there is.
	KeepMemory uint64

	// Grants say what modules may see of the world outside, by the modules' names:
	// folders, environment, clock, randomness; never the network. [EveryModule] stands for
	// the modules that are not named.
	//
	// Defaults to nothing at all.
	Grants map[string]Grants

	// AllowLarge raises the bounds on the sizes of modules, and eight times what compiling one may take of time and
	// memory: for modules that one trusts not to be made to keep the compiler busy. docs/limits.md has the bounds.
	//
	// Defaults to bounds that nearly all real modules keep.
	AllowLarge bool

	// StubImports lets modules import functions that nobody offers: a call that calls one ends with a trap that
	// names it. So a module runs that was built for another host, and does not need all of that.
	//
	// Defaults to refusing such modules.
	StubImports bool

	// Initializer names a task, "export" or "module.export", that runs once in
	// each new instance of a module that has it, with InitArg, before the instance's
	// first call. It is not counted as a call, and takes no part in the call's limits: it
	// may take a minute, or as long as the call where that is more. When it fails, the
	// call fails with [KindInitializer].
	//
	// Defaults to none.
	Initializer string
	InitArg     []byte

	// Compiler compiles the modules, for a process that is confined: the host then
	// only reads in the compiler's cache folder, in place of CacheDir.
	//
	// Defaults to none.
	Compiler *Compiler

	// Logger receives what the host has to say.
	//
	// Defaults to discarding it.
	Logger *slog.Logger
}

// Validate returns an error for settings that make no sense, which names the field.
func (c Config) Validate() error {
	switch {
	case c.MemoryLimit > 0 && c.MemoryLimit < wasmbin.PageSize:
		return fmt.Errorf("host: Config.MemoryLimit is %d bytes, must be at least %d, a page", c.MemoryLimit, wasmbin.PageSize)
	case c.MemoryLimit > compile.MaxMemory:
		return fmt.Errorf("host: Config.MemoryLimit is %d, but a module can use no more than %d bytes", c.MemoryLimit, uint64(compile.MaxMemory))
	case c.MaxCallsPerInstance < 0:
		return fmt.Errorf("host: Config.MaxCallsPerInstance is %d, must be at least 1, or 0 for never", c.MaxCallsPerInstance)
	case c.Isolation > IsolationFresh:
		return fmt.Errorf("host: Config.Isolation is %d, must be IsolationReuse, IsolationReset or IsolationFresh", c.Isolation)
	case len(c.InitArg) > 0 && c.Initializer == "":
		return fmt.Errorf("host: Config.InitArg has %d bytes, but Config.Initializer names no task", len(c.InitArg))
	}
	for _, module := range slices.Sorted(maps.Keys(c.Grants)) {
		if err := c.Grants[module].Validate(); err != nil {
			return fmt.Errorf("host: Config.Grants of module %s: %w", module, err)
		}
	}
	return nil
}

func (c Config) withDefaults() Config {
	c.MemoryLimit = cmp.Or(c.MemoryLimit, compile.MaxMemory)
	c.Limits = c.Limits.withDefaults(c.MemoryLimit)
	c.KeepMemory = cmp.Or(c.KeepMemory, 512<<20)
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.CacheDir == "" {
		c.CacheDir = cachedir.Default("compiled")
	}
	return c
}

// pipeline returns the settings by which modules become code.
func (c Config) pipeline() (compile.Config, error) {
	rules, err := c.rules()
	p := compile.Config{CacheDir: c.CacheDir, Rules: rules, NoMeter: c.NoMeter, Reset: c.Isolation == IsolationReset, Logger: c.Logger}
	if c.Compiler != nil {
		p.Compiler = c.Compiler.process
	}
	return p, err
}

// rules returns which modules may run.
func (c Config) rules() (compile.Rules, error) {
	functions, err := offers()
	return compile.Rules{
		MemoryLimit: cmp.Or(c.MemoryLimit, compile.MaxMemory), Offers: functions, AllowLarge: c.AllowLarge, StubImports: c.StubImports,
	}, err
}

// A Host loads modules, each once, and offers slots to run their tasks in. It
// is safe for concurrent use.
type Host struct {
	cfg       Config
	ctx       context.Context //nolint:containedctx // it ends the loads that wait for another process
	cancel    context.CancelFunc
	loads     sync.WaitGroup
	pipeline  *compile.Pipeline
	files     atomic.Int64 // how many guests have open
	mostFiles int64        // how many they may have open; fewer in tests
	memory    *memory.Account
	moves     bool          // linear memory may move when it grows, so that no space is reserved
	keep      atomic.Uint64 // see keepMemory
	stopwatch stopwatch

	mu     sync.Mutex
	codes  map[wasmtasks.Digest]*loading
	loaded map[programKey]*Module
	slots  int // open ones; the code they run is kept until the last closes
	closed bool

	reclaiming bool // memory is about to be given back to the system
}

// Config returns the host's settings, with the defaults filled in. CacheDir is "" where
// no compiled module is kept. What it refers to is not to be changed.
func (h *Host) Config() Config { return h.cfg }

// A programKey tells modules apart by what they run and what they are granted.
type programKey struct {
	name   string
	digest wasmtasks.Digest
}

// A loading is a module's code on its way. code and err are set when done is
// closed.
type loading struct {
	done chan struct{}
	code *compile.Code
	err  error
}

// New returns a Host. It does next to nothing: the work begins with
// [Host.Load].
func New(cfg Config) (*Host, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	cfg = cfg.withDefaults()
	pipeline, err := cfg.pipeline()
	if err != nil {
		return nil, err
	}
	h := &Host{cfg: cfg, pipeline: compile.New(pipeline), mostFiles: mostDescriptors() / 2, codes: make(map[wasmtasks.Digest]*loading), loaded: make(map[programKey]*Module)}
	h.cfg.CacheDir = h.pipeline.CacheDir()
	h.memory = memory.Process()
	h.moves = h.memory.Bounds().Moves()
	h.ctx, h.cancel = context.WithCancel(context.Background())
	return h, nil
}

// Load makes a module ready to run. It compiles it, or takes the code from the
// cache folder, once per digest: others who load the same module wait for the
// one that began. It blocks until then or until ctx ends; the work itself goes
// on and serves the next Load. A Go guest takes half a second to compile and
// some 20 ms from the cache. The error is an [*Error]: of kind
// [KindBadModule] it will be the same each time.
func (h *Host) Load(ctx context.Context, m *wasmtasks.Module) (*Module, error) {
	l, err := h.begin(m)
	if err != nil {
		return nil, err
	}
	select {
	case <-l.done:
	case <-ctx.Done():
		return nil, endedError(ctx)
	}
	if l.err != nil {
		return nil, named(m.Name(), l.err)
	}
	return h.program(m, l.code)
}

// program adds to a module's code what depends on its name.
func (h *Host) program(m *wasmtasks.Module, c *compile.Code) (*Module, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed { // meanwhile, and with it what was loaded
		return nil, errorf(KindHost, "%w", ErrClosed)
	}
	key := programKey{m.Name(), m.Digest()}
	if mod := h.loaded[key]; mod != nil {
		return mod, nil
	}
	grants, err := h.cfg.GrantsOf(m)
	if err != nil {
		return nil, named(m.Name(), err)
	}
	open, err := grants.open()
	if err != nil {
		return nil, named(m.Name(), err)
	}
	p := &program{Code: c, digest: m.Digest(), draws: draws(m.Bytes()), command: isCommand(m), grants: open}
	mod := newModule(m, p)
	p.initializer, _ = mod.Task(strings.TrimPrefix(h.cfg.Initializer, m.Name()+".")) // most have none
	h.loaded[key] = mod
	return mod, nil
}

// begin starts to load the module's code unless that was done before.
func (h *Host) begin(m *wasmtasks.Module) (*loading, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.closed {
		return nil, errorf(KindHost, "%w", ErrClosed)
	}
	l := h.codes[m.Digest()]
	if l == nil {
		l = &loading{done: make(chan struct{})}
		h.codes[m.Digest()] = l
		h.loads.Go(func() {
			defer close(l.done)
			l.code, l.err = h.compile(m)
		})
	}
	return l, nil
}

// compile turns a module's bytes into code, with all that it may import.
func (h *Host) compile(m *wasmtasks.Module) (*compile.Code, error) {
	c, err := h.pipeline.Load(h.ctx, m)
	if err != nil {
		return nil, compileError(err)
	}
	if err := instantiateImports(h.ctx, c.Runtime, c.Stubs); err != nil {
		return nil, errorf(KindHost, "%w", errors.Join(err, c.Close()))
	}
	return c, nil
}

// named returns err with the module's name in its message.
func named(module string, err error) error {
	var e *Error
	if !errors.As(err, &e) {
		e = errorf(KindHost, "%w", err)
	}
	n := *e
	n.Message = fmt.Sprintf("module %s: %s", module, e.Message)
	return &n
}

// NewSlot returns a place where calls run, one at a time. A worker has as many
// as it runs calls at once. Close the slot to free its instances.
func (h *Host) NewSlot() *Slot {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.slots++
	h.keep.Store(min(h.cfg.KeepMemory, max(h.memory.Total()/keptShare/uint64(h.slots), leastKept)))
	s := &Slot{host: h, warm: make(map[warmKey]*instance), limits: &h.cfg.Limits}
	s.long.account, s.arg.account = h.memory, h.memory
	s.orders.wake = make(chan struct{}, 1)
	s.renews = h.cfg.Isolation != IsolationReuse || h.cfg.MaxCallsPerInstance > 0
	return s
}

const (
	// keptShare is which part of the memory that guests may have the warm instances of
	// one module may hold.
	keptShare = 4

	// leastKept is what a warm instance may hold in any case.
	leastKept = 16 << 20
)

// keepMemory returns how large an instance may be that is kept for the next call.
func (h *Host) keepMemory() uint64 { return h.keep.Load() }

// crashed is told that an instance was thrown away. What its guest had of stack, up
// to 100 MB, would only be given back by the next collection, which may be minutes
// away.
func (h *Host) crashed() {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.reclaiming || h.closed {
		return
	}
	h.reclaiming = true
	h.loads.Go(func() {
		select { // one collection is enough for many crashes
		case <-time.After(reclaimAfter):
			debug.FreeOSMemory()
		case <-h.ctx.Done():
		}
		h.mu.Lock()
		defer h.mu.Unlock()
		h.reclaiming = false
	})
}

// reclaimAfter is how long the host waits for further crashes.
const reclaimAfter = time.Second

// slotClosed notes that a slot was closed.
func (h *Host) slotClosed() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.slots--
	return h.freeUnused()
}

// Close refuses further loads, waits for those under way, and frees the
// compiled code as soon as the last slot is closed. Calling it again is fine.
func (h *Host) Close() error {
	h.mu.Lock()
	h.closed = true
	h.mu.Unlock()
	h.cancel()
	h.loads.Wait()
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.freeUnused()
}

// freeUnused frees the code if no slot may still run it. mu is held.
func (h *Host) freeUnused() error {
	if !h.closed || h.slots > 0 {
		return nil
	}
	var errs []error
	for _, l := range h.codes {
		<-l.done
		if l.code != nil {
			errs = append(errs, l.code.Close())
		}
	}
	for _, mod := range h.loaded {
		errs = append(errs, mod.code.grants.close())
	}
	clear(h.codes)
	clear(h.loaded)
	return errors.Join(errs...)
}
