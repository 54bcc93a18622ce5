package executor_test

import (
	"archive/zip"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
)

// randomBytes returns n bytes that are the same for the same seed.
func randomBytes(t testing.TB, seed byte, n int) []byte {
	t.Helper()
	data := make([]byte, n)
	r := rand.NewChaCha8([32]byte{seed})
	if _, err := r.Read(data); err != nil {
		t.Fatal(err)
	}
	return data
}

// fileOf returns the name of a file with these bytes.
func fileOf(t testing.TB, data []byte) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func share(t testing.TB, ex *executor.Executor, src executor.Source) *executor.Blob {
	t.Helper()
	b, err := ex.Share(t.Context(), src)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// partOf is the argument of the task part.
func partOf(name string, at, n int) []byte {
	return fmt.Appendf(nil, `{"Name":%q,"At":%d,"N":%d}`, name, at, n)
}

// Tasks read the bytes of what is shared into them, whatever they were made of.
func TestShare(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	data := randomBytes(t, 1, 9<<20+5) // more than two pieces
	for kind, src := range map[string]executor.Source{
		"bytes": executor.FromBytes(data), "file": executor.FromFile(fileOf(t, data)), "reader": executor.FromReader(bytes.NewReader(data)),
	} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := share(t, ex, src)
			sum := sha256.Sum256(data)
			if b.Len() != int64(len(data)) || b.Digest() != sum {
				t.Errorf("%d bytes with the digest %x", b.Len(), b.Digest())
			}
			for _, at := range []int{0, 1, 4<<20 - 10, 4 << 20, 8<<20 + 1, len(data) - 5, len(data), len(data) + 5} {
				got, err := ex.Call(t.Context(), "part", partOf("weights", at, 20), executor.With("weights", b))
				want := data[min(at, len(data)):min(at+20, len(data))]
				if err != nil || !bytes.Equal(decoded(t, got), want) {
					t.Errorf("at %d: %s, %v", at, got, err)
				}
			}
			want := fmt.Sprintf("%d %x %[2]x", len(data), sum)
			for range 3 {
				got, err := ex.Call(t.Context(), "whole", []byte("weights"), executor.With("weights", b))
				if err != nil || string(got) != want {
					t.Errorf("whole: %s, %v", got, err)
				}
			}
			got, err := ex.Call(t.Context(), "file", []byte("/shared/weights"), executor.With("weights", b))
			if want := fmt.Sprintf("%d %x", len(data), sum); err != nil || string(got) != want {
				t.Errorf("file: %s, %v", got, err)
			}
		})
	}
}

// decoded returns the bytes that a task gave as JSON.
func decoded(t *testing.T, text []byte) []byte {
	t.Helper()
	data, err := unquoted(text)
	if err != nil {
		t.Error(err)
	}
	return data
}

func unquoted(text []byte) (data []byte, err error) {
	err = json.Unmarshal(text, &data)
	return data, err
}

// What was not shared into a call does not exist for it, also on an instance that has read it.
func TestShareIsOfTheCall(t *testing.T) {
	t.Parallel()
	ex := bare(t)
	a, b := share(t, ex, executor.FromBytes([]byte("first"))), share(t, ex, executor.FromBytes([]byte("second")))
	both := []executor.CallOption{executor.With("a", a), executor.With("b", b)}
	for range 20 {
		for _, tt := range []struct {
			task, arg, want string // "" for a failure
			opts            []executor.CallOption
		}{
			{"part", `{"Name":"a","N":9}`, `"Zmlyc3Q="`, both},
			{"part", `{"Name":"b","N":9}`, `"c2Vjb25k"`, both},
			{"part", `{"Name":"a","N":9}`, ``, both[1:]},
			{"part", `{"Name":"a","N":9}`, ``, nil},
			{"part", `{"Name":"a","N":9}`, `"c2Vjb25k"`, []executor.CallOption{executor.With("a", a), executor.With("a", b)}},
			{"part", `{"Name":"","N":9}`, ``, both},
			{"part", `{"Name":"a/../b","N":9}`, ``, both},
			{"file", "/shared", "[- a - b]", both},
			{"file", "/shared", "[- b]", both[1:]},
			{"file", "/shared", "", nil},
			{"file", "/shared/a", "", both[1:]},
			{"file", "/shared/a", "", nil},
			{"file", "/shared/c", "", both},
		} {
			got, err := ex.Call(t.Context(), tt.task, []byte(tt.arg), tt.opts...)
			if tt.task == "file" {
				got = bytes.ReplaceAll(got, []byte("{"), nil)
			}
			var failed *executor.TaskError
			switch {
			case tt.want == "" && (!errors.As(err, &failed) || failed.Kind != host.KindApplication):
				t.Errorf("%s %s with %d: %s, %v, want a failure", tt.task, tt.arg, len(tt.opts), got, err)
			case tt.want != "" && (err != nil || string(got) != tt.want):
				t.Errorf("%s %s with %d: %s, %v, want %s", tt.task, tt.arg, len(tt.opts), got, err, tt.want)
			}
		}
	}
	_, err := ex.Call(t.Context(), "part", []byte(`{"Name":"weights"}`))
	if err == nil || !strings.Contains(err.Error(), "no shared input weights: share it with executor.With, or --shared weights=FILE") {
		t.Error(err)
	}
}

// Bytes that a task has loaded are those of the call's digest.
func TestShareOtherBytes(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	for i := range 30 {
		data := randomBytes(t, byte(i%3), 1000+i%3)
		got, err := ex.Call(t.Context(), "whole", []byte("x"), executor.With("x", share(t, ex, executor.FromBytes(data))))
		if want := fmt.Sprintf("%d %x %[2]x", len(data), sha256.Sum256(data)); err != nil || string(got) != want {
			t.Errorf("%d: %s, %v, want %s", i, got, err, want)
		}
	}
}

// Maps, batches and sequels have shared inputs, too.
func TestShareIntoMany(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	with := executor.With("x", share(t, ex, executor.FromBytes([]byte("abcdefghij"))))
	args := func(yield func([]byte) bool) {
		for i := range 500 {
			if !yield(partOf("x", i%10, 1)) {
				return
			}
		}
	}
	n := 0
	for got, err := range ex.Map(t.Context(), "part", args, with) {
		if err != nil || string(decoded(t, got)) != string("abcdefghij"[n%10]) {
			t.Fatalf("%d: %s, %v", n, got, err)
		}
		n++
	}
	results, err := ex.SubmitBatch(t.Context(), "part", args, with).Results(t.Context())
	if n != 500 || len(results) != 500 || err != nil {
		t.Error(n, len(results), err)
	}
	then := ex.Submit(t.Context(), "echo", partOf("x", 3, 2)).Then("part", with)
	if got, err := then.Result(t.Context()); err != nil || string(decoded(t, got)) != "de" {
		t.Errorf("%s, %v", got, err)
	}
}

// Names, blobs and sources that make no sense are errors of who gave them.
func TestShareErrors(t *testing.T) {
	t.Parallel()
	ex := bare(t)
	b := share(t, ex, executor.FromBytes(nil))
	for _, name := range []string{"", ".", "..", ".hidden", "a/b", "a b", "ä", "a\x00", strings.Repeat("x", 101)} {
		if _, err := ex.Call(t.Context(), "echo", nil, executor.With(name, b)); err == nil || errors.As(err, new(*executor.TaskError)) {
			t.Errorf("%q is a name: %v", name, err)
		}
	}
	if _, err := ex.Call(t.Context(), "echo", nil, executor.With("a", nil)); err == nil || !strings.Contains(err.Error(), `With("a") was given a nil Blob`) {
		t.Error(err)
	}
	for what, src := range map[string]executor.Source{
		"zero Source":                  {},
		"no such file":                 executor.FromFile("/no/such/file"),
		"a folder":                     executor.FromFile(t.TempDir()),
		"neither a zip nor a tar file": executor.FromBytes([]byte("text")).AsTree(),
		"it is compressed as a whole":  executor.FromBytes([]byte("\x1f\x8b\x08")).AsTree(),
		"broken":                       executor.FromReader(io.MultiReader(strings.NewReader("x"), brokenReader{})),
	} {
		if _, err := ex.Share(t.Context(), src); err == nil || !strings.Contains(err.Error(), what) {
			t.Errorf("%s: %v", what, err)
		}
	}
	var many []executor.CallOption
	for i := range host.MostShared + 1 {
		many = append(many, executor.With(fmt.Sprint("n", i), b))
	}
	if _, err := ex.Call(t.Context(), "file", []byte("/shared"), many[1:]...); err != nil {
		t.Error(err)
	}
	if _, err := ex.Call(t.Context(), "echo", nil, many...); err == nil || !strings.Contains(err.Error(), "at most 100") {
		t.Error(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := ex.Share(ctx, executor.FromFile(fileOf(t, make([]byte, 10)))); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, errors.New("broken") }

// A file that changes after it was shared fails the calls that would see the change.
func TestShareChangedFile(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	name := fileOf(t, randomBytes(t, 77, 5<<20))
	then := time.Now().Add(-time.Hour)
	if err := os.Chtimes(name, then, then); err != nil {
		t.Fatal(err)
	}
	b := share(t, ex, executor.FromFile(name))
	if err := os.Truncate(name, 4<<20); err != nil {
		t.Fatal(err)
	}
	_, err := ex.Call(t.Context(), "part", partOf("x", 5<<20-10, 5), executor.With("x", b))
	var failed *executor.TaskError
	if !errors.As(err, &failed) || failed.Kind != host.KindHost || !strings.Contains(err.Error(), "the file has changed since it was shared") {
		t.Error(err)
	}
	if _, err := ex.Call(t.Context(), "echo", nil); err != nil {
		t.Error(err)
	}
}

// zipOf returns a zip file, with every other file compressed.
func zipOf(t testing.TB, files map[string]string) []byte {
	t.Helper()
	var buf bytes.Buffer
	w := zip.NewWriter(&buf)
	i := 0
	for name, text := range files {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: uint16(i % 2 * int(zip.Deflate))})
		if err == nil {
			_, err = io.WriteString(f, text)
		}
		if err != nil {
			t.Fatal(err)
		}
		i++
	}
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	return buf.Bytes()
}

// A zip file is seen as its folders and files.
func TestShareTree(t *testing.T) {
	t.Parallel()
	ex := bare(t)
	long := strings.Repeat("long ", 300_000)
	b := share(t, ex, executor.FromBytes(zipOf(t, map[string]string{"lib/a.py": "a", "lib/deep/b.py": long, "c": ""})).AsTree())
	for path, want := range map[string]string{
		"/shared":                   "[d lib/]",
		"/shared/lib":               "[- c d lib/]",
		"/shared/lib/lib":           "[- a.py d deep/]",
		"/shared/lib/lib/a.py":      fmt.Sprintf("1 %x", sha256.Sum256([]byte("a"))),
		"/shared/lib/lib/deep/b.py": fmt.Sprintf("%d %x", len(long), sha256.Sum256([]byte(long))),
		"/shared/lib/c":             fmt.Sprintf("0 %x", sha256.Sum256(nil)),
		"/shared/lib/none":          "",
		"/shared/lib/c/d":           "",
		"/shared/lib/../../c":       "",
	} {
		got, err := ex.Call(t.Context(), "file", []byte(path), executor.With("lib", b))
		if (want == "") != (err != nil) || string(got) != want {
			t.Errorf("%s: %s, %v, want %s", path, got, err, want)
		}
	}
}

// What Config shares each call has, and may have something else of that name.
func TestShareInConfig(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{SharedDir: t.TempDir(), Shared: map[string]executor.Source{
		"a": executor.FromBytes([]byte("pool")), "b": executor.FromFile(fileOf(t, []byte("file"))),
	}})
	b := share(t, ex, executor.FromBytes(nil))
	var many []executor.CallOption
	for i := range host.MostShared - 1 {
		many = append(many, executor.With(fmt.Sprint("n", i), b))
	}
	if _, err := ex.Call(t.Context(), "echo", nil, many...); err == nil || !strings.Contains(err.Error(), "a call with 101 shared inputs, those of Config.Shared among them, may have at most 100") {
		t.Error(err)
	}
	own := executor.With("a", share(t, ex, executor.FromReader(strings.NewReader("call"))))
	for _, tt := range []struct {
		name, want string
		opts       []executor.CallOption
	}{
		{"a", "pool", nil},
		{"b", "file", nil},
		{"a", "call", []executor.CallOption{own}},
		{"b", "file", []executor.CallOption{own}},
		{"a", "pool", []executor.CallOption{executor.Tags("x")}},
	} {
		for _, ex := range []*executor.Executor{ex, ex.Fork()} {
			got, err := ex.Call(t.Context(), "part", partOf(tt.name, 0, 9), tt.opts...)
			if err != nil || string(decoded(t, got)) != tt.want {
				t.Errorf("%s: %s, %v, want %s", tt.name, got, err, tt.want)
			}
		}
	}
	for field, cfg := range map[string]executor.Config{
		`Shared: the name of a shared input, "a/b"`: {Shared: map[string]executor.Source{"a/b": executor.FromBytes(nil)}},
		`Shared["a"] is the zero Source`:            {Shared: map[string]executor.Source{"a": {}}},
		`Config.Shared["a"]: stat`:                  {Shared: map[string]executor.Source{"a": executor.FromFile("/no/such/file")}},
		"SharedBytes is -1":                         {SharedBytes: -1},
	} {
		if _, err := executor.Local(cfg); err == nil || !strings.Contains(err.Error(), field) {
			t.Errorf("%v, want one that says %s", err, field)
		}
	}
}

// One key is one piece of work, with the same shared inputs.
func TestShareKeys(t *testing.T) {
	t.Parallel()
	ex := shape(t)
	a, b := share(t, ex, executor.FromBytes([]byte("a"))), share(t, ex, executor.FromBytes([]byte("b")))
	first := ex.Submit(t.Context(), "forever", nil, executor.Key("k"), executor.With("x", a))
	if same := ex.Submit(t.Context(), "forever", nil, executor.Key("k"), executor.With("x", a)); same != first {
		t.Error("equal work is done twice")
	}
	other := ex.Submit(t.Context(), "forever", nil, executor.Key("k"), executor.With("x", b))
	if _, err := other.Result(t.Context()); err == nil || !strings.Contains(err.Error(), "in use for another piece of work") {
		t.Error(err)
	}
	first.Kill("it is not needed")
}

// A memo tells calls apart by what is shared into them.
func TestShareWithMemo(t *testing.T) {
	t.Parallel()
	kept := &mapMemo{results: map[[32]byte][]byte{}}
	ex := open(t, executor.Config{Memo: kept, Sandbox: host.Config{Isolation: host.IsolationReset}, SharedDir: t.TempDir()})
	a, b := share(t, ex, executor.FromBytes([]byte("a"))), share(t, ex, executor.FromBytes([]byte("b")))
	for range 2 {
		for _, with := range []executor.CallOption{executor.With("x", a), executor.With("x", b), executor.With("y", a)} {
			got, err := ex.Call(t.Context(), "file", []byte("/shared"), with)
			if err != nil {
				t.Error(err)
			}
			part, err := ex.Call(t.Context(), "whole", got[3:4], with)
			if err != nil {
				t.Errorf("%s: %v", got, err)
			}
			kept.seen(string(got) + string(part))
		}
	}
	if len(kept.texts) != 3 || len(kept.results) != 6 {
		t.Errorf("%d different results, and %d are kept, want 3 and 6: %v", len(kept.texts), len(kept.results), kept.texts)
	}
	stats, err := ex.Stats(t.Context())
	if err != nil || stats.Found != 6 {
		t.Errorf("%d results were found, %v, want 6", stats.Found, err)
	}
}

// A mapMemo keeps results in memory.
type mapMemo struct {
	mu      sync.Mutex
	results map[[32]byte][]byte
	texts   map[string]bool
}

func (m *mapMemo) Open() error  { return nil }
func (m *mapMemo) Close() error { return nil }

func (m *mapMemo) Find(_ context.Context, key *executor.MemoKey) ([]byte, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	result, ok := m.results[key.Sum]
	return bytes.Clone(result), ok
}

func (m *mapMemo) Keep(key *executor.MemoKey, result []byte) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.results[key.Sum] = bytes.Clone(result)
}

func (m *mapMemo) Drop(key *executor.MemoKey) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.results, key.Sum)
}

// seen notes a text.
func (m *mapMemo) seen(text string) {
	if m.texts == nil {
		m.texts = map[string]bool{}
	}
	m.texts[text] = true
}
