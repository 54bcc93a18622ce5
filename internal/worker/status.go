package worker

import (
	"fmt"
	"slices"

	"github.com/wasmpool/wasmpool/internal/memory"
	"github.com/wasmpool/wasmpool/internal/monotime"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// status says which calls the slots run, how many wait, and for which modules. Calls that are
// expected to take microseconds are left out. io is held.
func (s *server) status() wire.Status {
	st := wire.Status{Waiting: int(s.backlog.queued.Load()), Memory: memory.Resident(), Guests: memory.Process().Used()}
	now := monotime.Now()
	for _, r := range s.runners[:min(len(s.runners), mostRunning)] {
		if number := r.running.Load(); number != 0 {
			st.Running = append(st.Running, wire.Running{Number: number, Slot: r.index, Nanos: now - r.since.Load()})
		}
	}
	for _, m := range s.modules {
		if !m.isReady() {
			st.Loading = append(st.Loading, *m.shown.Load())
		}
	}
	st.Loading, st.Fetching = some(st.Loading), some(s.shared.loading())
	return st
}

// So much of a status finds room in a frame.
const (
	mostRunning = 800
	mostNamed   = 20
)

// some returns the names in order, each once, and of many the first ones.
func some(names []string) []string {
	slices.Sort(names)
	names = slices.Compact(names)
	if more := len(names) - mostNamed; more > 0 {
		names = append(names[:mostNamed], fmt.Sprintf("and %d more", more))
	}
	return names
}
