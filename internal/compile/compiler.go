package compile

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"

	"github.com/wasmpool/wasmpool/wasmtasks"
)

// A Compiler is a process that compiles modules for pipelines in processes which, being
// confined, can neither start a process nor write to the cache folder: see
// Config.Compiler. The process is this program, started again: compiler_process.go is what
// it does. It compiles one module at a time, in a child process each, as a [Pipeline] does
// without it.
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

// A compilerOrder is the first message to such a process: the settings of the pipeline
// that it runs.
type compilerOrder struct {
	CacheDir    string
	MemoryLimit uint64
	NoMeter     bool
	Reset       bool
	Offers      Offers
	AllowLarge  bool
	StubImports bool
}

// A compilerRequest stands before the bytes of a module.
type compilerRequest struct {
	Name string
	Size int
}

// A compilerReply tells the cache folder, at first, and then what became of a module: it
// is in the cache folder where Error is empty.
type compilerReply struct {
	CacheDir string
	Error    string
	Bad      bool // the error is a [BadModuleError]
}

// StartCompiler starts a process that compiles as a [Pipeline] with these settings would;
// cfg.Compiler and cfg.Logger take no part. Where there is no cache folder, it makes one
// that lasts as long as it does. It blocks until the process has said which folder it
// fills. Close ends the process; it ends by itself when this process does.
func StartCompiler(cfg Config) (*Compiler, error) {
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
	reply, err := c.ask(compilerOrder{cfg.CacheDir, cfg.MemoryLimit, cfg.NoMeter, cfg.Reset, cfg.Offers, cfg.AllowLarge, cfg.StubImports}, nil)
	if err == nil && reply.Error != "" {
		err = errors.New(reply.Error)
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
		return c.bad
	}
	reply, err := c.ask(compilerRequest{m.Name(), len(m.Bytes())}, m.Bytes())
	switch {
	case err != nil:
		c.bad = fmt.Errorf("the process that compiles modules is gone: %w", err)
		return c.bad
	case reply.Bad:
		return badModule("%s", reply.Error)
	case reply.Error != "":
		return errors.New(reply.Error)
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
