package compile

import (
	"context"
	"errors"
	"io/fs"
	"os"

	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

// A source is what is compiled of a module.
type source struct {
	original []byte // as it came: the engine must find it valid
	wasm     []byte // what the rewriter made of it
	facts    *wasmbin.Module
	large    bool // compiling it may take more
}

// compile is the last step of the pipeline: it turns bytes into native code, by way of
// the cache entry of that key. Of the processes of a machine that want the same module,
// one compiles while the others wait.
func (p *Pipeline) compile(ctx context.Context, key string, src source) (*Code, error) {
	log := p.cfg.Logger
	e := entry{p.cfg.CacheDir, key, log}
	if p.cfg.Compiler != nil {
		return p.loadCompiled(ctx, e, src)
	}
	c, err := p.compileCached(ctx, e, src)
	if isCacheError(err) {
		if p.cfg.CacheDir != "" { // of a folder that is missing, New has told
			log.Warn("host: a module is compiled without the cache folder", "dir", p.cfg.CacheDir, "error", err)
		}
		c, err = p.compileHere(ctx, src)
	}
	if err != nil && ctx.Err() != nil {
		return nil, ctx.Err()
	}
	return c, err
}

// loadCompiled loads what Config.Compiler compiled.
func (p *Pipeline) loadCompiled(ctx context.Context, e entry, src source) (*Code, error) {
	c, err := p.loadShared(ctx, e, src)
	var bad *BadModuleError
	if errors.As(err, &bad) { // the compiler took the module: it is not to blame
		return nil, errors.New(bad.Message)
	}
	return c, err
}

// compileHere compiles where there is no cache folder: a child process could not hand
// the code over, and only validates the module.
func (p *Pipeline) compileHere(ctx context.Context, src source) (*Code, error) {
	p.compiled.Add(1)
	if err := p.inChild(ctx, "", src); err != nil {
		return nil, err
	}
	return newCode(ctx, src.wasm, "", src.facts)
}

// compileCached compiles by way of a cache entry. isCacheError tells the errors of the
// cache apart from the others.
func (p *Pipeline) compileCached(ctx context.Context, e entry, src source) (*Code, error) {
	if e.dir == "" {
		return nil, &fs.PathError{Op: "open", Path: "the user's cache folder", Err: fs.ErrNotExist}
	}
	if c, err := p.loadShared(ctx, e, src); !isCacheError(err) {
		return c, err
	}
	unlock, err := e.lock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	c, err := e.load(src)
	if !isCacheError(err) { // another process was faster
		return c, err
	}
	if !errors.Is(err, errMissing) { // else what is there is sound, and of another kind of CPU
		if err := e.remove(); err != nil {
			return nil, err
		}
	}
	p.compiled.Add(1)
	if err := os.MkdirAll(e.path(), 0o700); err != nil {
		return nil, err
	}
	e.sweep()
	if err := p.inChild(ctx, e.path(), src); err != nil {
		return nil, err
	}
	if c, err = lookUp(e.path(), src.wasm, src.facts); err == nil {
		e.seal()
		e.trim(p.mostCached)
	}
	return c, err
}

// inChild validates a module, and compiles it into dir, unless that is empty, in a child
// process. Where no child process can be had, it does both here: the gate's bounds hold in
// any case.
func (p *Pipeline) inChild(ctx context.Context, dir string, src source) error {
	end, err := compileInChild(ctx, dir, src)
	if p.childEnded != nil && end != nil {
		p.childEnded(end)
	}
	if errors.Is(err, errNoChild) {
		p.cfg.Logger.Warn("host: a module is compiled in this process", "error", err)
		return validateAndStore(ctx, dir, src.original, src.wasm)
	}
	return err
}

// loadShared loads an entry; other processes may do so at the same time.
func (p *Pipeline) loadShared(ctx context.Context, e entry, src source) (*Code, error) {
	unlock, err := e.rlock(ctx)
	if err != nil {
		return nil, err
	}
	defer unlock()
	c, err := e.load(src)
	if err == nil {
		e.touch()
	}
	return c, err
}

// load loads the entry if it is sound.
func (e entry) load(src source) (*Code, error) {
	if !e.sound() {
		return nil, errUnsound
	}
	return lookUp(e.path(), src.wasm, src.facts)
}

// errUnsound says that there is no entry, or not as it was sealed.
var errUnsound = &fs.PathError{Op: "load", Path: "the module's code", Err: errors.New("it is not in the cache folder, or not as it was written")}

// validateAndStore validates a module as it came, and compiles what the rewriter made of it
// into a folder, unless there is none.
func validateAndStore(ctx context.Context, dir string, original, wasm []byte) error {
	if err := Validate(ctx, original); err != nil || dir == "" {
		return err
	}
	return store(ctx, dir, wasm)
}
