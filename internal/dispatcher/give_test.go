package dispatcher

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/wasmpool/wasmpool/internal/blob"
)

// Pieces of a file that nobody can read hold up neither those of another one nor what is in memory.
func TestHungFileHoldsUpItself(t *testing.T) {
	t.Parallel()
	b := NewBlock(1, false)
	r, w := newReuser(t, b, 1)
	g := &r.d.lock.loop.giver
	file := func(text string) *blob.Blob {
		name := filepath.Join(t.TempDir(), text)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		opened, err := blob.OfFile(t.Context(), name)
		if err != nil {
			t.Fatal(err)
		}
		return opened
	}
	hung, other := file("hung"), file("other")
	for range mostOfBlob + mostGiven {
		g.waiting = append(g.waiting, &piece{worker: w, blob: hung, n: 1})
	}
	g.waiting = append(g.waiting, &piece{worker: w, blob: other, n: 1, transfer: 1})
	for range mostOfBlob {
		p := g.take()
		if p == nil || p.blob != hung {
			t.Fatal("the first pieces are not the oldest")
		}
		g.read(p.blob, 1)
	}
	if p := g.take(); p == nil || p.blob != other {
		t.Error("the other file waits")
	}
	if g.take() != nil || len(g.waiting) != mostGiven {
		t.Errorf("%d pieces wait", len(g.waiting))
	}
	g.read(hung, -1)
	if p := g.take(); p == nil || p.blob != hung {
		t.Error("a piece of the file waits although one was read")
	}
}
