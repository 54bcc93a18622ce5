package executor

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/host"
)

// Of a shared file that has changed each call fails that would have it, on each worker, and the log says so once.
func TestShareChangedIsLoggedOnce(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer // only the loop writes to it
	c := newClusterWith(t, 3, Config{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	var blobs []*Blob
	for _, text := range []string{"first", "second"} {
		name := filepath.Join(t.TempDir(), text)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		b, err := c.ex.Share(t.Context(), FromFile(name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(name, 1); err != nil {
			t.Fatal(err)
		}
		blobs = append(blobs, b)
	}
	for range 4 {
		for _, b := range blobs {
			_, err := c.ex.Call(t.Context(), "echo", nil, With("x", b))
			if !errors.Is(err, host.KindHost) || !strings.Contains(err.Error(), "has changed since it was shared") {
				t.Errorf("got %v", err)
			}
		}
	}
	if err := c.ex.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(log.String(), "a shared input cannot be read"); n != 2 {
		t.Errorf("%d lines of the log are about the two files:\n%s", n, log.String())
	}
}
