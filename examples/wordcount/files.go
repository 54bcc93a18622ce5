package main

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// goTree returns the folder of the Go toolchain's own sources.
func goTree(ctx context.Context) (string, error) {
	root, err := exec.CommandContext(ctx, "go", "env", "GOROOT").Output()
	if err != nil {
		return "", fmt.Errorf("asking go for its source tree (give another folder with -dir): %w", err)
	}
	return filepath.Join(strings.TrimSpace(string(root)), "src"), nil
}

// list returns the files under a folder whose names match a pattern, in a
// fixed order.
func list(folder, pattern string) ([]string, error) {
	var paths []string
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		match, err := filepath.Match(pattern, entry.Name())
		if match {
			paths = append(paths, path)
		}
		return err
	})
	if err == nil && len(paths) == 0 {
		err = fmt.Errorf("no file %s under %s", pattern, folder)
	}
	return paths, err
}

// contents reads files as they are asked for. It stops at one that cannot be
// read and leaves the error in failed.
func contents(paths []string, failed *error) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for _, path := range paths {
			data, err := os.ReadFile(path)
			if err != nil {
				*failed = err
				return
			}
			if !yield(data) {
				return
			}
		}
	}
}
