//go:build unix

package compile

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/internal/guesttest"
)

// A cache folder that others can write to is left alone, and the log says once what
// to do.
func TestCacheOfOthers(t *testing.T) {
	t.Parallel()
	dir, err := os.MkdirTemp("", "cache") //nolint:usetesting // others may not enter that of a test
	if err == nil {
		t.Cleanup(func() { os.RemoveAll(dir) })
		err = os.Chmod(dir, 0o757)
	}
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	p := newPipeline(t, Config{CacheDir: filepath.Join(dir, "compiled"), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	answer(t, load(t, p, guesttest.Module(t, "answer", answerWAT)))
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, "chmod o-w "+dir+`"`) || p.CacheDir() != "" {
		t.Errorf("it uses %q and logs\n%s", p.CacheDir(), text)
	}
	if entries, err := os.ReadDir(filepath.Join(dir, "compiled")); err != nil || len(entries) > 0 {
		t.Errorf("it holds %v, %v", entries, err)
	}
}

// A cache folder that cannot be made is told of in one line.
func TestCacheOfNone(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	p := newPipeline(t, Config{CacheDir: filepath.Join(file, "compiled"), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	answer(t, load(t, p, guesttest.Module(t, "answer", answerWAT)))
	if text := log.String(); strings.Count(text, "\n") != 1 || !strings.Contains(text, file) {
		t.Errorf("it logs\n%s\nwant one line that names the folder", text)
	}
}

// Code that somebody else may have written is not run.
func TestCachePlanted(t *testing.T) {
	t.Parallel()
	m := guesttest.Module(t, "answer", answerWAT)
	dir := t.TempDir()
	loadAndRun(t, dir, m)
	for _, ext := range []string{"", sumSuffix} {
		file := cached(t, dir) + ext
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for name, plant := range map[string]func() error{
			"open to others": func() error { return os.Chmod(file, 0o666) },
			"a link":         func() error { return os.Symlink(elsewhere(t, data), file) },
			"another's":      func() error { return os.Chown(file, 65534, -1) },
		} {
			if name == "another's" && os.Geteuid() != 0 {
				continue
			}
			if name == "a link" {
				os.Remove(file)
			}
			if err := plant(); err != nil {
				t.Fatal(err)
			}
			if got := loadAndRun(t, dir, m); got != 1 {
				t.Errorf("%s%s: %d modules were compiled, want 1", name, ext, got)
			}
		}
	}
	if got := loadAndRun(t, dir, m); got != 0 {
		t.Errorf("%d modules were compiled, want 0", got)
	}
}

func elsewhere(t *testing.T, data []byte) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}
