package executor

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/blob"
	"github.com/wasmpool/wasmpool/internal/dispatcher"
	"github.com/wasmpool/wasmpool/internal/memory"
	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/internal/worker"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// An Executor runs calls on a pool of workers. It lives on the root. All its
// methods are safe for concurrent use.
//
// Memory: a pending call costs 144 bytes besides its argument, which is
// not copied. Nothing is kept of a call once its future is dropped.
type Executor struct {
	*pool
	owner dispatcher.Owner // stands for the executor in its calls
	fork  *fork            // nil for the one that was opened
	keys  keyTable
}

// A pool is what an executor and its forks have in common.
type pool struct {
	cfg        Config
	tasks      dispatcher.Table
	dispatcher *dispatcher.Dispatcher
	endpoint   transport.Endpoint // nil without MPI
	own        *ownWorker         // nil without root slots
	calls      callbacks
	forks      forks
	ends       processEnds
	kept       *keptResults // nil without a memo
	repeats    repeats
	blobs      *blob.Store         // the node's
	shared     *dispatcher.Options // what Config.Shared says; nil for nothing. It is set before there are calls

	closing    sync.Once
	drained    atomic.Bool                             // by Drain
	cancelRoot atomic.Pointer[context.CancelCauseFunc] // ends what Run gave to root; nil without

	done chan struct{} // closed when everything has ended
	err  error         // set before done is closed
	last Stats         // likewise
}

// newPool returns a pool without workers, whose dispatcher does not run yet.
func newPool(cfg Config, endpoint transport.Endpoint, bell *transport.Bell) *pool {
	p := &pool{cfg: cfg, endpoint: endpoint, done: make(chan struct{})}
	p.calls.log = cfg.Logger
	p.dispatcher = dispatcher.New(dispatcher.Config{
		QueueCalls: cfg.QueueCalls, QueueBytes: cfg.QueueBytes, ResultBytes: resultBytes(cfg, memory.Process()),
		ReportAfter: max(cfg.ReportAfter, 0), Bell: bell, Agreed: cfg.agreed(), Logger: cfg.Logger,
		Fail: taskError, KindOf: kindOf, Lost: p.lost,
		Describe: func(s dispatcher.Snapshot) string { return reportOf(s).String() },
	})
	p.ends.request = func(say func(*slog.Logger)) {
		p.dispatcher.Request(func(l *dispatcher.Loop) { say(l.Log()) })
	}
	p.blobs = blob.NewStore(cfg.SharedDir, cfg.SharedBytes, cfg.Logger)
	return p
}

// newExecutor returns an executor on a pool: with a fork, one that Fork makes.
func newExecutor(p *pool, f *fork) *Executor {
	ex := &Executor{pool: p, fork: f}
	ex.owner.Dispatcher, ex.owner.Executor, ex.owner.Gone = p.dispatcher, ex, p.done
	if f != nil {
		ex.owner.Gone, ex.owner.Left = f.shut, ex.leave
	}
	return ex
}

// Local returns an executor whose calls run in this process, on
// Config.RootSlots slots. It never uses MPI. Shutdown ends it.
func Local(cfg Config) (*Executor, error) {
	if err := errors.Join(cfg.validate(), cfg.checkConfine(launcher{})); err != nil {
		return nil, err
	}
	ex, err := open(cfg.withDefaults(), nil, transport.NewBell())
	if err != nil {
		return nil, err
	}
	if err := ex.shareConfig(context.Background()); err != nil {
		ex.abandon()
		<-ex.Done()
		return nil, err
	}
	return ex, nil
}

// open starts an executor over that endpoint, which is nil without MPI.
func open(cfg Config, endpoint transport.Endpoint, bell *transport.Bell) (*Executor, error) {
	ex, err := build(cfg, endpoint, bell)
	if err != nil {
		return nil, err
	}
	go ex.run()
	return ex, nil
}

// build returns an executor whose loop does not run yet.
func build(cfg Config, endpoint transport.Endpoint, bell *transport.Bell) (built *Executor, err error) {
	holdBallast()
	ex := newExecutor(newPool(cfg, endpoint, bell), nil)
	if err := errors.Join(cfg.checkGrants(), ex.openMemo()); err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			err = join(err, ex.closeMemo())
		}
	}()
	for _, m := range cfg.Modules {
		if err := ex.Load(m); err != nil {
			return nil, err
		}
	}
	if name := cfg.Sandbox.Initializer; name != "" && len(cfg.Modules) > 0 {
		if err := ex.tasks.Has(name); err != nil {
			return nil, fmt.Errorf("executor: Config.Sandbox.Initializer: %w", err)
		}
	}
	alone := endpoint == nil || endpoint.Size() == 1
	if !alone {
		ex.dispatcher.AddWorkers(endpoint, false)
	}
	slots := cfg.RootSlots
	if slots == 0 && alone {
		slots = min(mayUse, MostSlots)
	}
	if slots > 0 {
		if err := ex.startOwn(slots, bell); err != nil {
			return nil, err
		}
	} else if alone {
		return nil, errors.New("executor: no worker ranks and no root slots: start more ranks, or leave RootSlots at 0")
	}
	return ex, nil
}

// An ownWorker serves the root's own slots.
type ownWorker struct {
	host   *host.Host
	pair   *mem.Fabric
	root   transport.Endpoint
	worker transport.Endpoint
	cancel context.CancelFunc
	done   chan struct{}
}

func (ex *Executor) startOwn(slots int, bell *transport.Bell) error {
	h, err := host.New(ex.cfg.Sandbox)
	if err != nil {
		return err
	}
	makeRoom(slots)
	own := &ownWorker{host: h, done: make(chan struct{})}
	pair := mem.Pair(bell)
	own.pair = pair
	own.root, own.worker = pair.Endpoint(0), pair.Endpoint(1)
	if v, ok := transport.As[transport.Voucher](ex.endpoint); ok {
		v.Vouch(pair.Suspect)
	}
	ctx, cancel := context.WithCancel(context.Background())
	own.cancel = cancel
	ex.own = own
	ex.dispatcher.AddWorkers(own.root, true)
	ex.dispatcher.OnBreak(own.abandon)
	go func() {
		defer close(own.done)
		err := worker.Serve(ctx, h, own.worker, worker.Config{
			Slots: slots, Modules: ex.cfg.Modules, Blobs: ex.blobs, Local: ex.dispatcher.Blob, Logger: ex.cfg.Logger,
		})
		if err != nil && ctx.Err() == nil {
			ex.dispatcher.Request(func(l *dispatcher.Loop) { l.Fail(fmt.Errorf("executor: the root's own slots: %w", err)) })
		}
	}()
	return nil
}

// run runs the loop and ends everything after it.
func (ex *Executor) run() {
	defer close(ex.done)
	defer ex.forks.end()
	last, err := ex.dispatcher.Run()
	ex.last, ex.err = statsOf(last), err
	ex.ends.end(ex.cfg.Logger)
	ex.err = join(ex.err, ex.closeMemo())
	for _, module := range ex.cfg.ungranted(ex.tasks.Loaded) {
		ex.cfg.Logger.Warn("Config.Sandbox.Grants names a module that was never loaded: is it called otherwise?", "module", module)
	}
	if name := ex.cfg.Sandbox.Initializer; name != "" && ex.tasks.Has(name) != nil {
		ex.cfg.Logger.Warn("Config.Sandbox.Initializer names a task that no module has which was loaded, so it never ran: is it called otherwise?", "task", name)
	}
	if ex.own != nil {
		ex.err = join(ex.err, ex.own.close())
	}
	if ex.endpoint != nil {
		ex.err = join(ex.err, ex.endpoint.Close())
	}
}

// join joins two errors, but leaves one alone as it is, so that it can be found in
// others.
func join(a, b error) error {
	switch {
	case a == nil:
		return b
	case b == nil:
		return a
	}
	return errors.Join(a, b)
}

// abandon ends what runs on the root's own slots, and waits until nothing reads
// an argument any more; not for ever, should a guest be stuck in a file.
func (o *ownWorker) abandon() {
	o.cancel()
	o.pair.Kill(0)
	select {
	case <-o.done:
	case <-time.After(abandonTimeout):
	}
}

const abandonTimeout = 2 * time.Second

func (o *ownWorker) close() error {
	<-o.done
	o.cancel()
	return errors.Join(o.worker.Close(), o.root.Close(), o.host.Close())
}

// mostResultBytes bounds the default of Config.ResultBytes.
const mostResultBytes = 256 << 20

// resultBytes returns how many bytes of results may be on their way at once.
func resultBytes(cfg Config, account *memory.Account) int64 {
	return cmp.Or(cfg.ResultBytes, int64(min(account.Total()/4, mostResultBytes)))
}

// Load makes the tasks of a module known. Loading the same module twice is fine;
// two different modules of one name are an error. It does not block: the
// module travels to a worker with the first call that needs it.
func (ex *Executor) Load(m *wasmtasks.Module) error { return ex.tasks.Add(m) }

// Submit hands a call of task to the pool and returns its future at once. The
// task is named "module.export", or "export" where only one module has it. The
// argument is not copied: leave it alone until the future is resolved. Memory
// outside of Go's heap must stay longer where a worker was lost or the pool broke, for
// MPI may still read it: until [Executor.Done] of the executor that was opened first.
//
// Submit blocks while too many calls wait (Config.QueueCalls, QueueBytes),
// until ctx ends; ctx does not bound the call itself, but with one that has ended nothing
// is submitted, unless others have submitted the call meanwhile, by its [Key]. It never returns nil: what goes wrong, such as an unknown task, comes
// from the future.
func (ex *Executor) Submit(ctx context.Context, task string, arg []byte, opts ...CallOption) *Future {
	f, _ := ex.submit(ctx, task, arg, false, opts)
	ex.dispatcher.Serve()
	return f
}

// submit is Submit, but for telling the loop. The argument of a call that others
// may wait for is copied with clone: then it may outlast what it is submitted by. Whether
// others may is told: once the call is under way its options are the loop's.
func (ex *Executor) submit(ctx context.Context, task string, arg []byte, clone bool, opts []CallOption) (f *Future, keyed bool) {
	if err := ctx.Err(); err != nil {
		return failed(ex, err), false
	}
	t, err := ex.tasks.Lookup(task)
	if err != nil {
		return failed(ex, err), false
	}
	set, err := settingsOf(opts)
	if err != nil {
		return failed(ex, err), false
	}
	if keyed = set.keyed; keyed {
		key := set.key
		set.rare().Settling = func(c *dispatcher.Call) { ex.keys.forget(key, c) }
		if clone {
			arg = bytes.Clone(arg)
		}
	}
	f = &Future{}
	if err := set.within(ex.pool, t); err != nil {
		return failed(ex, err), false
	}
	set.prepare(&f.call, ex, t, arg)
	if ex.kept != nil {
		if found, err := ex.lookUp(ctx, f, t, &set.settings, arg); err != nil {
			return failed(ex, err), false
		} else if found {
			return f, false
		}
	}
	if err := ex.enter(); err != nil {
		return failed(ex, err), false
	}
	if keyed {
		first, err := ex.keys.join(set.key, f)
		if first != f {
			ex.leave()
		}
		if err != nil {
			return failed(ex, err), false
		}
		if first != f {
			return first, true
		}
	}
	err = ex.dispatcher.Add(ctx, &f.call)
	if err != nil && keyed && err == ctx.Err() && !ex.keys.giveUp(set.key, f) { //nolint:errorlint // it is the very value
		err = ex.dispatcher.TryAdd(&f.call) // others wait for it, whose contexts have not ended
	}
	if err != nil {
		f.call.Withdraw(err)
	}
	return f, keyed
}

// Call submits a call and waits for its result. When ctx ends first, the call
// is cancelled if it has not begun and killed if it runs, unless it has a key,
// by which others may wait for it; Call returns ctx's error. Then the argument may
// be read until the killed call has ended, milliseconds as a rule; not so with a key.
func (ex *Executor) Call(ctx context.Context, task string, arg []byte, opts ...CallOption) ([]byte, error) {
	f, keyed := ex.submit(ctx, task, arg, true, opts)
	if ctx.Err() == nil {
		ex.dispatcher.Attend(&f.call)
	} else {
		ex.dispatcher.Wake()
	}
	if err := f.call.Wait(ctx); err != nil {
		if !keyed && !f.Cancel() {
			f.Kill("the context of its Call has ended")
		}
		return nil, err
	}
	return f.call.Outcome()
}

// abandon ends the loop, also with calls in flight.
func (p *pool) abandon() {
	p.dispatcher.Close(ErrClosed)
	p.dispatcher.Request(func(l *dispatcher.Loop) {
		if l.Stop(false); !l.Settled() {
			l.Fail(ErrClosed)
		}
	})
}
