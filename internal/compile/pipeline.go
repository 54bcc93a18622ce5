package compile

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"sync/atomic"

	"github.com/wasmpool/wasmpool/internal/cachedir"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// Config decides what a [Pipeline] makes of modules, and where it keeps the code.
type Config struct {
	// CacheDir is the folder for compiled modules, "" for none. [New] makes it, for this
	// user alone, and does without one that others can write to.
	CacheDir string

	Rules

	// NoMeter leaves modules without ticks and without the counting of instructions.
	NoMeter bool

	// Reset makes all mutable globals of a module exports, so that the host can put an
	// instance back to where it started.
	Reset bool

	// Compiler compiles the modules. The pipeline then only reads, in the compiler's
	// cache folder, which takes the place of CacheDir. Nil stands for none: the pipeline
	// starts child processes of its own.
	Compiler *Compiler

	// Logger receives what goes wrong and does not fail a module. It must be set.
	Logger *slog.Logger
}

// A Pipeline turns modules into code. It is safe for concurrent use.
type Pipeline struct {
	cfg        Config
	compiled   atomic.Int32
	mostCached int64                  // bytes in the cache folder; less in tests
	childEnded func(*os.ProcessState) // is told of each child that compiled; nil but in tests
}

// A BadModuleError says why a module cannot be run: it will be the same each time, on
// every machine. Other errors of a [Pipeline] are those of this process, of its cache
// folder, or of the engine in it.
type BadModuleError struct {
	Message string

	err error // what Unwrap returns
}

// Error implements error.
func (e *BadModuleError) Error() string { return e.Message }

// Unwrap returns the cause, if there is a Go error behind the refusal.
func (e *BadModuleError) Unwrap() error { return e.err }

// badModule returns a BadModuleError whose message is formatted. A %w in format becomes
// its cause.
func badModule(format string, args ...any) *BadModuleError {
	err := fmt.Errorf(format, args...)
	return &BadModuleError{Message: err.Error(), err: errors.Unwrap(err)}
}

// New returns a Pipeline. It makes the cache folder, and compiles nothing.
func New(cfg Config) *Pipeline {
	if cfg.Compiler != nil {
		cfg.CacheDir = cfg.Compiler.CacheDir()
	} else {
		cfg.CacheDir = openCacheDir(cfg.CacheDir, cfg.Logger)
	}
	return &Pipeline{cfg: cfg, mostCached: mostCached}
}

// openCacheDir makes the cache folder, and returns "" for one that others can write to.
func openCacheDir(dir string, log *slog.Logger) string {
	if dir == "" {
		log.Warn("host: there is no cache folder, modules are compiled each time: name one with " + cachedir.Env)
		return ""
	}
	var unsafe *cachedir.UnsafeError
	if err := cachedir.Make(dir); errors.As(err, &unsafe) { // other errors come again when the folder is used
		log.Warn("host: modules are compiled each time", "error", err)
		return ""
	}
	return dir
}

// CacheDir is the folder with the compiled modules, "" for none.
func (p *Pipeline) CacheDir() string { return p.cfg.CacheDir }

// Compiled returns how many modules the cache did not have, so that they were compiled.
func (p *Pipeline) Compiled() int { return int(p.compiled.Load()) }

// Load compiles a module, or loads its code from the cache folder. It blocks until that
// is done, or until ctx ends, and then returns an error that matches ctx.Err. Each Load
// gives another Code: the caller closes it.
//
// A panic of the compiler over a module that none of the steps refused is a
// [BadModuleError], too: it must not end the process.
func (p *Pipeline) Load(ctx context.Context, m *wasmtasks.Module) (_ *Code, err error) {
	defer func() {
		if r := recover(); r != nil {
			err = badModule("the compiler failed: %v", r)
		}
	}()
	if p.cfg.Compiler != nil {
		if err := p.cfg.Compiler.compile(m); err != nil {
			return nil, err
		}
	}
	facts, err := Gate(m.Bytes(), p.cfg.Rules)
	if err != nil {
		return nil, err
	}
	b, err := newBare(m, facts)
	if err != nil {
		return nil, err
	}
	stubs, err := b.stub(p.cfg.Rules)
	if err != nil {
		return nil, err
	}
	wasm, err := p.rewrite(b)
	if err != nil {
		return nil, err
	}
	var globals []string
	resets := true
	if p.cfg.Reset {
		wasm, globals, resets = ExportGlobals(wasm)
	}
	c, err := p.compile(ctx, p.keyOf(b, wasm), source{b.wasm, wasm, b.facts, p.cfg.AllowLarge})
	if err == nil {
		c.Globals, c.Resettable, c.Stubs = globals, resets, stubs
	}
	return c, err
}

// letThrough names a module that gets no ticks although it should. The linker sets it, in
// tests of what follows.
var letThrough = ""

// metered reports whether a module of that name gets ticks.
func (p *Pipeline) metered(name string) bool {
	return !p.cfg.NoMeter && (letThrough == "" || name != letThrough)
}

// A bare module is one without its custom sections, but for the names, which errors have: what is no code does not have a
// module compiled again.
type bare struct {
	name   string
	wasm   []byte
	digest wasmtasks.Digest
	facts  *wasmbin.Module
}

func newBare(m *wasmtasks.Module, facts *wasmbin.Module) (*bare, error) {
	b := &bare{m.Name(), facts.Without(m.Bytes(), func(name string) bool { return name != "name" }), m.Digest(), facts}
	if len(b.wasm) == len(m.Bytes()) {
		return b, nil
	}
	b.digest = sha256.Sum256(b.wasm)
	var err error
	if b.facts, err = wasmbin.Parse(b.wasm); err != nil {
		return nil, badModule("%w", err)
	}
	return b, nil
}

// keyOf names the cache entry of a module: by its digest, or by what is compiled of it
// where that is other code, without ticks or with its globals exported.
func (p *Pipeline) keyOf(b *bare, wasm []byte) string {
	metered := p.metered(b.name)
	if metered && !p.cfg.Reset {
		return b.digest.String()
	}
	sum := sha256.New()
	fmt.Fprintf(sum, "%t %t ", !metered, p.cfg.Reset)
	sum.Write(wasm)
	return hex.EncodeToString(sum.Sum(nil))
}
