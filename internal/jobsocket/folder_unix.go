//go:build unix

package jobsocket

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"syscall"
)

// folders returns the folders in which jobs may be, in the order in which they are tried.
func folders() []string {
	if dir := os.Getenv(Env); dir != "" {
		return []string{dir}
	}
	own := "wasmpool-" + strconv.Itoa(os.Geteuid())
	var list []string
	if dir := os.Getenv("XDG_RUNTIME_DIR"); filepath.IsAbs(dir) {
		list = append(list, filepath.Join(dir, "wasmpool"))
	}
	for _, dir := range []string{os.TempDir(), "/tmp"} {
		if path := filepath.Join(dir, own); filepath.IsAbs(dir) && !slices.Contains(list, path) {
			list = append(list, path)
		}
	}
	return list
}

// makeFolder makes a folder that only this user may enter, unless it is there.
func makeFolder(dir string) error {
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return err
	}
	return checkFolder(dir)
}

// checkFolder looks that a folder is this user's, and that nobody else may enter it.
func checkFolder(dir string) error {
	info, err := os.Lstat(dir)
	if err != nil {
		return err
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !info.IsDir():
		return fmt.Errorf("jobsocket: %s is no folder", dir)
	case !ok || int(stat.Uid) != os.Geteuid():
		return fmt.Errorf("jobsocket: %s belongs to another user", dir)
	case info.Mode().Perm()&0o077 != 0:
		return fmt.Errorf("jobsocket: others may enter %s: chmod 700 %[1]s", dir)
	}
	return nil
}

// isTaken reports whether a socket cannot be made as there is a file of that name.
func isTaken(err error) bool { return errors.Is(err, syscall.EADDRINUSE) }

// isRefused reports whether nobody listens on a socket.
func isRefused(err error) bool { return errors.Is(err, syscall.ECONNREFUSED) }
