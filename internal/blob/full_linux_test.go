package blob

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"
)

// On a disk without room a blob is in memory, and nothing is left on the disk.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	if os.Geteuid() != 0 {
		t.Skip("it takes root to have a disk that is full")
	}
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=1m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) }) //nolint:errcheck // a folder in use would fail the removal
	data := random(60, 3<<20)
	s := NewStore(filepath.Join(dir, "blobs"), 1<<30, slog.New(slog.DiscardHandler))
	for range 2 {
		var fetched atomic.Int64
		b := open(t, s, data, giving(data, &fetched))
		holds(t, b, data)
		if b.Bytes() == nil || fetched.Load() != 2 {
			t.Errorf("fetched %d times, in memory: %t", fetched.Load(), b.Bytes() != nil)
		}
	}
	if left, err := filepath.Glob(filepath.Join(s.dir, "*"+tempSuffix)); len(left) > 0 || err != nil {
		t.Error(left, err)
	}
	small := random(61, 100_000) // there is room for that
	if b := open(t, s, small, giving(small, new(atomic.Int64))); b.Bytes() != nil {
		t.Error("the small blob is in memory")
	}
	if _, err := s.Put(t.Context(), bytes.NewReader(data)); err == nil {
		t.Error("no error for a stream that no place has room for")
	}
	if err := os.WriteFile(filepath.Join(dir, "room"), random(62, 500_000), 0o600); err != nil {
		t.Errorf("the disk is left full: %v", err)
	}
}
