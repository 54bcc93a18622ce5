package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func TestGlob(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, name := range []string{
		"a.txt", "b.go", "x/c.txt", "x/y/d.txt", "x/y/e.go", "z.txt/f.txt",
		".hidden.txt", ".git/config", ".git/x/g.txt", "x/.env", "x/.cache/h.txt",
	} {
		if err := writeFile(filepath.Join(dir, name), nil); err != nil {
			t.Fatal(err)
		}
	}
	for _, link := range []struct{ name, to string }{{"linked", "x"}, {"x/link.txt", "../a.txt"}, {"x/folder.txt", "y"}, {"x/y/up", "../.."}, {"b.gone", "nowhere"}} {
		if err := os.Symlink(link.to, filepath.Join(dir, link.name)); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		pattern string
		want    []string
	}{
		{"*.txt", []string{"a.txt"}},
		{"*", []string{"a.txt", "b.go", "b.gone"}},
		{"**", []string{"a.txt", "b.go", "b.gone", "x/c.txt", "x/link.txt", "x/y/d.txt", "x/y/e.go", "z.txt/f.txt"}},
		{"**/*.txt", []string{"a.txt", "x/c.txt", "x/link.txt", "x/y/d.txt", "z.txt/f.txt"}},
		{"x/**/*.go", []string{"x/y/e.go"}},
		{"**/y/*", []string{"x/y/d.txt", "x/y/e.go"}},
		{"x/**/y/**/d.txt", []string{"x/y/d.txt"}},
		{"linked/**/*.go", []string{"linked/y/e.go"}},
		{"linked/*.txt", []string{"linked/c.txt", "linked/link.txt"}},
		{"*/c.txt", []string{"linked/c.txt", "x/c.txt"}},
		{"*.{go,txt}", []string{"a.txt", "b.go"}},
		{"{x,z.txt}/*.txt", []string{"x/c.txt", "x/link.txt", "z.txt/f.txt"}},
		{"[ab].*", []string{"a.txt", "b.go", "b.gone"}},
		{"x/?.txt", []string{"x/c.txt"}},
		// Hidden files and folders, unless the pattern says the dot.
		{"?hidden.txt", nil},
		{".*", []string{".hidden.txt"}},
		{".*/*", []string{".git/config"}},
		{".git/**", []string{".git/config", ".git/x/g.txt"}},
		{"**/.env", []string{"x/.env"}},
		{"**/.cache/*", []string{"x/.cache/h.txt"}},
		{"{*,.*}.txt", []string{".hidden.txt", "a.txt"}},
		// Without wildcards.
		{"x/c.txt", []string{"x/c.txt"}},
		{".git/config", []string{".git/config"}},
		{"nosuch/*", nil},
		{"nosuch/**/*", nil},
		{"**/nosuch", nil},
	}
	for _, tt := range tests {
		got, err := glob(filepath.Join(dir, tt.pattern))
		if err != nil {
			t.Errorf("glob(%s): %v", tt.pattern, err)
		}
		for i, name := range got {
			got[i], _ = filepath.Rel(dir, name)
		}
		if diff := cmp.Diff(tt.want, got, cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("glob(%s) (-want +got):\n%s", tt.pattern, diff)
		}
	}
}
