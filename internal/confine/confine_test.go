//go:build mpi && linux

package confine

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"github.com/elastic/go-seccomp-bpf/arch"
	"golang.org/x/sys/unix"
)

// confinedVar makes this program the confined process of a test; it holds the number
// of a process to attack.
const confinedVar = "WASMPOOL_TEST_CONFINED"

func TestMain(m *testing.M) {
	if victim := os.Getenv(confinedVar); victim != "" {
		os.Exit(attack(victim))
	}
	os.Exit(m.Run())
}

// TestApply has a process confine itself and then try, as native code, what a guest
// that broke out would: nothing of it works, and what it needs does.
func TestApply(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"granted/file", "secret/file"} {
		if err := errors.Join(os.MkdirAll(filepath.Join(dir, filepath.Dir(name)), 0o700), os.WriteFile(filepath.Join(dir, name), []byte("words"), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	victim := exec.CommandContext(t.Context(), "sleep", "60")
	if err := victim.Start(); err != nil {
		t.Fatal(err)
	}
	defer victim.Wait()         //nolint:errcheck // it is killed
	defer victim.Process.Kill() //nolint:errcheck // it sleeps
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), confinedVar+"="+strconv.Itoa(victim.Process.Pid))
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Run(); err != nil || !strings.HasSuffix(out.String(), "confined\n") {
		t.Errorf("%v\n%s", err, out.String())
	}
	if err := victim.Process.Signal(syscall.Signal(0)); err != nil {
		t.Errorf("the other process is gone: %v", err)
	}
	if text, err := os.ReadFile(filepath.Join(dir, "secret/file")); err != nil || string(text) != "words" {
		t.Errorf("the file that was not granted: %q, %v", text, err)
	}
}

// attack confines this process and reports what works all the same.
func attack(victimText string) int {
	victim, err := strconv.Atoi(victimText)
	if err != nil {
		panic(err)
	}
	waiting := threads()
	lacks, err := Apply(Rules{Read: []string{"granted", "no such folder"}})
	if err != nil || len(lacks) > 0 {
		fmt.Println("this system cannot run the test:", lacks, err)
		return 1
	}
	bad := 0
	for name, try := range attacks(victim) {
		if err := try(); !refuses(err) {
			fmt.Printf("%s: got %v, want a refusal\n", name, err)
			bad++
		}
	}
	for name, try := range needs() {
		if err := try(); err != nil {
			fmt.Printf("%s: %v\n", name, err)
			bad++
		}
	}
	if err := waiting(); !refuses(err) {
		fmt.Printf("a thread that was there before: got %v, want a refusal\n", err)
		bad++
	}
	if bad == 0 {
		fmt.Println("confined")
	}
	return bad
}

// threads starts a thread that tries to read a file when the function is called.
func threads() func() error {
	begin, result := make(chan bool), make(chan error)
	go func() {
		runtime.LockOSThread()
		<-begin
		_, err := os.ReadFile("secret/file")
		result <- err
	}()
	return func() error { close(begin); return <-result }
}

func refuses(err error) bool {
	return errors.Is(err, unix.EPERM) || errors.Is(err, unix.EACCES) || errors.Is(err, unix.ENOSYS)
}

func attacks(victim int) map[string]func() error {
	call := func(number uintptr, args ...uintptr) func() error {
		return func() error {
			args := append(args, 0, 0, 0, 0, 0, 0)
			if _, _, errno := unix.Syscall6(number, args[0], args[1], args[2], args[3], args[4], args[5]); errno != 0 {
				return errno
			}
			return nil
		}
	}
	dial := func(network, address string) func() error {
		return func() error { _, err := net.Dial(network, address); return err }
	}
	fcntl := func(command, argument uintptr) func() error { return call(unix.SYS_FCNTL, 0, command, argument) }
	open := func(name string, flags int) func() error {
		return func() error { _, err := os.OpenFile(name, flags, 0o600); return err }
	}
	all := map[string]func() error{
		"read a file":                       open("secret/file", os.O_RDONLY),
		"write to a file":                   open("secret/file", os.O_WRONLY),
		"cut a file":                        func() error { return os.Truncate("secret/file", 0) },
		"make a file":                       open("new", os.O_CREATE|os.O_WRONLY),
		"make a file in temp":               open(filepath.Join(os.TempDir(), "wasmpool-confined-new"), os.O_CREATE|os.O_WRONLY),
		"write where it may read":           open("granted/file", os.O_WRONLY),
		"make a file there":                 open("granted/new", os.O_CREATE|os.O_WRONLY),
		"remove a file":                     func() error { return os.Remove("secret/file") },
		"rename a file":                     func() error { return os.Rename("secret/file", "granted/file2") },
		"link a file":                       func() error { return os.Link("secret/file", "granted/file2") },
		"make a folder":                     func() error { return os.Mkdir("folder", 0o700) },
		"list a folder":                     func() error { _, err := os.ReadDir("secret"); return err },
		"change a mode":                     func() error { return os.Chmod("secret/file", 0o644) },
		"change an owner":                   func() error { return os.Chown("secret/file", 1, 1) },
		"change times":                      func() error { return unix.Utimes("secret/file", make([]unix.Timeval, 2)) },
		"set an attribute":                  func() error { return unix.Setxattr("secret/file", "user.x", []byte("x"), 0) },
		"read the machine's users":          open("/etc/passwd", os.O_RDONLY),
		"read another's memory":             open(fmt.Sprintf("/proc/%d/mem", victim), os.O_RDONLY),
		"read another's environment":        environment(victim),
		"start a program":                   func() error { return exec.Command("/bin/true").Run() },
		"become a program":                  func() error { return unix.Exec("/bin/true", []string{"true"}, nil) },
		"fork":                              call(unix.SYS_CLONE, uintptr(unix.SIGCHLD)),
		"clone3":                            call(unix.SYS_CLONE3),
		"kill":                              func() error { return unix.Kill(victim, unix.SIGKILL) },
		"kill a group":                      func() error { return unix.Kill(-victim, unix.SIGKILL) },
		"kill all":                          func() error { return unix.Kill(-1, unix.SIGKILL) },
		"kill a thread":                     func() error { return unix.Tgkill(victim, victim, unix.SIGKILL) },
		"trace":                             func() error { return unix.PtraceAttach(victim) },
		"read by process_vm_readv":          call(unix.SYS_PROCESS_VM_READV, uintptr(victim)),
		"write by process_vm_writev":        call(unix.SYS_PROCESS_VM_WRITEV, uintptr(victim)),
		"name a process":                    call(unix.SYS_PIDFD_OPEN, uintptr(victim)),
		"have a signal sent":                fcntl(unix.F_SETOWN, uintptr(victim)),
		"likewise, other bits set":          fcntl(1<<32|unix.F_SETOWN, uintptr(victim)),
		"likewise, by F_SETOWN_EX":          fcntl(unix.F_SETOWN_EX, uintptr(unsafe.Pointer(&[2]int32{1, int32(victim)}))),
		"likewise, by ioctl":                call(unix.SYS_IOCTL, 0, 0x8901, uintptr(unsafe.Pointer(&[1]int32{int32(victim)}))),
		"have others wait to open":          lease,
		"type into a terminal":              call(unix.SYS_IOCTL, 0, unix.TIOCSTI, uintptr(unsafe.Pointer(&[]byte("x")[0]))),
		"give another fewer CPUs":           func() error { return unix.SchedSetaffinity(victim, &unix.CPUSet{1}) },
		"give another less time":            call(unix.SYS_SCHED_SETSCHEDULER, uintptr(victim), unix.SCHED_BATCH, uintptr(unsafe.Pointer(new(int32)))),
		"set an attribute, at":              setAttributeAt,
		"limit another":                     func() error { return unix.Prlimit(victim, unix.RLIMIT_CPU, &unix.Rlimit{}, nil) },
		"connect by TCP":                    dial("tcp", "127.0.0.1:9"),
		"send by UDP":                       dial("udp", "127.0.0.1:9"),
		"connect to a unix socket":          dial("unix", "/run/socket"),
		"connect to an abstract one":        dial("unix", "@socket"),
		"listen":                            func() error { _, err := net.Listen("tcp", "127.0.0.1:0"); return err },
		"open a raw socket":                 call(unix.SYS_SOCKET, unix.AF_PACKET, unix.SOCK_RAW),
		"make a pair of sockets":            func() error { _, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0); return err },
		"io_uring":                          call(unix.SYS_IO_URING_SETUP, 1),
		"bpf":                               call(unix.SYS_BPF),
		"flags of a file by a call of 2025": call(469),
		"mount":                             func() error { return unix.Mount("none", "granted", "tmpfs", 0, "") },
		"a namespace":                       func() error { return unix.Unshare(unix.CLONE_NEWUSER) },
		"another root":                      func() error { return unix.Chroot("granted") },
		"shared memory of System V":         func() error { _, err := unix.SysvShmGet(1, 4096, unix.IPC_CREAT|0o600); return err },
		"another personality":               call(unix.SYS_PERSONALITY, 8),
	}
	return all
}

// lease has others wait who open a file for writing.
func lease() error {
	f, err := os.Open("granted/file")
	if err != nil {
		return fmt.Errorf("opening what is granted: %v", err) //nolint:errorlint // it is no refusal
	}
	defer f.Close()
	_, err = unix.FcntlInt(f.Fd(), unix.F_SETLEASE, unix.F_RDLCK)
	return err
}

// setAttributeAt is setxattr by the newer call, of Linux 6.13.
func setAttributeAt() error {
	const number = 463
	value := []byte("x")
	args := struct {
		value       uint64
		size, flags uint32
	}{uint64(uintptr(unsafe.Pointer(&value[0]))), 1, 0}
	path, name := []byte("secret/file\x00"), []byte("user.x\x00")
	_, _, errno := unix.Syscall6(number, ^uintptr(99), uintptr(unsafe.Pointer(&path[0])), 0, uintptr(unsafe.Pointer(&name[0])), uintptr(unsafe.Pointer(&args)), unsafe.Sizeof(args))
	runtime.KeepAlive(value)
	if errno != 0 {
		return errno
	}
	return nil
}

// environment reads the environment of another process: the kernel says that it is empty.
func environment(victim int) func() error {
	return func() error {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", victim))
		if err == nil && len(text) == 0 {
			err = unix.EACCES
		}
		return err
	}
}

// needs are what a worker does all the time.
func needs() map[string]func() error {
	return map[string]func() error{
		"read what is granted": func() error {
			text, err := os.ReadFile("granted/file")
			if err == nil && string(text) != "words" {
				err = fmt.Errorf("read %q", text)
			}
			return err
		},
		"list what is granted": func() error { _, err := os.ReadDir("granted"); return err },
		"start threads": func() error {
			for range 20 {
				done := make(chan bool)
				go func() { runtime.LockOSThread(); close(done) }()
				<-done
			}
			return nil
		},
		"signal itself":          func() error { return unix.Kill(os.Getpid(), unix.SIGURG) },
		"map memory as code":     mapCode,
		"see its own memory":     func() error { _, err := os.ReadFile("/proc/self/statm"); return err },
		"see the node's memory":  func() error { _, err := os.ReadFile("/proc/meminfo"); return err },
		"write to open pipes":    func() error { _, err := fmt.Fprint(os.Stderr); return err },
		"read random numbers":    func() error { _, err := io.ReadFull(openRandom(), make([]byte, 8)); return err },
		"find nothing elsewhere": func() error { return want(fs.ErrPermission, "/etc/hostname") },
	}
}

func mapCode() error {
	page, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
	if err != nil {
		return err
	}
	return unix.Mprotect(page, unix.PROT_READ|unix.PROT_EXEC)
}

func openRandom() io.Reader {
	f, err := os.Open("/dev/urandom")
	if err != nil {
		return strings.NewReader("")
	}
	return f
}

func want(err error, name string) error {
	if _, got := os.ReadFile(name); !errors.Is(got, err) {
		return fmt.Errorf("reading %s: got %w", name, got)
	}
	return nil
}

// Calls by the numbers of another processor would pass every rule: they end the
// process.
func TestOtherArchitecture(t *testing.T) {
	here, err := arch.GetInfo("")
	if err != nil {
		t.Fatal(err)
	}
	program, err := assemble(here)
	if err != nil {
		t.Fatal(err)
	}
	if program[1].K != uint32(here.ID) || program[2].K != unix.SECCOMP_RET_KILL_PROCESS {
		t.Errorf("the filter begins with %v", program[:3])
	}
}
