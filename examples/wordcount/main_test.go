package main

import (
	"bytes"
	"context"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/executor"
)

// count runs the program in this process and returns what it prints.
func count(t *testing.T, s settings) (string, error) {
	t.Helper()
	s.tasks = "tasks"
	var out bytes.Buffer
	err := executor.Run(t.Context(), executor.Config{RootSlots: 2}, func(ctx context.Context, ex *executor.Executor) error {
		return root(ctx, ex, s, &out)
	})
	return out.String(), err
}

// folder holds two small texts and a file of another kind.
func folder(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"a.txt": "The cat, the dog.\n", "deep/er/b.txt": "the END\n", "c.png": "no word",
	} {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFolder(t *testing.T) {
	t.Parallel()
	out, err := count(t, settings{folder: folder(t), pattern: "*.txt", check: true})
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"        2 files\n        6 words\n        4 distinct words\n",
		"\n\n        3 the\n        1 cat\n        1 dog\n        1 end\n\n",
		"rank 0: 2 calls (slots: 2)\n",
		"checked: an independent count gives the same\n",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in:\n%s", want, out)
		}
	}
}

// A part of Go's own sources is real text: the task must find in it what the
// independent count finds.
func TestGoSources(t *testing.T) {
	t.Parallel()
	src, err := goTree(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	out, err := count(t, settings{folder: filepath.Join(src, "unicode"), pattern: "*.go", check: true})
	if err != nil || !strings.Contains(out, "checked: ") {
		t.Errorf("%v\n%s", err, out)
	}
}

func TestNothingToRead(t *testing.T) {
	t.Parallel()
	for _, s := range []settings{
		{folder: folder(t), pattern: "*.go"},
		{folder: folder(t), pattern: "[*.go"},
		{folder: filepath.Join(folder(t), "gone"), pattern: "*.txt"},
	} {
		if out, err := count(t, s); err == nil {
			t.Errorf("%+v: no error\n%s", s, out)
		}
	}
}

// The check is worth something: it finds each kind of difference.
func TestCompareFindsDifferences(t *testing.T) {
	t.Parallel()
	right := total{files: 2, words: 3, counts: map[string]int{"a": 2, "b": 1}}
	if err := compare(right, right); err != nil {
		t.Errorf("equal totals: %v", err)
	}
	for name, change := range map[string]func(*total){
		"a file":   func(t *total) { t.files++ },
		"words":    func(t *total) { t.words++ },
		"a count":  func(t *total) { t.counts["a"]++ },
		"one more": func(t *total) { t.counts["c"] = 1 },
		"one less": func(t *total) { delete(t.counts, "b") },
	} {
		wrong := right
		wrong.counts = maps.Clone(right.counts)
		change(&wrong)
		if compare(wrong, right) == nil {
			t.Errorf("%s: no error", name)
		}
	}
}

func TestTop(t *testing.T) {
	t.Parallel()
	tt := total{counts: map[string]int{"b": 2, "a": 2, "c": 5, "d": 1}}
	if got, want := tt.top(3), []string{"c", "a", "b"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := tt.top(10); len(got) != 4 {
		t.Errorf("got %v, want all four", got)
	}
}

// A file that cannot be read is an error, not a smaller count.
func TestUnreadableFile(t *testing.T) {
	t.Parallel()
	paths, err := list(folder(t), "*.txt")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(paths[1]); err != nil {
		t.Fatal(err)
	}
	var unread error
	n := 0
	for range contents(paths, &unread) {
		n++
	}
	if n != 1 || unread == nil {
		t.Errorf("%d contents, error %v", n, unread)
	}
}
