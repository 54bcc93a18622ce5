package dispatcher

import (
	"fmt"
	"slices"
	"strings"
)

// agree breaks the pool where a worker was given other settings than the root: what calls give would depend
// on who runs them. A worker that says nothing of its settings has the root's.
func (l *Loop) agree(w *worker, agreed map[string]string) {
	if agreed == nil {
		return
	}
	if names := differing(l.agreed, agreed); len(names) > 0 {
		l.ending.fail(fmt.Errorf("executor: Config.%s of rank %d on %s is not what the root has: give all ranks the same Config", strings.Join(names, ", Config."), w.rank, w.host))
	}
}

// differing returns the names under which not both have the same.
func differing(a, b map[string]string) []string {
	var names []string
	for name, digest := range a {
		if b[name] != digest {
			names = append(names, name)
		}
	}
	for name := range b {
		if _, both := a[name]; !both {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}
