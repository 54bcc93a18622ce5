package memo

import (
	"bytes"
	"log/slog"
	"os"
	"testing"

	"github.com/wasmpool/wasmpool/executor"
)

// A result that looks like a record is none, also where the record around it is damaged: the salt is not known to guests. With the
// salt it would be one, which shows that the test looks at the right thing.
func TestForged(t *testing.T) {
	t.Parallel()
	task := &executor.MemoTask{Digest: [32]byte{1}}
	for _, known := range []bool{false, true} {
		dir := t.TempDir()
		s := New(dir, Config{Logger: slog.New(slog.DiscardHandler)})
		if err := s.Open(); err != nil {
			t.Fatal(err)
		}
		s.Keep(&executor.MemoKey{Task: task}, nil)
		if err := s.Sync(t.Context()); err != nil {
			t.Fatal(err)
		}
		victim := &executor.MemoKey{Task: task, Sum: [32]byte{7}}
		forged := appendRecord(nil, &record{kind: isResult, task: 1, key: victim.Sum, payload: []byte("wrong")})
		seg := s.writer.order[0]
		if seal(forged, 1); known {
			seal(forged, seg.salt)
		}
		s.Keep(&executor.MemoKey{Task: task, Sum: [32]byte{8}}, append(bytes.Repeat([]byte("x"), 50), forged...))
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(seg.name)
		if err != nil {
			t.Fatal(err)
		}
		b[bytes.Index(b, []byte("xxxxx"))] = 'y'
		if err := os.WriteFile(seg.name, b, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := s.Open(); err != nil {
			t.Fatal(err)
		}
		got, found := s.Find(t.Context(), victim)
		if found != known {
			t.Errorf("with the salt known: %v, the forged result %q is found: %v", known, got, found)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
