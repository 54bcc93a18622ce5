package compile

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

// Features are those of WebAssembly 2.0. What came later is experimental in wazero, and
// off: docs/engine.md says why of each.
const Features = api.CoreFeaturesV2

// MaxMemory is the most linear memory, in bytes, that a guest can have. In a larger memory
// the engine on amd64 reads and writes before its beginning: it checks a constant address
// of 2 GiB and more as it is, and may then use it as a negative number. In this one the
// check refuses the address.
const MaxMemory = 2 << 30

// bounded adds what holds for every module, however it is run.
func bounded(cfg wazero.RuntimeConfig) wazero.RuntimeConfig {
	return cfg.WithCoreFeatures(Features).WithMemoryLimitPages(MaxMemory / wasmbin.PageSize)
}

// A Code is the native code of a module, and what the host must know to make instances
// of it. It has a wazero runtime of its own, because wazero ties a cache folder to a
// runtime, and each module has its own folder: so a bad entry can be found and removed.
//
// The runtime has nothing to import yet: whoever makes instances adds the functions of
// [Offers] first.
type Code struct {
	Runtime  wazero.Runtime
	Compiled wazero.CompiledModule

	HasMemory   bool
	StartMemory uint64 // bytes of linear memory that an instance has at first

	// Globals name the exports of all mutable globals, and Resettable reports whether
	// a call changes nothing else that stays, beside the linear memory. Both are only
	// known with Config.Reset.
	Globals    []string
	Resettable bool

	Stubs []Stub // what the module imports and nobody offers

	cache wazero.CompilationCache // nil where nothing is kept
}

// newCode compiles wasm, which was rewritten, and keeps the code in the folder dir, or
// loads it when it is there; "" stands for no folder. What wasm was made from has been
// validated. With a context that has ended it compiles nothing: the error is its cause.
func newCode(ctx context.Context, wasm []byte, dir string, facts *wasmbin.Module) (*Code, error) {
	// The check also makes wazero find out its own version: wazero keeps that in a
	// variable that no lock guards.
	if err := enginefix.Check(); err != nil {
		return nil, err
	}
	c := &Code{}
	for _, l := range facts.Memories { // there is at most one
		c.HasMemory, c.StartMemory = true, l.Min*wasmbin.PageSize
	}
	// The instance's memory refuses what is more than it may have, and remembers that.
	cfg := bounded(wazero.NewRuntimeConfig()).WithMemoryLimitPages(1 << 16)
	if dir != "" {
		var err error
		if c.cache, err = wazero.NewCompilationCacheWithDir(dir); err != nil {
			return nil, &fs.PathError{Op: "open", Path: dir, Err: err}
		}
		cfg = cfg.WithCompilationCache(c.cache)
	}
	c.Runtime = wazero.NewRuntimeWithConfig(context.WithoutCancel(ctx), cfg)
	workers := experimental.WithCompilationWorkers(ctx, max(2, runtime.GOMAXPROCS(0))) // one would not look at ctx
	var err error
	if c.Compiled, err = c.Runtime.CompileModule(workers, wasm); err == nil {
		return c, nil
	}
	if err = errors.Join(err, c.Close()); isCacheError(err) {
		return nil, err
	}
	return nil, badModule("%w", err)
}

// Close frees the code. No instance of it may run.
func (c *Code) Close() error {
	err := c.Runtime.Close(context.Background())
	if c.cache != nil {
		err = errors.Join(err, c.cache.Close(context.Background()))
	}
	return err
}

// isCacheError reports whether err is about the cache and not the module. wazero has no
// error value for it. What a [BadModuleError] says does not count: there are names of the
// module in it.
func isCacheError(err error) bool {
	if errors.As(err, new(*BadModuleError)) {
		return false
	}
	var path *fs.PathError
	var link *os.LinkError
	return err != nil && (errors.Is(err, errMissing) || errors.As(err, &path) || errors.As(err, &link) || strings.HasPrefix(err.Error(), "compilationcache:"))
}
