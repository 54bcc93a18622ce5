package memory

import (
	"io/fs"
	"math"
	"os"

	"golang.org/x/sys/unix"
)

// find returns what bounds this process, by the files below root.
func find(root fs.FS) Bounds {
	var b Bounds
	if total, ok := field(root, "proc/meminfo", "MemTotal:"); ok {
		b = append(b, bound{name: "the node's memory", total: total << 10, left: func() (uint64, bool) {
			left, ok := field(root, "proc/meminfo", "MemAvailable:")
			return left << 10, ok
		}})
	}
	b = append(b, groups(root)...)
	for _, l := range []struct {
		name     string
		resource int
		used     int // the field of statm
	}{
		{"the limit on this process's address space (ulimit -v)", unix.RLIMIT_AS, 0},
		{"the limit on this process's data (ulimit -d)", unix.RLIMIT_DATA, 5},
	} {
		var limit unix.Rlimit
		if unix.Getrlimit(l.resource, &limit) != nil || limit.Cur == math.MaxUint64 {
			continue
		}
		b = append(b, bound{name: l.name, total: limit.Cur, space: true, left: func() (uint64, bool) {
			used, ok := statm(l.used)
			return limit.Cur - min(limit.Cur, used), ok
		}})
	}
	return b
}

// resident returns how much memory the process uses that it does not share, in bytes.
func resident() uint64 {
	all, _ := statm(1)
	shared, _ := statm(2)
	return all - min(all, shared)
}

// statm returns a field of proc(5)'s statm, in bytes.
func statm(i int) (uint64, bool) {
	text, err := os.ReadFile("/proc/self/statm")
	if err != nil {
		return 0, false
	}
	n, ok := number(string(text), i)
	return n * uint64(unix.Getpagesize()), ok
}
