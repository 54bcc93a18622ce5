package wasmtasks

import (
	"context"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/wasmpool/wasmpool/internal/cachedir"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

const (
	// lockRetry is how often a waiting builder looks whether the other is done.
	lockRetry = 50 * time.Millisecond

	// keepUnused is for how long a result is kept that nobody asks for.
	keepUnused = 30 * 24 * time.Hour
)

// A buildCache is a folder of built modules, shared by all processes of a
// user. It only saves time: whatever fails in it, or when others can write to it, the
// module is built.
type buildCache struct {
	dir string // empty when there is no place for one
}

func openBuildCache() buildCache {
	dir := cachedir.Default("build")
	if dir == "" || cachedir.Make(dir) != nil {
		return buildCache{}
	}
	return buildCache{dir}
}

// get returns the module kept under key. If there is none it builds one, while
// other processes that want the same wait. A result that is not fresh is not
// kept.
func (c buildCache) get(ctx context.Context, key string, build func() (wasm []byte, fresh bool, err error)) ([]byte, error) {
	if wasm, ok := c.read(key); ok {
		return wasm, nil
	}
	unlock, err := c.lock(ctx, key)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if wasm, ok := c.read(key); ok {
		return wasm, nil // another process built it meanwhile
	}
	wasm, fresh, err := build()
	if err != nil {
		return nil, err
	}
	if fresh {
		c.write(key, wasm)
	}
	return wasm, nil
}

func (c buildCache) file(key string) string { return filepath.Join(c.dir, key+".wasm") }

// read returns what is kept under key, unless it is damaged.
func (c buildCache) read(key string) ([]byte, bool) {
	if c.dir == "" || !cachedir.Own(c.file(key)) {
		return nil, false
	}
	f, err := os.Open(c.file(key))
	if err != nil {
		return nil, false
	}
	wasm, err := readModule(f)
	if err != nil {
		return nil, false
	}
	if _, err := wasmbin.Parse(wasm); err != nil {
		return nil, false
	}
	now := time.Now()
	_ = os.Chtimes(c.file(key), now, now) // it is in use: see trim
	return wasm, true
}

// lock makes this the only builder of key. Where the file system has no locks
// there may be several, which is only slower. Its error is the context's.
func (c buildCache) lock(ctx context.Context, key string) (unlock func(), err error) {
	if c.dir == "" {
		return func() {}, nil
	}
	l := flock.New(filepath.Join(c.dir, key+".lock"))
	if _, err := l.TryLockContext(ctx, lockRetry); ctx.Err() != nil {
		return nil, context.Cause(ctx)
	} else if err != nil {
		return func() {}, nil //nolint:nilerr // no locks here
	}
	return func() { _ = l.Close() }, nil
}

// write keeps a module. Readers see it whole or not at all.
func (c buildCache) write(key string, wasm []byte) {
	if c.dir == "" {
		return
	}
	tmp, err := os.CreateTemp(c.dir, key+".*.tmp")
	if err != nil {
		return
	}
	_, err = tmp.Write(wasm)
	if closeErr := tmp.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(tmp.Name(), c.file(key))
	}
	if err != nil {
		_ = os.Remove(tmp.Name())
		return
	}
	c.trim()
}

// trim removes what nobody used for long.
func (c buildCache) trim() {
	entries, err := os.ReadDir(c.dir)
	if err != nil {
		return
	}
	for _, e := range entries {
		if info, err := e.Info(); err == nil && time.Since(info.ModTime()) > keepUnused {
			_ = os.Remove(filepath.Join(c.dir, e.Name()))
		}
	}
}
