package blob

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// random returns n bytes that are the same for the same seed.
func random(seed byte, n int) []byte {
	data := make([]byte, n)
	r := rand.NewChaCha8([32]byte{seed})
	if _, err := r.Read(data); err != nil {
		panic(err)
	}
	return data
}

// newStore returns a store in a folder of its own.
func newStore(t *testing.T, most int64) *Store {
	t.Helper()
	return NewStore(filepath.Join(t.TempDir(), "blobs"), most, slog.New(slog.DiscardHandler))
}

// giving returns a fetch of data that counts how often it began.
func giving(data []byte, fetched *atomic.Int64) Fetch {
	return func(_ context.Context, to io.Writer) error {
		fetched.Add(1)
		for part := range chunks(data, 1<<16) {
			if _, err := to.Write(part); err != nil {
				return err
			}
		}
		return nil
	}
}

func chunks(data []byte, n int) func(func([]byte) bool) {
	return func(yield func([]byte) bool) {
		for len(data) > 0 {
			k := min(n, len(data))
			if !yield(data[:k]) {
				return
			}
			data = data[k:]
		}
	}
}

// refused is a fetch that must not be needed.
func refused(context.Context, io.Writer) error { return errors.New("the blob is fetched again") }

// open opens a blob, and closes it at the end of the test.
func open(t *testing.T, s *Store, data []byte, fetch Fetch) *Blob {
	t.Helper()
	b, err := s.Open(t.Context(), sha256.Sum256(data), int64(len(data)), fetch)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(b.Close)
	return b
}

// holds reports whether a blob has exactly these bytes.
func holds(t *testing.T, b *Blob, data []byte) {
	t.Helper()
	got, err := io.ReadAll(io.NewSectionReader(b, 0, 1<<40))
	if err != nil || !bytes.Equal(got, data) || b.Len() != int64(len(data)) || b.Digest() != sha256.Sum256(data) {
		t.Errorf("the blob has %d bytes, %v, want %d", len(got), err, len(data))
	}
}

func TestReadAt(t *testing.T) {
	t.Parallel()
	data := random(1, 300_000)
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	ofFile, err := OfFile(t.Context(), name)
	if err != nil {
		t.Fatal(err)
	}
	defer ofFile.Close()
	for kind, b := range map[string]*Blob{"bytes": OfBytes(data), "file": ofFile, "store": open(t, newStore(t, 1<<30), data, giving(data, new(atomic.Int64)))} {
		holds(t, b, data)
		for _, at := range []int64{-1, 0, 1, 4095, 299_999, 300_000, 300_001, 1 << 62} {
			buf := make([]byte, 10)
			n, err := b.ReadAt(buf, at)
			want := []byte{}
			if at >= 0 && at < 300_000 {
				want = data[at:min(at+10, 300_000)]
			}
			if !bytes.Equal(buf[:n], want) || (n < 10) != (err != nil) {
				t.Errorf("%s: ReadAt at %d gives %d bytes, %v", kind, at, n, err)
			}
		}
	}
	holds(t, OfBytes(nil), nil)
}

// What has changed since its digest was taken is an error, and never other bytes.
func TestChangedFile(t *testing.T) {
	t.Parallel()
	for what, change := range map[string]func(name string) error{
		"cut":         func(name string) error { return os.Truncate(name, 10) },
		"cut to zero": func(name string) error { return os.Truncate(name, 0) },
		"grown":       func(name string) error { return os.Truncate(name, 1<<20) },
		"overwritten": func(name string) error { return os.WriteFile(name, make([]byte, 100_000), 0o600) },
	} {
		name := filepath.Join(t.TempDir(), "file")
		if err := os.WriteFile(name, random(1, 100_000), 0o600); err != nil {
			t.Fatal(err)
		}
		then := time.Now().Add(-time.Hour)
		if err := os.Chtimes(name, then, then); err != nil {
			t.Fatal(err)
		}
		b, err := OfFile(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		if err := change(name); err != nil {
			t.Fatal(err)
		}
		if _, err := b.ReadAt(make([]byte, 10), 50_000); !errors.Is(err, ErrChanged) {
			t.Errorf("%s: %v, want ErrChanged", what, err)
		}
	}
}

func TestNotPlain(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]string{t.TempDir(): "it is a folder", os.DevNull: "it is no regular file", filepath.Join(t.TempDir(), "none"): "no such file"} {
		if _, err := OfFile(t.Context(), name); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) {
			t.Errorf("%s: %v, want one that says %q", name, err, want)
		}
	}
}

// Many that open a blob at once fetch it once, and it is there for the next ones.
func TestFetchedOnce(t *testing.T) {
	t.Parallel()
	s, data := newStore(t, 1<<30), random(2, 1<<20)
	var fetched atomic.Int64
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			other := NewStore(s.dir, s.most, s.log) // as of another process: locks are of open files
			b, err := other.Open(t.Context(), sha256.Sum256(data), int64(len(data)), giving(data, &fetched))
			if err != nil {
				t.Error(err)
				return
			}
			defer b.Close()
			holds(t, b, data)
			if b.Bytes() != nil {
				t.Error("it is in memory")
			}
		})
	}
	all.Wait()
	if n := fetched.Load(); n != 1 {
		t.Errorf("fetched %d times", n)
	}
	holds(t, open(t, s, data, refused), data)
}

// A process that was about to fetch a blob which another one has fetched meanwhile, and keeps open, does not wait for it.
func TestFetchedMeanwhile(t *testing.T) {
	t.Parallel()
	s, data := newStore(t, 1<<30), random(3, 100_000)
	var fetched atomic.Int64
	open(t, s, data, giving(data, &fetched))
	e := s.entry(sha256.Sum256(data), int64(len(data)))
	err := s.fill(t.Context(), e, func(entry) (string, error) { return "", errors.New("the blob is fetched again") })
	if err != nil || fetched.Load() != 1 {
		t.Errorf("%v, fetched %d times", err, fetched.Load())
	}
}

// A file in the store that is not any more what it was is found, and fetched again.
func TestDamaged(t *testing.T) {
	t.Parallel()
	data := random(3, 200_000)
	flip := func(t *testing.T, name string) {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if _, err := f.WriteAt([]byte{data[1000] ^ 1}, 1000); err != nil {
			t.Fatal(err)
		}
	}
	for what, damage := range map[string]func(t *testing.T, name string){
		"a bit":   flip,
		"cut":     func(t *testing.T, name string) { must(t, os.Truncate(name, 100)) },
		"empty":   func(t *testing.T, name string) { must(t, os.Truncate(name, 0)) },
		"longer":  func(t *testing.T, name string) { must(t, os.Truncate(name, 300_000)) },
		"no file": func(t *testing.T, name string) { must(t, os.Remove(name)) },
		"a bit, and no stamp": func(t *testing.T, name string) {
			flip(t, name)
			must(t, os.Remove(name+"."+boot()+stampSuffix))
		},
		"a folder": func(t *testing.T, name string) {
			must(t, os.Remove(name))
			must(t, os.Mkdir(name, 0o700))
		},
	} {
		t.Run(what, func(t *testing.T) {
			t.Parallel()
			s := newStore(t, 1<<30)
			open(t, s, data, giving(data, new(atomic.Int64))).Close()
			damage(t, filepath.Join(s.dir, Digest(sha256.Sum256(data)).String()))
			var fetched atomic.Int64
			holds(t, open(t, s, data, giving(data, &fetched)), data)
			if fetched.Load() != 1 {
				t.Errorf("fetched %d times", fetched.Load())
			}
		})
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// After a boot a blob is checked once, and not fetched.
func TestCheckedAgain(t *testing.T) {
	t.Parallel()
	s, data := newStore(t, 1<<30), random(4, 100_000)
	open(t, s, data, giving(data, new(atomic.Int64))).Close()
	stamps, err := filepath.Glob(filepath.Join(s.dir, "*"+stampSuffix))
	if err != nil || len(stamps) != 1 {
		t.Fatalf("%v, %v", stamps, err)
	}
	must(t, os.Remove(stamps[0]))
	holds(t, open(t, s, data, refused), data)
	if _, err := os.Stat(stamps[0]); err != nil {
		t.Error(err)
	}
}

// What is fetched and is not the blob is an error, and not kept.
func TestWrongBytes(t *testing.T) {
	t.Parallel()
	data := random(5, 100_000)
	for what, other := range map[string][]byte{"short": data[1:], "long": append(bytes.Clone(data), 0), "other": random(6, 100_000), "none": nil} {
		for _, s := range []*Store{newStore(t, 1<<30), nil} {
			_, err := s.Open(t.Context(), sha256.Sum256(data), int64(len(data)), giving(other, new(atomic.Int64)))
			if err == nil {
				t.Errorf("%s: no error", what)
			}
			if s != nil {
				holds(t, open(t, s, data, giving(data, new(atomic.Int64))), data)
			}
		}
	}
}

// A fetch that fails leaves nothing, and its error is told.
func TestFetchFails(t *testing.T) {
	t.Parallel()
	s, data := newStore(t, 1<<30), random(7, 100_000)
	broken := errors.New("the giver is lost")
	_, err := s.Open(t.Context(), sha256.Sum256(data), int64(len(data)), func(_ context.Context, to io.Writer) error {
		_, err := to.Write(data[:5000])
		return errors.Join(broken, err)
	})
	if !errors.Is(err, broken) {
		t.Error(err)
	}
	if left, err := filepath.Glob(filepath.Join(s.dir, "*"+tempSuffix)); len(left) > 0 || err != nil {
		t.Error(left, err)
	}
	holds(t, open(t, s, data, giving(data, new(atomic.Int64))), data)
}

// A store that cannot be written to costs memory, and nothing else.
func TestNoStore(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(file, nil, 0o600))
	open777, err := os.MkdirTemp("", "blobs") //nolint:usetesting // which lies in one that others may not enter
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(open777) })
	must(t, os.Chmod(open777, 0o777)) //nolint:gosec // that is what is tried
	data := random(8, 100_000)
	for _, dir := range []string{"", filepath.Join(file, "blobs"), open777} {
		s := NewStore(dir, 1<<30, slog.New(slog.DiscardHandler))
		b := open(t, s, data, giving(data, new(atomic.Int64)))
		holds(t, b, data)
		if b.Bytes() == nil {
			t.Errorf("%q is used", dir)
		}
		b, err := s.Put(t.Context(), bytes.NewReader(data))
		must(t, err)
		holds(t, b, data)
	}
}

// A process that stands still while it fetches does not keep others waiting, and one that goes on
// slowly does.
func TestPatience(t *testing.T) {
	t.Parallel()
	for _, alive := range []bool{true, false} {
		t.Run(fmt.Sprintf("alive=%t", alive), func(t *testing.T) {
			t.Parallel()
			data, s := random(9, 100_000), newStore(t, 1<<30)
			s.patience = 3 * aliveEvery
			must(t, s.made())
			e := s.entry(sha256.Sum256(data), int64(len(data)))
			unlock, err := e.hold(t.Context())
			must(t, err)
			if !alive {
				unlock()
				unlock, err = e.acquire(t.Context(), tryLock, func() func() { return func() {} })
				must(t, err)
			}
			got := make(chan *Blob)
			go func() {
				b, err := s.Open(t.Context(), sha256.Sum256(data), int64(len(data)), giving(data, new(atomic.Int64)))
				if err != nil {
					t.Error(err)
				}
				got <- b
			}()
			select {
			case b := <-got:
				if alive || b.Bytes() == nil {
					t.Error("it did not wait, or the blob is in the store")
				}
				unlock()
			case <-time.After(2 * s.patience):
				if !alive {
					t.Error("it waits for a process that stands still")
				}
				unlock()
				if b := <-got; b.Bytes() != nil {
					t.Error("the blob is in memory")
				}
			}
		})
	}
}

// Who waits for another process is let go by its context.
func TestWaitEnds(t *testing.T) {
	t.Parallel()
	s, data := newStore(t, 1<<30), random(10, 1000)
	must(t, s.made())
	unlock, err := s.entry(sha256.Sum256(data), 1000).hold(t.Context())
	must(t, err)
	defer unlock()
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	if _, err := s.Open(ctx, sha256.Sum256(data), 1000, refused); !errors.Is(err, context.DeadlineExceeded) {
		t.Error(err)
	}
}

// What was not used for longest leaves a store that is full, but not what is in use.
func TestTrim(t *testing.T) {
	t.Parallel()
	const size = 100_000
	s := newStore(t, 10*size)
	var all [][]byte
	used := random(100, size)
	inUse := open(t, s, used, giving(used, new(atomic.Int64)))
	for i := range 20 {
		data := random(byte(i), size)
		all = append(all, data)
		open(t, s, data, giving(data, new(atomic.Int64))).Close()
		open(t, s, all[0], giving(all[0], new(atomic.Int64))).Close() // it is used again and again
		time.Sleep(2 * time.Millisecond)
	}
	if _, total := s.all(); total > 11*size {
		t.Errorf("the store holds %d bytes", total)
	}
	holds(t, inUse, used)
	holds(t, open(t, s, used, refused), used)
	holds(t, open(t, s, all[0], refused), all[0])
	holds(t, open(t, s, all[19], refused), all[19])
	if _, err := s.Open(t.Context(), sha256.Sum256(all[1]), size, refused); err == nil {
		t.Error("the blob that was not used for longest is still there")
	}
}

func TestPut(t *testing.T) {
	t.Parallel()
	s, data := newStore(t, 1<<30), random(11, 300_000)
	for range 2 {
		b, err := s.Put(t.Context(), bytes.NewReader(data))
		must(t, err)
		holds(t, b, data)
		if b.Bytes() != nil {
			t.Error("it is in memory")
		}
		b.Close()
	}
	holds(t, open(t, s, data, refused), data)
	if left, err := filepath.Glob(filepath.Join(s.dir, "*"+tempSuffix)); len(left) > 0 || err != nil {
		t.Error(left, err)
	}
	broken := errors.New("broken")
	if _, err := s.Put(t.Context(), io.MultiReader(bytes.NewReader(data), failing{broken})); !errors.Is(err, broken) {
		t.Error(err)
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

func TestParseDigest(t *testing.T) {
	t.Parallel()
	d := Digest(sha256.Sum256(nil))
	if got, err := ParseDigest(d.String()); err != nil || got != d {
		t.Error(got, err)
	}
	for _, bad := range []string{"", "ab", d.String()[1:], d.String() + "0", strings.Repeat("x", 64), fmt.Sprint(d)} {
		if _, err := ParseDigest(bad); err == nil && bad != d.String() {
			t.Errorf("%q is a digest", bad)
		}
	}
}
