//go:build mpi

package confine

import (
	"errors"
	"fmt"
	"os"
	"time"
	"unsafe"

	"github.com/landlock-lsm/go-landlock/landlock"
	landlocksys "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"
)

// Built reports whether this program can confine itself.
const Built = true

// abi is the newest version of Landlock that is used.
var abi = landlock.V9

// system lists the files that the Go runtime, this program and MPI read while they run. Of
// other processes Landlock lets /proc show names and numbers only.
var system = []string{"/proc", "/sys/fs/cgroup", "/sys/devices/system", "/dev/null", "/dev/urandom"}

// Apply confines the process, all of its threads, for good. Its open files and
// connections stay. lacks says, in words for a log, what this system cannot take away. An
// error means that something was not taken away that this system could take away.
func Apply(r Rules) (lacks []string, err error) {
	_, _ = time.Now().Local().Zone() // reads a file the first time
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		return nil, fmt.Errorf("confine: no core files: %w", err)
	}
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return nil, fmt.Errorf("confine: no new privileges: %w", err)
	}
	if err := dropCapabilities(); err != nil {
		return nil, err
	}
	lacks, err = restrictFiles(r)
	if err != nil {
		return nil, err
	}
	switch err := filterCalls(); {
	case errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL):
		lacks = append(lacks, "programs, sockets and other processes stay within reach: the kernel has no seccomp filters")
	case err != nil:
		return nil, err
	}
	return lacks, nil
}

// dropCapabilities gives up what a process may that runs as root, such as to read the
// environment of others, in all threads.
func dropCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var none [2]unix.CapUserData
	_, _, errno := psx.Syscall3(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&none[0])), 0)
	if errno != 0 {
		return fmt.Errorf("confine: giving up capabilities: %w", errno)
	}
	return nil
}

// restrictFiles applies Landlock, as far as the kernel has it.
func restrictFiles(r Rules) (lacks []string, err error) {
	version, err := landlocksys.LandlockGetABIVersion()
	if err != nil || version < 1 {
		return []string{"files stay within reach: the kernel has no Landlock, or it is off"}, nil //nolint:nilerr // that is what the error says
	}
	if version < 3 {
		lacks = append(lacks, "files can be cut to nothing: the kernel's Landlock is older than Linux 6.2")
	}
	var rules []landlock.Rule
	for _, path := range append(r.Read, system...) {
		rule, err := readable(path)
		if err != nil {
			return nil, err
		}
		if rule != nil {
			rules = append(rules, rule)
		}
	}
	if err := abi.BestEffort().Restrict(append(rules, segments())...); err != nil {
		return nil, fmt.Errorf("confine: Landlock: %w", err)
	}
	return lacks, nil
}

// readable returns the rule that lets path be read, or nil where there is none.
func readable(path string) (landlock.Rule, error) {
	rights := landlock.AccessFSSet(landlocksys.AccessFSReadFile)
	switch info, err := os.Stat(path); {
	case errors.Is(err, os.ErrNotExist):
		return nil, nil
	case err != nil:
		return nil, fmt.Errorf("confine: a file to read: %w", err)
	case info.IsDir():
		rights |= landlocksys.AccessFSReadDir
	}
	return landlock.PathAccess(rights, path).IgnoreIfMissing(), nil
}

// segments lets MPI remove its segment of shared memory at the end.
func segments() landlock.Rule {
	return landlock.PathAccess(landlocksys.AccessFSRemoveFile, "/dev/shm").IgnoreIfMissing()
}
