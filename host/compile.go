package host

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"runtime"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"

	"github.com/wasmpool/wasmpool/internal/enginefix"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// features are those of WebAssembly 2.0. What came later is experimental in wazero, and
// off: docs/engine.md says why of each.
const features = api.CoreFeaturesV2

// bounded adds what holds for every module, however it is run.
func bounded(cfg wazero.RuntimeConfig) wazero.RuntimeConfig {
	return cfg.WithCoreFeatures(features).WithMemoryLimitPages(maxMemory / pageSize)
}

// A source is what is compiled of a module.
type source struct {
	original []byte // as it came: the engine must find it valid
	wasm     []byte // what the rewriter made of it
	facts    *wasmbin.Module
}

// code is a compiled module. It has a wazero runtime of its own, because
// wazero ties a cache folder to a runtime, and each module has its own folder:
// so a bad entry can be found and removed.
type code struct {
	runtime   wazero.Runtime
	cache     wazero.CompilationCache // nil when nothing is kept
	compiled  wazero.CompiledModule
	hasMemory bool
	start     uint64   // bytes of memory that an instance has at first
	globals   []string // all that are mutable, where IsolationReset needs them
	fixed     bool     // IsolationReset cannot put all that the module may change back
}

// newCode compiles wasm, or loads it from dir when it is there. An empty dir
// stands for none. What it is made from was validated.
func newCode(ctx context.Context, wasm []byte, dir string, facts *wasmbin.Module) (*code, error) {
	// Which besides makes wazero find out its own version: it keeps that in a variable
	// that no lock guards.
	if err := enginefix.Check(); err != nil {
		return nil, errorf(KindHost, "%w", err)
	}
	c := &code{}
	for _, l := range facts.Memories { // there is at most one
		c.hasMemory, c.start = true, l.Min*pageSize
	}
	cfg := bounded(wazero.NewRuntimeConfig()).WithMemoryLimitPages(1 << 16) // linear refuses more, and remembers it
	if dir != "" {
		var err error
		if c.cache, err = wazero.NewCompilationCacheWithDir(dir); err != nil {
			return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
		}
		cfg = cfg.WithCompilationCache(c.cache)
	}
	c.runtime = wazero.NewRuntimeWithConfig(ctx, cfg)
	err := instantiateImports(ctx, c.runtime)
	if err == nil {
		workers := experimental.WithCompilationWorkers(ctx, runtime.GOMAXPROCS(0))
		c.compiled, err = c.runtime.CompileModule(workers, wasm)
	}
	if err != nil {
		return nil, errors.Join(err, c.close())
	}
	return c, nil
}

// close frees the code. No instance of it may run.
func (c *code) close() error {
	err := c.runtime.Close(context.Background())
	if c.cache != nil {
		err = errors.Join(err, c.cache.Close(context.Background()))
	}
	return err
}

// compile is the third step of the pipeline: it turns bytes into native code,
// by way of the cache folder. Of the processes of a node that want the same
// module, one compiles while the others wait.
func (h *Host) compile(key string, src source) (*code, error) {
	if h.cfg.Compiler != nil {
		return h.loadCompiled(entry{h.cfg.CacheDir, key, h.cfg.Logger}, src)
	}
	log := h.cfg.Logger
	c, err := h.compileCached(entry{h.cfg.CacheDir, key, log}, src)
	if isCacheError(err) {
		if h.cfg.CacheDir != "" { // of that, New has told
			log.Warn("host: a module is compiled without the cache folder", "dir", h.cfg.CacheDir, "error", err)
		}
		c, err = h.compileHere(src)
	}
	switch {
	case err == nil:
		return c, nil
	case h.ctx.Err() != nil:
		return nil, errorf(KindHost, "%w", ErrClosed)
	case errors.As(err, new(*Error)):
		return nil, err
	default:
		return nil, errorf(KindBadModule, "%w", err)
	}
}

// loadCompiled loads what Config.Compiler compiled.
func (h *Host) loadCompiled(e entry, src source) (*code, error) {
	c, err := h.loadShared(e, func() (*code, error) { return newCode(h.ctx, src.wasm, e.path(), src.facts) })
	if err == nil && c == nil {
		err = errors.New("what was compiled is not in the cache folder any more")
	}
	if err != nil {
		return nil, errorf(KindHost, "%w", err)
	}
	return c, nil
}

// compileHere compiles where there is no cache folder: a child process could not hand
// the code over, and only validates the module.
func (h *Host) compileHere(src source) (*code, error) {
	h.compiled.Add(1)
	if err := h.inChild("", src); err != nil {
		return nil, err
	}
	return newCode(h.ctx, src.wasm, "", src.facts)
}

// compileCached compiles by way of a cache entry. Errors of the cache are told
// apart by isCacheError.
func (h *Host) compileCached(e entry, src source) (*code, error) {
	if e.dir == "" {
		return nil, &fs.PathError{Op: "open", Path: "the user's cache folder", Err: fs.ErrNotExist}
	}
	load := func() (*code, error) { return newCode(h.ctx, src.wasm, e.path(), src.facts) }
	c, err := h.loadShared(e, load)
	if c != nil || err != nil && !isCacheError(err) {
		return c, err
	}
	unlock, err := e.lock(h.ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if e.sound() { // another process was faster
		if c, err := load(); !isCacheError(err) {
			return c, err
		}
	}
	if err := e.remove(); err != nil {
		return nil, err
	}
	h.compiled.Add(1)
	if err := os.MkdirAll(e.path(), 0o700); err != nil {
		return nil, err
	}
	if err := h.inChild(e.path(), src); err != nil {
		return nil, err
	}
	if c, err = load(); err == nil {
		e.seal()
		e.trim(h.mostCached)
	}
	return c, err
}

// inChild validates a module, and compiles it into dir, which is empty. Where no child
// process can be had it validates it here, and leaves the rest to whoever loads the
// entry: the gate's bounds hold in any case.
func (h *Host) inChild(dir string, src source) error {
	end, err := compileInChild(h.ctx, dir, src)
	if h.childEnded != nil && end != nil {
		h.childEnded(end)
	}
	if errors.Is(err, errNoChild) {
		h.cfg.Logger.Warn("host: a module is compiled in this process", "error", err)
		return validate(h.ctx, src.original)
	}
	return err
}

// loadShared loads an entry that is sound, together with others who do the
// same. It returns nil when there is none.
func (h *Host) loadShared(e entry, load func() (*code, error)) (*code, error) {
	unlock, err := e.rlock(h.ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if !e.sound() {
		return nil, nil
	}
	c, err := load()
	if err == nil {
		e.touch()
		e.seal() // new files are there when this CPU is of another kind
	}
	return c, err
}

// isCacheError reports whether err is about the cache and not the module.
// wazero has no error value for it.
func isCacheError(err error) bool {
	var path *fs.PathError
	var link *os.LinkError
	return err != nil && (errors.As(err, &path) || errors.As(err, &link) || strings.Contains(err.Error(), "compilationcache:"))
}
