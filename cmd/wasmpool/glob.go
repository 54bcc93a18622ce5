package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
)

// glob returns the files, not folders, whose names match a pattern, sorted. It
// is filepath.Glob with one thing more: an element ** of the pattern matches
// any number of folders, also none.
func glob(pattern string) ([]string, error) {
	elements := strings.Split(filepath.ToSlash(pattern), "/")
	if !slices.Contains(elements, "**") {
		names, err := filepath.Glob(pattern)
		return slices.DeleteFunc(names, isFolder), err
	}
	fixed := slices.IndexFunc(elements, func(e string) bool { return strings.ContainsAny(e, `*?[\`) })
	folder := strings.Join(elements[:fixed], "/")
	if folder == "" && fixed > 0 {
		folder = "/"
	}
	return walk(folder, elements[fixed:])
}

// walk returns the files below folder whose relative path matches pattern.
func walk(folder string, pattern []string) ([]string, error) {
	start := folder
	if start == "" {
		start = "."
	}
	if _, err := os.Stat(start); errors.Is(err, fs.ErrNotExist) {
		return nil, nil // as of any other pattern
	}
	var names []string
	// A DirFS also enters a start that is a symbolic link.
	err := fs.WalkDir(os.DirFS(start), ".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !matchElements(pattern, strings.Split(name, "/")) {
			return err
		}
		full := filepath.Join(folder, filepath.FromSlash(name))
		if entry.Type()&fs.ModeSymlink == 0 || !isFolder(full) {
			names = append(names, full)
		}
		return nil
	})
	slices.Sort(names)
	if err != nil {
		return nil, fmt.Errorf("in folder %s: %w", start, err)
	}
	return names, nil
}

// matchElements matches a path with a pattern, both cut at the slashes.
func matchElements(pattern, name []string) bool {
	for len(pattern) > 0 {
		if pattern[0] == "**" {
			for skip := range len(name) + 1 {
				if matchElements(pattern[1:], name[skip:]) {
					return true
				}
			}
			return false
		}
		if len(name) == 0 {
			return false
		}
		if ok, err := path.Match(pattern[0], name[0]); err != nil || !ok {
			return false
		}
		pattern, name = pattern[1:], name[1:]
	}
	return len(name) == 0
}

func isFolder(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}
