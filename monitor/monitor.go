package monitor

import (
	"cmp"
	"context"
	"errors"
	"iter"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/feed"
)

// Config holds a monitor's settings. The zero value is ready to use.
type Config struct {
	// Title says what the job is, such as its command line. Defaults to the name of the program.
	Title string

	// Token is what those must give who kill calls or drain the job. Defaults to a random one.
	Token string

	// Hosts are further names under which the page may be asked for, such as that of a proxy. IP addresses, localhost,
	// this host's name and that which [Serve] listens on always are.
	Hosts []string

	// Drain makes the program begin no call any more, with the reason that somebody gave. It must not block. Where it is nil the page has no
	// button for it.
	Drain func(reason string)

	// Progress says how far the inputs have come, where the program knows. It is called each second, on a goroutine of the
	// monitor, and must not block. Where it is nil, calls are counted.
	Progress func() Progress

	// Name says which input a call is, by its number, for lists of failures and of running calls; it may return "". It must not block.
	Name func(call uint64) string
}

// Progress is how far a program has come with its inputs.
type Progress struct {
	Total  int64  // how many inputs there are; -1 where it is not known yet
	Done   uint64 // inputs that have a result, without those of Kept
	Failed uint64 // inputs that have failed for good
	Kept   uint64 // inputs whose results were there before the job, from an earlier one

	// What the program waits for, and for how long; 0 is not. See [State].Why.
	Input  time.Duration // the next input
	Output time.Duration // that a result can be written
	Behind uint64        // the call whose result is the next to be written, where others have theirs already; 0 is none
}

// A Pool is what a monitor watches: an [executor.Executor], whose methods these are, or what stands for one.
type Pool interface {
	Watch(ctx context.Context, every time.Duration) iter.Seq2[*feed.Update, error]
	Report(ctx context.Context) (executor.Report, error)
	KillCall(ctx context.Context, number uint64, reason string) (bool, error)
	KillTask(ctx context.Context, task, reason string) (int, error)
	KillTag(ctx context.Context, tag, reason string) (int, error)
	KillAll(ctx context.Context, reason string) (int, error)
}

// A Monitor watches a pool. Its methods may be called by several goroutines at once.
type Monitor struct {
	pool  Pool
	cfg   Config
	token string
	hosts []string

	cancel context.CancelFunc // ends the goroutines
	done   sync.WaitGroup     // the goroutines
	looked atomic.Int64       // when somebody last looked, in Unix nanoseconds

	events  broadcast
	metrics *metrics
	closed  sync.Once

	mu    sync.Mutex
	model *model
}

// New begins to watch a pool until that ends, ctx ends, or Close. When it returns, the first update has been taken in: what
// happens from then on is counted.
func New(ctx context.Context, pool Pool, cfg Config) (*Monitor, error) {
	m := newMonitor(pool, cfg)
	ctx, m.cancel = context.WithCancel(ctx)
	first := make(chan error, 1)
	m.done.Add(2)
	go m.watch(ctx, first)
	go m.ask(ctx)
	if err := <-first; err != nil {
		return nil, errors.Join(err, m.Close())
	}
	return m, nil
}

// newMonitor returns a monitor that does not watch yet.
func newMonitor(pool Pool, cfg Config) *Monitor {
	host, err := os.Hostname()
	if err != nil {
		host = "localhost" // for the page only
	}
	m := &Monitor{pool: pool, cfg: cfg, token: cmp.Or(cfg.Token, newToken()), hosts: append([]string{"localhost", host}, cfg.Hosts...), metrics: newMetrics()}
	m.model = newModel(Job{
		Title: line(cmp.Or(cfg.Title, programName())), Host: host, PID: os.Getpid(), Started: time.Now(), Acts: cfg.Drain != nil,
	}, cfg.Name)
	return m
}

// every is the time from one update to the next.
const every = time.Second

// watch takes updates in until there are no more. It sends one error, or nil, when the first has been taken in.
func (m *Monitor) watch(ctx context.Context, first chan<- error) {
	defer m.done.Done()
	told := false
	var failed error
	for u, err := range m.pool.Watch(ctx, every) {
		failed = err
		if err == nil {
			m.take(u)
		}
		if !told {
			first <- err
			told = true
		}
	}
	switch {
	case failed == nil:
		m.end("the pool has ended", false)
	case ctx.Err() != nil:
		m.end("nobody watches it any more", false)
	default:
		m.end(failed.Error(), false)
	}
	m.cancel()
}

// take takes an update in.
func (m *Monitor) take(u *feed.Update) {
	var p *Progress
	if m.cfg.Progress != nil {
		now := m.cfg.Progress()
		p = &now
	}
	m.mu.Lock()
	m.model.take(u, p)
	m.mu.Unlock()
	m.metrics.take(u)
	m.events.send(m)
}

// State returns how the job is now, with the running calls that the workers told of last. It does not block.
func (m *Monitor) State() *State {
	m.looked.Store(time.Now().UnixNano())
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.model.state(time.Now(), part{whole: true})
}

// Drain has the program begin no call any more. It reports false where the program cannot, see [Config].
func (m *Monitor) Drain(reason string) bool {
	if m.cfg.Drain == nil {
		return false
	}
	m.mu.Lock()
	m.model.job.Drained = line(cmp.Or(reason, "somebody asked for it"))
	m.mu.Unlock()
	m.cfg.Drain(reason)
	return true
}

// Token returns what those must give who kill calls or drain the job.
func (m *Monitor) Token() string { return m.token }

// End says how the job has ended: what the page and the report say of it from now on. A later one counts.
func (m *Monitor) End(outcome string) { m.end(outcome, true) }

// end takes in that the job has ended. What the program says counts more than what the monitor sees.
func (m *Monitor) end(outcome string, told bool) {
	m.mu.Lock()
	m.model.end(time.Now(), line(outcome), told)
	m.mu.Unlock()
	m.events.send(m)
}

// Close ends the watch, with all that has happened until then taken in. The last State stays, and the handler goes on to give it out; those
// who listen are let go. It waits until the monitor's goroutines have ended, and returns nil.
func (m *Monitor) Close() error {
	m.closed.Do(func() {
		m.cancel()
		m.done.Wait()
		m.events.close()
	})
	return nil
}
