package host

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"sync"

	"github.com/wasmpool/wasmpool/internal/wasmbin"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// A Compiler is a process that compiles modules for hosts which, being confined, can
// neither start a process nor write to the cache folder: with [Config.Compiler] a Host
// only reads there. The process is this program again, which an init of this package
// takes over. It compiles one module at a time, in a child each, as a Host does.
//
// It is safe for concurrent use.
type Compiler struct {
	dir string // the cache folder it fills
	cmd *exec.Cmd

	mu  sync.Mutex // held while a module is compiled
	in  io.WriteCloser
	out *json.Decoder
	bad error // why it is of no more use

	close    sync.Once
	closeErr error
}

// compilerEnv is set for the process of a Compiler.
const compilerEnv = "WASMPOOL_COMPILER"

// A compilerOrder is what such a process is told first: the settings of a Host that
// decide what it compiles.
type compilerOrder struct {
	CacheDir    string
	MemoryLimit uint64
	NoMeter     bool
	Isolation   Isolation
}

// A compilerRequest stands before the bytes of a module.
type compilerRequest struct {
	Name string
	Size int
}

// A compilerReply tells the cache folder, at first, or what became of a module.
type compilerReply struct {
	CacheDir string
	Kind     Kind `json:",omitempty"` // 0 when it is in the cache
	Message  string
}

// StartCompiler starts a process that compiles for hosts with these settings. Where
// there is no cache folder, it makes one that lasts as long as it does. It blocks until the
// process has said which. Close ends it; it ends by itself when this process does.
func StartCompiler(cfg Config) (*Compiler, error) {
	cfg = cfg.withDefaults()
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("host: starting a compiler: %w", err)
	}
	cmd := exec.Command(self) //nolint:noctx // Close ends it
	cmd.Env = append(os.Environ(), compilerEnv+"=1")
	cmd.Stderr = os.Stderr
	ownGroup(cmd)
	in, inErr := cmd.StdinPipe()
	out, outErr := cmd.StdoutPipe()
	if err := errors.Join(inErr, outErr); err != nil {
		return nil, fmt.Errorf("host: starting a compiler: %w", err)
	}
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("host: starting a compiler: %w", err)
	}
	c := &Compiler{cmd: cmd, in: in, out: json.NewDecoder(out)}
	reply, err := c.ask(compilerOrder{cfg.CacheDir, cfg.MemoryLimit, cfg.NoMeter, cfg.Isolation}, nil)
	if err == nil && reply.Kind != 0 {
		err = errors.New(reply.Message)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("host: starting a compiler: %w", err), c.Close())
	}
	c.dir = reply.CacheDir
	return c, nil
}

// CacheDir is the folder it fills. A confined process must be able to read it.
func (c *Compiler) CacheDir() string { return c.dir }

// ask sends a message, and bytes after it, and waits for the reply.
func (c *Compiler) ask(message any, data []byte) (compilerReply, error) {
	var reply compilerReply
	text, err := json.Marshal(message)
	if err == nil {
		_, err = c.in.Write(append(text, '\n'))
	}
	if err == nil {
		_, err = c.in.Write(data)
	}
	if err == nil {
		err = c.out.Decode(&reply)
	}
	return reply, err
}

// compile fills the cache folder with a module. It blocks until that is done; only
// Close ends it early.
func (c *Compiler) compile(m *wasmtasks.Module) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bad != nil {
		return errorf(KindHost, "%w", c.bad)
	}
	reply, err := c.ask(compilerRequest{m.Name(), len(m.Bytes())}, m.Bytes())
	if err != nil {
		c.bad = fmt.Errorf("the process that compiles modules is gone: %w", err)
		return errorf(KindHost, "%w", c.bad)
	}
	if reply.Kind != 0 {
		return errorf(reply.Kind, "%s", reply.Message)
	}
	return nil
}

// Close ends the process, in the middle of a module if need be, and waits for it.
// Calling it again is fine.
func (c *Compiler) Close() error {
	c.close.Do(func() {
		c.in.Close() //nolint:errcheck // it was closed, or the process is gone
		var ended *exec.ExitError
		if err := c.cmd.Wait(); err != nil && !errors.As(err, &ended) {
			c.closeErr = fmt.Errorf("host: ending a compiler: %w", err)
		}
	})
	return c.closeErr
}

func init() {
	if os.Getenv(compilerEnv) != "" {
		os.Exit(beCompiler(os.Stdin, os.Stdout))
	}
}

// beCompiler compiles what it is sent, until the sender is gone.
func beCompiler(in io.Reader, out io.Writer) int {
	// The children that compile are this program, too, and no compilers.
	if err := os.Unsetenv(compilerEnv); err != nil {
		return 1
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	requests := bufio.NewReader(endingWith(in, cancel))
	reply := json.NewEncoder(out).Encode
	var order compilerOrder
	if err := readLine(requests, &order); err != nil {
		return 1
	}
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	cfg := Config{CacheDir: order.CacheDir, MemoryLimit: order.MemoryLimit, NoMeter: order.NoMeter, Isolation: order.Isolation, Logger: log}
	remove, err := makeCacheDir(&cfg)
	if err != nil {
		reply(compilerReply{Kind: KindHost, Message: err.Error()}) //nolint:errcheck // it is over in any case
		return 1
	}
	defer remove()
	for answer := (compilerReply{CacheDir: cfg.CacheDir}); reply(answer) == nil; {
		var r compilerRequest
		if err := readLine(requests, &r); err != nil || r.Size < 0 || r.Size > wasmbin.MaxSize {
			break
		}
		wasm := make([]byte, r.Size)
		if _, err := io.ReadFull(requests, wasm); err != nil {
			break
		}
		answer = compileInto(ctx, cfg, r.Name, wasm)
	}
	return 0
}

// makeCacheDir makes the cache folder, since who is confined can only be allowed to read
// what is there. What removes it afterwards does so only where there was to be none.
func makeCacheDir(cfg *Config) (remove func(), err error) {
	if cfg.checkCacheDir(); cfg.CacheDir != "" {
		return func() {}, os.MkdirAll(cfg.CacheDir, 0o700)
	}
	cfg.CacheDir, err = os.MkdirTemp("", "wasmpool-compiled-*")
	return func() { os.RemoveAll(cfg.CacheDir) }, err //nolint:errcheck // nothing can be done about it
}

// endingWith returns a copy of in, and calls end as soon as in ends, although the reader
// may be busy with a module: nobody waits for it any more.
func endingWith(in io.Reader, end func()) io.Reader {
	r, w := io.Pipe()
	go func() {
		_, err := io.Copy(w, in)
		end()
		w.CloseWithError(err)
	}()
	return r
}

// readLine decodes one line.
func readLine(r *bufio.Reader, into any) error {
	line, err := r.ReadSlice('\n')
	if err != nil {
		return err
	}
	return json.Unmarshal(line, into)
}

// compileInto compiles a module into the cache folder, with a Host that lasts no
// longer, so that nothing of it stays in memory.
func compileInto(ctx context.Context, cfg Config, name string, wasm []byte) compilerReply {
	err := fillCache(ctx, cfg, name, wasm)
	var e *Error
	switch {
	case err == nil:
		return compilerReply{}
	case errors.As(err, &e):
		return compilerReply{Kind: e.Kind, Message: e.Message}
	default:
		return compilerReply{Kind: KindHost, Message: err.Error()}
	}
}

func fillCache(ctx context.Context, cfg Config, name string, wasm []byte) error {
	m, err := wasmtasks.Load(name, wasm)
	if err != nil {
		return errorf(KindBadModule, "%w", err)
	}
	h, err := New(cfg)
	if err != nil {
		return err
	}
	defer h.Close()
	l, err := h.begin(m)
	if err != nil {
		return err
	}
	select {
	case <-l.done:
		return l.err
	case <-ctx.Done():
		return ctx.Err()
	}
}
