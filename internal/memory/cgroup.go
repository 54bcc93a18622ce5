package memory

import (
	"io/fs"
	"math"
	"path"
	"strconv"
	"strings"
)

// A controller is how a version of control groups shows memory.
type controller struct {
	limit, usage string    // files
	cache        [2]string // labels of files' content in memory, which can be reclaimed
}

var controllers = map[string]controller{
	"cgroup":  {"memory.limit_in_bytes", "memory.usage_in_bytes", [2]string{"total_inactive_file", "total_active_file"}},
	"cgroup2": {"memory.max", "memory.current", [2]string{"inactive_file", "active_file"}},
}

// groups returns the bounds of the control groups that the process is in, with those
// above them. A group without a limit now is taken to have none later.
func groups(root fs.FS) []bound {
	var found []bound
	for _, m := range mounts(root) {
		c := controllers[m.kind]
		for dir := m.group; ; dir = path.Dir(dir) {
			at := path.Join(m.point, dir)
			if total, ok := value(root, path.Join(at, c.limit)); ok && total < noLimit {
				found = append(found, bound{name: "the memory limit of the control group " + dir, total: total, left: func() (uint64, bool) {
					used, ok := value(root, path.Join(at, c.usage))
					var cache uint64
					for _, label := range c.cache {
						n, _ := field(root, path.Join(at, "memory.stat"), label)
						cache += n
					}
					return total - min(total, used-min(used, cache)), ok
				}})
			}
			if dir == "/" || dir == "." {
				break
			}
		}
	}
	return found
}

// noLimit is from where a number is none: version 1 writes the largest that there is.
const noLimit = math.MaxInt64 / 2

// A mount is where the process finds its groups of one version.
type mount struct {
	kind, point string // a path without the leading slash
	group       string // the process's, below point
}

// mounts returns where control groups that bound memory are mounted, by proc(5).
func mounts(root fs.FS) []mount {
	mine, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return nil
	}
	info, err := fs.ReadFile(root, "proc/self/mountinfo")
	if err != nil {
		return nil
	}
	var found []mount
	for line := range strings.Lines(string(info)) {
		before, after, ok := strings.Cut(line, " - ")
		fields, kind := strings.Fields(before), strings.Fields(after)
		if !ok || len(fields) < 5 || len(kind) < 3 {
			continue
		}
		group, ok := groupOf(string(mine), kind[0], kind[2])
		if !ok {
			continue
		}
		// The mount may show a part of the tree: a container's, as a rule.
		if below, ok := strings.CutPrefix(group, fields[3]); ok && fields[3] != "/" {
			group = below
		}
		found = append(found, mount{kind[0], strings.TrimPrefix(fields[4], "/"), path.Clean("/" + group)})
	}
	return found
}

// groupOf returns the process's group in a hierarchy that is mounted with those options.
func groupOf(mine, kind, options string) (string, bool) {
	for line := range strings.Lines(mine) {
		number, rest, _ := strings.Cut(strings.TrimSpace(line), ":")
		names, group, ok := strings.Cut(rest, ":")
		switch {
		case !ok:
		case kind == "cgroup2" && number == "0" && names == "",
			kind == "cgroup" && has(names, "memory") && has(options, "memory"):
			return group, true
		}
	}
	return "", false
}

// has reports whether a list with commas contains a word.
func has(list, word string) bool {
	for w := range strings.SplitSeq(list, ",") {
		if w == word {
			return true
		}
	}
	return false
}

// value reads a file that holds one number.
func value(root fs.FS, file string) (uint64, bool) {
	text, err := fs.ReadFile(root, file)
	if err != nil {
		return 0, false
	}
	return number(string(text), 0)
}

// field reads the number behind a label at the start of a line.
func field(root fs.FS, file, label string) (uint64, bool) {
	text, err := fs.ReadFile(root, file)
	if err != nil {
		return 0, false
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, label); ok && rest != strings.TrimLeft(rest, " \t") {
			return number(rest, 0)
		}
	}
	return 0, false
}

// number returns the i-th word of a text, where it is a number.
func number(text string, i int) (uint64, bool) {
	words := strings.Fields(text)
	if i >= len(words) {
		return 0, false
	}
	n, err := strconv.ParseUint(words[i], 10, 64)
	return n, err == nil
}
