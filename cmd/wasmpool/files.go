package main

import (
	"errors"
	"fmt"
	"io"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// A fileInput yields the content of files.
type fileInput struct {
	names []string
	list  input // that they were read from, or nil
}

// openFiles finds the files that match a pattern, but for those that belong to the results.
func openFiles(pattern string, own func(name string) bool) (input, error) {
	names, err := glob(pattern)
	if err != nil {
		return nil, fmt.Errorf("reading the input: %w", err)
	}
	names = slices.DeleteFunc(names, own)
	switch {
	case len(names) == 0 && isFolder(pattern):
		return nil, fmt.Errorf("%s is a folder: --files '%s' takes the files in it", pattern, path.Join(filepath.ToSlash(pattern), "*"))
	case len(names) == 0:
		return nil, fmt.Errorf("no file matches --files '%s'", pattern)
	}
	return &fileInput{names: names}, nil
}

// readItem reads a file. A pipe or a device may have no end, and nobody who writes to it.
func readItem(name string) item {
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() {
		return item{bad: fmt.Errorf("%s is no regular file", name)}
	}
	if err == nil && info.Size() > mostMemory {
		return item{bad: fmt.Errorf("%s is longer than %s, which no module can use", name, formatBytes(mostMemory))}
	}
	content, err := os.ReadFile(name)
	if err != nil {
		return item{bad: err}
	}
	return item{arg: content}
}

// openFilesFrom opens the files that a list names. Each name ends in a NUL byte; the list - is stdin.
func openFilesFrom(list string, stdin io.Reader) (input, error) {
	names, err := openArgs(list, stdin)
	if err != nil {
		return nil, err
	}
	in := &fileInput{list: names}
	for i, it := range names.items(new(plan)) {
		switch {
		case it.bad != nil:
			err = it.bad
		case len(it.arg) == 0:
			err = fmt.Errorf("name %d of %s is empty", i+1, list)
		}
		if err != nil {
			break
		}
		in.names = append(in.names, string(it.arg))
	}
	if err == nil && len(in.names) == 1 && strings.Contains(in.names[0], "\n") && !isThere(in.names[0]) {
		err = fmt.Errorf("%s has no NUL bytes but lines: each name must end in a NUL byte, as find -print0 writes it, or tr '\\n' '\\0'", list)
	}
	if err = errors.Join(err, names.err()); err != nil {
		names.close() //nolint:errcheck // it was read
		return nil, err
	}
	return in, nil
}

func (in *fileInput) items(p *plan) iter.Seq2[int64, item] {
	return byNumber(in.count(), func(i int64) item { return readItem(in.names[i]) }, p)
}

func (in *fileInput) err() error          { return nil }
func (in *fileInput) count() int64        { return int64(len(in.names)) }
func (in *fileInput) file(i int64) string { return in.names[i] }

func (in *fileInput) close() error {
	if in.list == nil {
		return nil
	}
	return in.list.close()
}

func (in *fileInput) reads(file os.FileInfo) bool {
	return in.list != nil && in.list.reads(file) || slices.ContainsFunc(in.names, func(name string) bool {
		info, err := os.Stat(name)
		return err == nil && os.SameFile(info, file)
	})
}

// glob returns the files, not folders, whose names match a pattern, sorted. As in a shell, **
// stands for any number of folders, and wildcards leave out what begins with a dot. Below ** no
// symbolic link to a folder is followed: it may lead back.
func glob(pattern string) ([]string, error) {
	options := []doublestar.GlobOption{doublestar.WithNoHidden(), doublestar.WithFailOnIOErrors()}
	if strings.Contains(pattern, "**") {
		options = append(options, doublestar.WithNoFollow())
	}
	names, err := doublestar.FilepathGlob(pattern, options...)
	names = slices.DeleteFunc(names, isFolder)
	slices.Sort(names)
	return names, err
}

func isThere(name string) bool {
	_, err := os.Lstat(name)
	return err == nil
}

func isFolder(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}
