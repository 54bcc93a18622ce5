package memory

import (
	"bytes"
	"math"
	"runtime"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/wasmpool/wasmpool/internal/unittest"
)

// files makes a file system of texts.
func files(texts map[string]string) fstest.MapFS {
	fs := fstest.MapFS{}
	for name, text := range texts {
		fs[name] = &fstest.MapFile{Data: []byte(text)}
	}
	return fs
}

// TestGroups reads the files of both versions of control groups as systems, containers
// and batch systems lay them out.
func TestGroups(t *testing.T) {
	t.Parallel()
	const none = "9223372036854771712\n"
	for _, tt := range []struct {
		name  string
		files map[string]string
		total uint64
		left  uint64
		bound string
	}{
		{"no files", nil, math.MaxUint64, math.MaxUint64, ""},
		{"version 2, the limit of a group above", map[string]string{
			"proc/self/cgroup":                            "0::/user.slice/job\n",
			"proc/self/mountinfo":                         "30 23 0:26 / /sys/fs/cgroup rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n",
			"sys/fs/cgroup/user.slice/job/memory.max":     "max\n",
			"sys/fs/cgroup/user.slice/job/memory.current": "100\n",
			"sys/fs/cgroup/user.slice/memory.max":         "5000\n",
			"sys/fs/cgroup/user.slice/memory.current":     "1000\n",
			"sys/fs/cgroup/user.slice/memory.stat":        "anon 10\nfile 700\ninactive_file 300\nactive_file 250\n",
		}, 5000, 4550, "control group /user.slice"},
		{"version 2, the nearest of two", map[string]string{
			"proc/self/cgroup":      "0::/a/b\n",
			"proc/self/mountinfo":   "30 23 0:26 / /cg rw - cgroup2 cgroup2 rw\n",
			"cg/a/b/memory.max":     "4000\n",
			"cg/a/b/memory.current": "100\n",
			"cg/a/memory.max":       "5000\n",
			"cg/a/memory.current":   "4900\n",
			"cg/a/memory.stat":      "inactive_file 0\n",
		}, 4000, 100, "control group /a"},
		{"version 2, in a container", map[string]string{
			"proc/self/cgroup":             "0::/\n",
			"proc/self/mountinfo":          "30 23 0:26 / /sys/fs/cgroup ro - cgroup2 cgroup rw\n",
			"sys/fs/cgroup/memory.max":     "1000\n",
			"sys/fs/cgroup/memory.current": "1200\n",
		}, 1000, 0, "control group /"},
		{"version 1", map[string]string{
			"proc/self/cgroup":    "9:name=systemd:/\n4:cpu,memory:/slurm/job_7\n0::/\n",
			"proc/self/mountinfo": "32 31 0:29 / /sys/fs/cgroup/cpu rw - cgroup cgroup rw,cpu\n35 31 0:32 / /sys/fs/cgroup/memory rw - cgroup cgroup rw,cpu,memory\n41 31 0:38 / /sys/fs/cgroup/unified rw - cgroup2 cgroup2 rw\n",
			"sys/fs/cgroup/memory/slurm/job_7/memory.limit_in_bytes": "2000\n",
			"sys/fs/cgroup/memory/slurm/job_7/memory.usage_in_bytes": "1500\n",
			"sys/fs/cgroup/memory/slurm/job_7/memory.stat":           "cache 700\ninactive_file 1\ntotal_inactive_file 500\ntotal_active_file 100\n",
			"sys/fs/cgroup/memory/slurm/memory.limit_in_bytes":       none,
			"sys/fs/cgroup/memory/memory.limit_in_bytes":             none,
		}, 2000, 1100, "control group /slurm/job_7"},
		{"version 1, in a container that sees its part of the tree", map[string]string{
			"proc/self/cgroup":                                "4:memory:/docker/abc/deep\n",
			"proc/self/mountinfo":                             "35 31 0:32 /docker/abc /sys/fs/cgroup/memory ro - cgroup cgroup rw,memory\n",
			"sys/fs/cgroup/memory/memory.limit_in_bytes":      "3000\n",
			"sys/fs/cgroup/memory/memory.usage_in_bytes":      "1000\n",
			"sys/fs/cgroup/memory/deep/memory.limit_in_bytes": none,
		}, 3000, 2000, "control group /"},
		{"lines that make no sense", map[string]string{
			"proc/self/cgroup":    "\n::\nx\n4:memory\n0::/a\n",
			"proc/self/mountinfo": "\n - \n1 2 - cgroup2\n30 23 0:26 / /cg rw - cgroup2 cgroup2 rw\n",
			"cg/a/memory.max":     "much\n",
			"cg/memory.max":       "",
		}, math.MaxUint64, math.MaxUint64, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := Bounds(groups(files(tt.files)))
			if total, name := b.Total(); total != tt.total {
				t.Errorf("Total = %d (%s), want %d", total, name, tt.total)
			}
			if left, name := b.Left(Need{}); left != tt.left || !strings.HasSuffix(name, tt.bound) {
				t.Errorf("Left = %d (%s), want %d (%s)", left, name, tt.left, tt.bound)
			}
		})
	}
}

// A thing that bounds a process in a test.
type thing struct {
	mu     sync.Mutex
	total  uint64
	used   uint64
	space  bool
	looked int
}

func (th *thing) bounds() Bounds {
	return Bounds{{name: "the thing", total: th.total, space: th.space, left: func() (uint64, bool) {
		th.mu.Lock()
		defer th.mu.Unlock()
		th.looked++
		return th.total - min(th.used, th.total), true
	}}}
}

// TestAccount checks that no more is promised than there is, whether or not it is used
// at once, that something is left for others, and that what was given back can be had.
func TestAccount(t *testing.T) {
	t.Parallel()
	const gib = 1 << 30
	th := &thing{total: 8 * gib}
	a := NewAccount(th.bounds())
	if err := a.Take(9*gib, 0); err == nil {
		t.Error("more than there is was promised")
	}
	if err := a.Take(4*gib, 0); err != nil {
		t.Fatal(err)
	}
	err := a.Take(4*gib, 0)
	if err == nil {
		t.Fatal("all was promised, and nothing left")
	}
	for _, part := range []string{"4.0 GiB more cannot be had", "the thing", "guests hold 4.0 GiB"} {
		if !strings.Contains(err.Error(), part) {
			t.Errorf("%q does not say %q", err, part)
		}
	}
	taken := uint64(0)
	for a.Take(64<<20, 4*gib+taken) == nil {
		taken += 64 << 20
	}
	if taken > 4*gib-mostSpare || taken < 4*gib-mostSpare-128<<20 {
		t.Errorf("one who holds much got %d bytes more, want what is there but %d", taken, mostSpare)
	}
	if err := a.Take(1<<20, 0); err != nil {
		t.Errorf("one who has nothing gets nothing when another took all: %v", err)
	}
	a.Give(1 << 20)
	a.Give(taken)
	a.Give(4 * gib)
	if a.Used() != 0 {
		t.Errorf("%d bytes are in use after all was given back", a.Used())
	}

	th.used = 7 * gib // by others
	a.looked = time.Time{}
	allocated := 0
	if err := a.Allocate(gib, func() { allocated++ }); err == nil || allocated > 0 {
		t.Error("the others' memory was allocated")
	}
	if err := a.Allocate(gib/4, func() { allocated++ }); err != nil || allocated != 1 {
		t.Error(err)
	}
	th.used, a.looked = 0, time.Time{}
	a.Share(4)
	if err := a.Take(6*gib, 0); err != nil {
		t.Errorf("nobody else is there: %v", err)
	}
	if err := a.Take(gib/2, 6*gib); err == nil {
		t.Error("beyond its share a process leaves a quarter to the others")
	}
}

// TestAccountUntouched checks that Go's own memory is not taken for what was promised and
// is in use already.
func TestAccountUntouched(t *testing.T) {
	if unittest.Race { // its memory nobody counts
		t.Skip("the race detector's own memory is taken for guests'")
	}
	t.Parallel()
	const gib, mib = 1 << 30, 1 << 20
	heap := bytes.Repeat([]byte{1}, 64*mib)
	a := NewAccount((&thing{total: 64 * gib}).bounds())
	if err := a.Take(64*mib, 0); err != nil {
		t.Fatal(err)
	}
	if left, _ := a.left(0, 0); left > 64*gib-32*mib { // others may be promised memory, and use it, at the same time
		t.Errorf("%s are left of 64 GiB, with 64 MiB promised and untouched", Size(left))
	}
	runtime.KeepAlive(heap)
}

// TestAccountLooksSeldom checks that most promises take no look at the system.
func TestAccountLooksSeldom(t *testing.T) {
	t.Parallel()
	th := &thing{total: 64 << 30, space: true}
	a := NewAccount(th.bounds())
	for range 100_000 {
		if err := a.Take(1<<20, 0); err != nil {
			t.Fatal(err)
		}
		a.Give(1 << 20)
	}
	if th.looked > 100 {
		t.Errorf("it looked %d times for 100,000 promises that came back", th.looked)
	}
}

// TestProcess looks at what bounds this very process.
func TestProcess(t *testing.T) {
	t.Parallel()
	a := Process()
	if total, name := a.Bounds().Total(); total < 64<<20 {
		t.Errorf("this process may have %d bytes, by %s", total, name)
	}
	if err := a.Take(1<<20, 0); err != nil {
		t.Error(err)
	}
	a.Give(1 << 20)
	if Size(3<<29) != "1.5 GiB" || Size(5<<20) != "5 MiB" || Size(7) != "7 bytes" {
		t.Error("sizes for people are wrong")
	}
}
