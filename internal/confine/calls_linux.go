//go:build mpi

package confine

import (
	"fmt"
	"maps"
	"os"
	"slices"
	"unsafe"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/net/bpf"
	"golang.org/x/sys/unix"
)

// refused are the system calls that a worker rank does without. It is a list of what is
// dangerous and not of what is needed, as nobody can list what each MPI library needs.
var refused = []string{
	// Programs. Threads are made by clone: see partly.
	"execve", "execveat",

	// Connections. Those that are open stay, and a listening socket accepts.
	"socket", "socketpair", "connect", "bind", "listen",

	// Other processes, and memory that they share.
	"ptrace", "process_vm_readv", "process_vm_writev", "process_madvise", "process_mrelease", "kcmp",
	"pidfd_open", "pidfd_getfd", "pidfd_send_signal", "tkill", "migrate_pages", "move_pages",
	"shmget", "shmat", "shmctl", "msgget", "semget", "mq_open", "mq_unlink",
	"setpriority", "ioprio_set",

	// Properties of files that Landlock does not look at.
	"fchmod", "fchmodat", "fchmodat2", "fchown", "fchownat",
	"setxattr", "lsetxattr", "fsetxattr", "removexattr", "lremovexattr", "fremovexattr", "setxattrat", "removexattrat",
	"utimensat", "open_by_handle_at", "name_to_handle_at", "mknodat",
	"fanotify_init", "inotify_init1",

	// Calls that a process which runs as root could make.
	"mount", "umount2", "pivot_root", "chroot", "fsopen", "fsmount", "open_tree", "move_mount", "mount_setattr",
	"unshare", "setns", "setuid", "setgid", "setresuid", "setresgid", "setreuid", "setregid", "setgroups", "setfsuid", "setfsgid", "capset",
	"init_module", "finit_module", "delete_module", "kexec_load", "kexec_file_load", "reboot", "swapon", "swapoff",
	"acct", "quotactl", "settimeofday", "clock_settime", "clock_adjtime", "adjtimex", "sethostname", "setdomainname", "syslog", "vhangup",

	// Parts of the kernel with a long history of holes, that nobody here needs; io_uring
	// also gets around this list.
	"io_uring_setup", "io_uring_enter", "io_uring_register",
	"bpf", "perf_event_open", "userfaultfd", "keyctl", "add_key", "request_key", "personality",
}

// oldRefused are their older forms, which only some processors have.
var oldRefused = []string{
	"fork", "vfork", "chmod", "chown", "lchown", "utime", "utimes", "futimesat", "mknod", "inotify_init",
	"kexec_file_load", "ioperm", "iopl", "modify_ldt", "uselib", "create_module", "nfsservctl",
}

// filterCalls makes the kernel refuse them with EPERM, in all threads. It also matches
// EINVAL or ENOSYS where the kernel has no filters.
func filterCalls() error {
	here, err := arch.GetInfo("")
	if err != nil {
		return fmt.Errorf("confine: %w: %w", unix.ENOSYS, err)
	}
	program, err := assemble(here)
	if err != nil {
		return fmt.Errorf("confine: making the filter of system calls: %w", err)
	}
	filter := make([]unix.SockFilter, len(program))
	for i, in := range program {
		filter[i] = unix.SockFilter{Code: in.Op, Jt: in.Jt, Jf: in.Jf, K: in.K}
	}
	prog := unix.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, unix.SECCOMP_FILTER_FLAG_TSYNC, uintptr(unsafe.Pointer(&prog)))
	if errno != 0 {
		return fmt.Errorf("confine: installing the filter of system calls: %w", errno)
	}
	return nil
}

// assemble returns the filter. The library lets calls of another processor's numbers
// pass, such as the 32-bit ones of amd64, so that comes first.
func assemble(here *arch.Info) ([]bpf.RawInstruction, error) {
	policy := seccomp.Policy{DefaultAction: seccomp.ActionAllow, Syscalls: groups(here)}
	list, err := policy.Assemble()
	if err != nil {
		return nil, err
	}
	return bpf.Assemble(slices.Concat([]bpf.Instruction{
		bpf.LoadAbsolute{Off: offsetOfArch, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpEqual, Val: uint32(here.ID), SkipTrue: 1},
		bpf.RetConstant{Val: uint32(seccomp.ActionKillProcess)},
	}, refuseNewer(here), refuseCommands(here, "fcntl", unix.F_SETOWN, unix.F_SETOWN_EX, unix.F_SETLEASE),
		refuseCommands(here, "ioctl", fioSetOwn, unix.SIOCSPGRP, unix.TIOCSTI, unix.TIOCLINUX, unix.FS_IOC_SETFLAGS, fsSetXAttr), list))
}

// Where the kernel's seccomp_data has what a filter looks at. Of the second argument it
// is the low half, on the processors that Go has which begin with that.
const (
	offsetOfNumber = 0
	offsetOfArch   = 4
	offsetOfSecond = 24
)

// FIOSETOWN and FS_IOC_FSSETXATTR, which package unix does not have.
const fioSetOwn, fsSetXAttr = 0x8901, 0x401c5820

// refuseNewer makes calls that are newer than the library's list, and so than ours, fail as
// if the kernel did not have them: programs that make them have another way for such kernels.
func refuseNewer(here *arch.Info) []bpf.Instruction {
	newest := slices.Max(slices.Collect(maps.Values(here.SyscallNames)))
	return []bpf.Instruction{
		bpf.LoadAbsolute{Off: offsetOfNumber, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpGreaterThan, Val: uint32(newest), SkipFalse: 1},
		bpf.RetConstant{Val: uint32(seccomp.ActionErrno) | uint32(unix.ENOSYS)},
	}
}

// refuseCommands refuses a call by its second argument: commands that have the kernel
// signal another process, wait for this one when another opens a file, type into a
// terminal, or change the flags of a file. The kernel looks at half of that argument, the
// conditions of the library at all of it.
func refuseCommands(here *arch.Info, name string, commands ...uint32) []bpf.Instruction {
	list := []bpf.Instruction{
		bpf.LoadAbsolute{Off: offsetOfNumber, Size: 4},
		bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: uint32(here.SyscallNames[name]), SkipTrue: uint8(1 + 2*len(commands))},
		bpf.LoadAbsolute{Off: offsetOfSecond, Size: 4},
	}
	for _, c := range commands {
		list = append(list,
			bpf.JumpIf{Cond: bpf.JumpNotEqual, Val: c, SkipTrue: 1},
			bpf.RetConstant{Val: uint32(seccomp.ActionErrno) | uint32(unix.EPERM)})
	}
	return list
}

func groups(here *arch.Info) []seccomp.SyscallGroup {
	const eperm, enosys = seccomp.ActionErrno | seccomp.Action(unix.EPERM), seccomp.ActionErrno | seccomp.Action(unix.ENOSYS)
	var names []string
	seen := map[string]bool{}
	for _, name := range append(refused, oldRefused...) {
		if _, known := here.SyscallNames[name]; known && !seen[name] {
			names, seen[name] = append(names, name), true
		}
	}
	return []seccomp.SyscallGroup{
		{Action: eperm, Names: names},
		{Action: eperm, NamesWithCondtions: partly()},
		{Action: enosys, Names: []string{"clone3"}}, // its flags are out of sight, and the C library then takes clone
	}
}

// partly are the calls that are refused by their arguments: processes but not threads,
// and signals, limits and CPUs but of this process.
func partly() []seccomp.NameWithConditions {
	self := uint64(os.Getpid())
	other := func(argument uint32, also ...seccomp.Condition) seccomp.ArgumentConditions {
		return append(also, seccomp.Condition{Argument: argument, Operation: seccomp.NotEqual, Value: self})
	}
	notNull := seccomp.Condition{Argument: 0, Operation: seccomp.NotEqual, Value: 0}
	return []seccomp.NameWithConditions{
		{Name: "clone", Conditions: seccomp.ArgumentConditions{{Argument: 0, Operation: seccomp.BitsNotSet, Value: unix.CLONE_THREAD}}},
		{Name: "kill", Conditions: other(0)},
		{Name: "tgkill", Conditions: other(0)},
		{Name: "rt_sigqueueinfo", Conditions: other(0)},
		{Name: "rt_tgsigqueueinfo", Conditions: other(0)},
		{Name: "prlimit64", Conditions: other(0, notNull)},
		{Name: "sched_setaffinity", Conditions: other(0, notNull)},
		{Name: "sched_setscheduler", Conditions: other(0, notNull)},
		{Name: "sched_setparam", Conditions: other(0, notNull)},
		{Name: "sched_setattr", Conditions: other(0, notNull)},
	}
}
