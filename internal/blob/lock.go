package blob

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/gofrs/flock"

	"github.com/wasmpool/wasmpool/internal/monotime"
)

const (
	lockSuffix  = ".lock"
	stampSuffix = ".checked"
	tempSuffix  = ".tmp"

	// lockRetry is how often a process that waits for another's fetch looks whether it
	// is done.
	lockRetry = 5 * time.Millisecond

	// aliveEvery is how often a process that fetches shows that it goes on.
	aliveEvery = time.Second

	// patience is for how long a process that fetches may give no sign until the others
	// do without it: it was stopped, or its node hangs. One that died holds no lock.
	patience = 10 * time.Second
)

// errStuck is why a process does not wait any longer for another one.
var errStuck = errors.New("another process, which stands still, holds the lock")

// An entry is the place of a blob in the store: its bytes in a file that is named as its
// digest, the file's lock, and a stamp for each boot of a node that has checked the bytes.
type entry struct {
	dir  string
	key  string // its digest, in hex
	size int64

	patience time.Duration // patience, but in tests
}

func (e entry) path() string     { return filepath.Join(e.dir, e.key) }
func (e entry) lockPath() string { return e.path() + lockSuffix }

// share locks the entry against its removal.
func (e entry) share(ctx context.Context) (unlock func(), err error) {
	return e.acquire(ctx, (*flock.Flock).TryRLock, func() func() { return func() {} })
}

// hold locks the entry against all others, or, where it has become whole meanwhile, against its removal: those
// who read it never let go of it for one who came too late to. While it is locked others see that this process goes on.
func (e entry) hold(ctx context.Context) (unlock func(), err error) {
	return e.acquire(ctx, func(l *flock.Flock) (bool, error) {
		if locked, err := l.TryLock(); locked || err != nil {
			return locked, err
		}
		if locked, err := l.TryRLock(); !locked || err != nil {
			return locked, err
		}
		if b := e.take(nil); b != nil {
			b.Close()
			return true, nil
		}
		return false, l.Unlock()
	}, e.showAlive)
}

// acquire locks the entry. Where the file system has no locks it goes on without: files
// come by renaming, so the worst is that several processes fetch one blob.
func (e entry) acquire(ctx context.Context, try func(*flock.Flock) (bool, error), held func() (stop func())) (func(), error) {
	l := flock.New(e.lockPath(), flock.SetPermissions(0o600))
	release := func() { l.Close() } //nolint:errcheck // closing the file unlocks it in any case
	last, since := e.sign(), monotime.Now()
	for {
		locked, err := try(l)
		if locked || err != nil && !errors.Is(err, os.ErrPermission) && !errors.Is(err, os.ErrNotExist) {
			stop := held()
			return func() { stop(); release() }, nil
		}
		if err != nil {
			release()
			return nil, err
		}
		if sign := e.sign(); sign != last {
			last, since = sign, monotime.Now()
		} else if time.Duration(monotime.Now()-since) > e.patience {
			release()
			return nil, fmt.Errorf("%s: %w", e.lockPath(), errStuck)
		}
		select {
		case <-time.After(lockRetry):
		case <-ctx.Done():
			release()
			return nil, context.Cause(ctx)
		}
	}
}

// sign returns what changes while the process that holds the entry goes on.
func (e entry) sign() int64 {
	info, err := os.Stat(e.lockPath())
	if err != nil {
		return 0
	}
	return info.ModTime().UnixNano()
}

// touch notes that the entry is in use: that keeps it in the store, and tells those that wait
// that its holder goes on.
func (e entry) touch() {
	now := time.Now()
	_ = os.Chtimes(e.lockPath(), now, now)
}

// showAlive touches the entry again and again until stop is called.
func (e entry) showAlive() (stop func()) {
	e.touch()
	ended, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		ticker := time.NewTicker(aliveEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ticker.C:
				e.touch()
			case <-ended:
				return
			}
		}
	}()
	return func() {
		close(ended)
		<-done
	}
}
