package worker

import (
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
	for _, r := range s.runners {
		if number := r.running.Load(); number != 0 {
			st.Running = append(st.Running, wire.Running{Number: number, Slot: r.index, Nanos: now - r.since.Load()})
		}
	}
	for _, m := range s.modules {
		if !m.isReady() {
			st.Loading = append(st.Loading, *m.shown.Load())
		}
	}
	st.Fetching = s.shared.loading()
	slices.Sort(st.Loading)
	slices.Sort(st.Fetching)
	return st
}
