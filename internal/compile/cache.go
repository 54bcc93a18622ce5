package compile

import (
	"context"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/gofrs/flock"

	"github.com/wasmpool/wasmpool/internal/cachedir"
)

const (
	// lockRetry is how often a process that waits for another's compilation
	// looks whether it is done.
	lockRetry = 5 * time.Millisecond

	// leftAfter is the age of a compilation's folder that nobody works in any more.
	leftAfter = time.Hour

	lockSuffix = ".lock"
	sumSuffix  = ".sum"
	tempSuffix = ".tmp"
)

// An entry is a module's folder in the cache. wazero keeps its native code
// there, a file per version of wazero, platform and kind of CPU, and beside
// each file lies its checksum: wazero checks the code but not the tables
// around it, and wrong tables crash the process.
type entry struct {
	dir, key string
	log      *slog.Logger
}

func (e entry) path() string { return filepath.Join(e.dir, e.key) }

// lock waits until no other process uses the entry.
func (e entry) lock(ctx context.Context) (unlock func(), err error) {
	return e.acquire(ctx, (*flock.Flock).TryLockContext)
}

// rlock waits until no other process writes the entry.
func (e entry) rlock(ctx context.Context) (unlock func(), err error) {
	return e.acquire(ctx, (*flock.Flock).TryRLockContext)
}

// acquire locks the entry. Where the file system has no locks it goes on
// without: entries change atomically, so the worst is that several compile.
func (e entry) acquire(ctx context.Context, try func(*flock.Flock, context.Context, time.Duration) (bool, error)) (func(), error) {
	if err := os.MkdirAll(e.dir, 0o700); err != nil {
		return nil, err
	}
	l := flock.New(e.path() + lockSuffix)
	_, err := try(l, ctx, lockRetry)
	if ctx.Err() != nil {
		return nil, ctx.Err()
	}
	if err != nil {
		e.log.Info("host: the cache folder cannot be locked", "error", err)
	}
	return func() { l.Close() }, nil //nolint:errcheck // closing the file unlocks it in any case
}

// files returns the files with native code.
func (e entry) files() []string {
	var list []string
	filepath.WalkDir(e.path(), func(path string, d fs.DirEntry, err error) error { //nolint:errcheck // what cannot be read is not there
		if err == nil && d.IsDir() && strings.HasSuffix(path, tempSuffix) {
			return fs.SkipDir
		}
		if err == nil && !d.IsDir() && !strings.HasSuffix(path, sumSuffix) && !strings.HasSuffix(path, tempSuffix) {
			list = append(list, path)
		}
		return nil
	})
	return list
}

// own reports whether all that lies in the folder is this user's own: others may have had
// the right to write there.
func (e entry) own() bool {
	own := true
	filepath.WalkDir(e.path(), func(path string, _ fs.DirEntry, err error) error { //nolint:errcheck // what cannot be read is not own
		own = own && err == nil && cachedir.Own(path)
		return err
	})
	return own
}

// sound reports whether there is native code, and all of it as it was sealed.
func (e entry) sound() bool {
	files := e.files()
	if len(files) == 0 || !e.own() {
		return false
	}
	for _, file := range files {
		want, err := os.ReadFile(file + sumSuffix)
		if err != nil {
			return false
		}
		if got, err := checksum(file); err != nil || got != string(want) {
			return false
		}
	}
	return true
}

// seal writes the checksums that are missing. Without them an entry is
// compiled again the next time, so an error is not worth more than a line.
func (e entry) seal() {
	for _, file := range e.files() {
		if _, err := os.Stat(file + sumSuffix); err == nil {
			continue
		}
		if err := writeSum(file); err != nil {
			e.log.Warn("host: sealing a cache entry", "file", file, "error", err)
		}
	}
}

// remove deletes the entry.
func (e entry) remove() error { return os.RemoveAll(e.path()) }

// sweep deletes what compilations left that were killed, other than those that may be under way where there are no locks.
func (e entry) sweep() {
	left, _ := os.ReadDir(e.path()) // what cannot be read is not there
	for _, work := range left {
		if info, err := work.Info(); err == nil && strings.HasSuffix(work.Name(), tempSuffix) && time.Since(info.ModTime()) > leftAfter {
			os.RemoveAll(filepath.Join(e.path(), work.Name())) //nolint:errcheck // it counts for nothing
		}
	}
}

func writeSum(file string) error {
	sum, err := checksum(file)
	if err != nil {
		return err
	}
	return replace(file+sumSuffix, []byte(sum))
}

// replace writes a file so that others see the old one or the new one.
func replace(file string, data []byte) error {
	temp, err := os.CreateTemp(filepath.Dir(file), "*"+tempSuffix)
	if err != nil {
		return err
	}
	_, err = temp.Write(data)
	if closed := temp.Close(); err == nil {
		err = closed
	}
	if err == nil {
		err = os.Rename(temp.Name(), file)
	}
	if err != nil {
		os.Remove(temp.Name()) //nolint:errcheck // the first error tells more
	}
	return err
}

// checksum returns the length and the CRC of a file, as they stand in the file
// beside it.
func checksum(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close() //nolint:errcheck // it was only read
	sum := crc32.New(castagnoli)
	n, err := io.Copy(sum, f)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf(sumFormat, n, sum.Sum32()), nil
}

// sumOf is checksum for what will be in a file.
func sumOf(data []byte) string {
	return fmt.Sprintf(sumFormat, len(data), crc32.Checksum(data, castagnoli))
}

// sumFormat is the format of a checksum. Its end is the version of all that is kept: what
// was kept under another version is not used, since it was not validated as it came, say,
// or was compiled with another table of the engine.
const sumFormat = "%d %08x v5\n"

var castagnoli = crc32.MakeTable(crc32.Castagnoli)
