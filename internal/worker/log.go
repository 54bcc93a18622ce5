package worker

import (
	"log/slog"

	"github.com/wasmpool/wasmpool/internal/lines"
	"github.com/wasmpool/wasmpool/internal/monotime"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// log sends a guest's log line to the root, if its call and the rank have not sent too
// many.
func (r *runner) log(level int, text string) {
	s := r.s
	if r.lined != r.current.number {
		r.lined, r.lines = r.current.number, lines.Limiter{}
	}
	now := monotime.Now()
	s.io.Lock()
	defer s.io.Unlock()
	defer s.wakeSleeper()
	pass, note := r.lines.Next(now, "the call", lines.PerCall)
	if note != "" {
		r.offerLine(now, int(slog.LevelWarn), note)
	}
	if pass {
		r.offerLine(now, level, text[:min(len(text), lines.MostText)])
	}
}

// offerLine sends a line if the rank has not sent too many. io is held.
func (r *runner) offerLine(now int64, level int, text string) {
	pass, note := r.s.lines.Next(now, "this rank's tasks", lines.PerRank(r.s.ep.Size()))
	if note != "" {
		r.sendLine(int(slog.LevelWarn), note)
	}
	if pass {
		r.sendLine(level, text)
	}
}

// sendLine sends a line of the log as the current call's. io is held.
func (r *runner) sendLine(level int, text string) {
	r.s.send(wire.TypeLog, wire.LogLine{Number: r.current.number, Ticket: r.current.ticket, Task: r.current.task.number, Level: level, Text: text})
}
