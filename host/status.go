package host

import (
	"github.com/wasmpool/wasmpool/internal/monotime"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// status says what the slots do. A call that is expected to take microseconds is
// not told of.
func (s *server) status() wire.Status {
	st := wire.Status{Waiting: int(s.desk.queued.Load())}
	now := monotime.Now()
	for _, r := range s.runners {
		if number := r.running.Load(); number != 0 {
			st.Running = append(st.Running, wire.Running{Number: number, Nanos: now - r.since.Load()})
		}
	}
	return st
}
