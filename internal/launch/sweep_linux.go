package launch

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/wasmpool/wasmpool/internal/jobdir"
)

// A job's folder has a file that its launch holds locked. The system lets go of the
// lock when launch ends, however it does, so that a lock that can be taken tells of
// a launch that is dead.
const lockName = "lock"

// claim makes that file, which names host and job, and returns it locked. It has its
// name only when it is.
func (r *run) claim() (*os.File, error) {
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	part := filepath.Join(string(r.dir), lockName+".part")
	f, err := os.OpenFile(part, os.O_CREATE|os.O_EXCL|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	_, err = fmt.Fprintf(f, "%s %s\n", host, r.id)
	if err == nil {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
	}
	if err == nil {
		err = os.Rename(part, filepath.Join(string(r.dir), lockName))
	}
	if err != nil {
		f.Close() //nolint:errcheck // nothing is lost
		return nil, err
	}
	return f, nil
}

// sweep removes what killed launches of this user on this host have left: their
// jobs' folders, and the shared memory that the folders name.
func sweep() {
	for _, pattern := range []string{filepath.Join(os.TempDir(), folderName+"*"), "." + folderName + "*"} {
		dirs, err := filepath.Glob(pattern)
		if err != nil {
			continue
		}
		for _, dir := range dirs {
			if isOwn(dir) {
				sweepDead(dir)
			}
		}
	}
}

// sweepDead removes a folder if its launch is dead and its ranks have ended.
func sweepDead(dir string) {
	lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR|syscall.O_NOFOLLOW, 0)
	if err != nil {
		return // not a job's, or of one that ends
	}
	defer lock.Close()
	if syscall.Flock(int(lock.Fd()), syscall.LOCK_EX|syscall.LOCK_NB) != nil {
		return
	}
	r := &run{dir: jobdir.Dir(dir)}
	var host string
	if _, err := fmt.Fscanf(lock, "%s %s\n", &host, &r.id); err != nil {
		return
	}
	if here, err := os.Hostname(); err != nil || host != here || len(r.processes()) > 0 {
		return
	}
	for _, name := range r.sharedMemory() {
		if !isMapped(name) { // numbers of jobs come again
			os.Remove(name) //nolint:errcheck // another launch may have been faster
		}
	}
	os.RemoveAll(dir) //nolint:errcheck // the next launch tries again
}

// isOwn reports whether a file is this user's.
func isOwn(name string) bool {
	info, err := os.Lstat(name)
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && int(stat.Uid) == os.Geteuid()
}

// isMapped reports whether a process has a file mapped. What this user's ranks map,
// this user can read.
func isMapped(name string) bool {
	maps, err := filepath.Glob("/proc/[0-9]*/maps")
	if err != nil {
		return true
	}
	for _, file := range maps {
		text, err := os.ReadFile(file)
		if err == nil && strings.Contains(string(text), name) {
			return true
		}
	}
	return false
}

// reserve checks that a folder has room for so many bytes.
func reserve(dir string, size int64) error {
	f, err := os.CreateTemp(dir, "room")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) //nolint:errcheck // the whole folder is removed
	defer f.Close()
	err = syscall.Fallocate(int(f.Fd()), 0, 0, size)
	if errors.Is(err, syscall.EOPNOTSUPP) {
		_, err = f.WriteString("room")
	}
	return err
}
