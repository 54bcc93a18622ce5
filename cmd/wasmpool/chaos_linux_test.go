package main

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// chaosDisk names the folder of TestChaosDisk in a process that has a disk of its own there.
const chaosDisk = "WASMPOOL_TEST_DISK"

// So it is on a disk that fills up, a small one in memory. Where none may be mounted, files that may not grow
// stand for that, as in TestChaos.
func TestChaosDisk(t *testing.T) {
	local := chaos{program: "wasmpool", env: []string{"WASMPOOL_CACHE=" + t.TempDir()}}
	if folder := os.Getenv(chaosDisk); folder != "" {
		local.disk = &disk{folder}
		testChaos(t, 4, local)
		return
	}
	t.Parallel()
	folder := t.TempDir()
	mount := func(words ...string) *exec.Cmd {
		return exec.CommandContext(t.Context(), "unshare", append([]string{"-rm", "sh", "-c", `mount -t tmpfs -o size=16m none "$0" && exec "$@"`, folder}, words...)...)
	}
	if out, err := mount("true").CombinedOutput(); err != nil {
		t.Logf("no disk may be mounted here (%v: %s): files that may not grow stand for one that is full", err, out)
		testChaos(t, 4, local)
		return
	}
	cmd := mount(os.Args[0], "-test.run=^TestChaosDisk$", "-test.v")
	cmd.Env = append(os.Environ(), chaosDisk+"="+folder)
	out, err := cmd.CombinedOutput()
	if err != nil || !bytes.Contains(out, []byte("--- PASS: TestChaosDisk/")) {
		t.Fatalf("%v\n%s", err, out)
	}
	t.Logf("%s", out)
}

// A disk is a small one that a test can fill.
type disk struct{ root string }

// folder returns a folder on the disk.
func (d *disk) folder(t *testing.T) string {
	t.Helper()
	name, err := os.MkdirTemp(d.root, "chaos") //nolint:usetesting // on that disk
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(name) }) // it goes with the disk
	return name
}

func (d *disk) filler() string { return filepath.Join(d.root, "filler") }

// fill has no room be for what a map writes, or little.
func (c *chaos) fill(j *job) {
	room := c.rand.Int64N(100_000)
	if c.disk == nil {
		pid := j.cmd.Process.Pid
		for _, p := range c.processes() {
			if p.role == "root" {
				pid = p.pid
			}
		}
		if info, err := os.Stat(c.path("out")); err == nil && c.oneIn(2) {
			room += info.Size()
		}
		limit := &unix.Rlimit{Cur: uint64(room), Max: uint64(room)}
		unix.Prlimit(pid, unix.RLIMIT_FSIZE, limit, nil) //nolint:errcheck // it may have ended
		return
	}
	var free unix.Statfs_t
	file, err := os.Create(c.disk.filler())
	if err == nil {
		err = unix.Fstatfs(int(file.Fd()), &free)
	}
	if size := int64(free.Bavail)*free.Bsize - room; err == nil && size > 0 {
		err = unix.Fallocate(int(file.Fd()), 0, 0, size)
	}
	file.Close() // nobody reads it
	if err != nil && !errors.Is(err, unix.ENOSPC) {
		c.t.Fatal(err)
	}
}

// room puts an end to a full disk.
func (c *chaos) room() {
	if c.disk != nil {
		os.Remove(c.disk.filler()) // there may be none
	}
}

// A process is one of a job on ranks.
type process struct {
	pid  int
	role string // launcher, mpirun, root, worker, or shell around one of the last two
}

// processes returns those whose command line names the file of results.
func (c *chaos) processes() []process {
	lines, err := filepath.Glob("/proc/[0-9]*/cmdline")
	if err != nil {
		c.t.Fatal(err)
	}
	var all []process
	for _, name := range lines {
		line, err := os.ReadFile(name)
		if err != nil || !slices.Contains(strings.Split(string(line), "\x00"), c.path("out")) {
			continue
		}
		folder := filepath.Dir(name)
		pid, _ := strconv.Atoi(filepath.Base(folder)) // digits
		all = append(all, process{pid, c.roleOf(folder)})
	}
	return all
}

// roleOf returns what a process is, of which a folder tells.
func (c *chaos) roleOf(folder string) string {
	exe, _ := os.Readlink(filepath.Join(folder, "exe"))         // it may have ended
	environ, _ := os.ReadFile(filepath.Join(folder, "environ")) // likewise
	i := slices.IndexFunc(strings.Split(string(environ), "\x00"), func(v string) bool { return strings.HasPrefix(v, "OMPI_COMM_WORLD_RANK=") })
	switch {
	case exe != c.program && i >= 0:
		return "shell"
	case exe != c.program:
		return "mpirun"
	case i < 0:
		return "launcher"
	case bytes.Contains(environ, []byte("OMPI_COMM_WORLD_RANK=0\x00")):
		return "root"
	}
	return "worker"
}

// hitRank sends a signal to a process of a job on ranks: to any that plays some part in it.
func (c *chaos) hitRank(j *job, sig syscall.Signal) {
	role := []string{"root", "worker", "launcher", "mpirun"}[c.rand.IntN(4)]
	for _, p := range c.processes() {
		if p.role == role {
			syscall.Kill(p.pid, sig) //nolint:errcheck // it may have ended
			c.codes[fmt.Sprint(sig, " to the ", role)]++
			return
		}
	}
	j.cmd.Process.Signal(sig) //nolint:errcheck // it has no such process yet
}

// ranksGone waits until nothing is left of a job.
func (c *chaos) ranksGone(j *job) {
	var left []process
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		if left = c.processes(); len(left) == 0 {
			return
		}
	}
	for _, p := range left {
		syscall.Kill(p.pid, syscall.SIGKILL) //nolint:errcheck // it may have ended
	}
	c.t.Fatalf("%v are there two minutes after the end of %v\n%s", left, j.cmd, &j.said)
}
