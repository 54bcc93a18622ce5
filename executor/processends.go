package executor

import (
	"fmt"
	"log/slog"
	"syscall"
	"time"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
	"github.com/wasmpool/wasmpool/internal/jobdir"
)

const (
	// noteDelay is how long after the loss of a worker the note on its process is read. The
	// shell around the process writes it within milliseconds of the end.
	noteDelay = 500 * time.Millisecond

	// lastNotes is for how long the end of the pool waits for notes on workers that were
	// lost shortly before.
	lastNotes = 200 * time.Millisecond
)

// processEnds log how the processes of lost workers ended, in a job of wasmpool launch, which
// notes it in the job's folder. They belong to the loop.
type processEnds struct {
	request func(func(*dispatcher.Loop))    // has the loop run something
	timers  map[dispatcher.Lost]*time.Timer // workers whose notes were not read
}

// watch makes the end of a lost worker's process be logged.
func (p *processEnds) watch(w dispatcher.Lost) {
	if _, launched := jobdir.Current(); !launched {
		return
	}
	if p.timers == nil {
		p.timers = map[dispatcher.Lost]*time.Timer{}
	}
	p.timers[w] = time.AfterFunc(noteDelay, func() {
		p.request(func(l *dispatcher.Loop) {
			p.say(w, l.Log())
			delete(p.timers, w)
		})
	})
}

// say logs the end of the worker's process. It reports false where nothing is known of it:
// the process is on a host that does not share the folder, or still runs.
func (p *processEnds) say(w dispatcher.Lost, log *slog.Logger) bool {
	if p.timers[w] == nil {
		return true // it was said
	}
	dir, _ := jobdir.Current()
	e, ended := dir.ReadExit(w.LaunchRank)
	if ended {
		log.Error("the process of a lost worker has ended", "rank", w.Rank, "host", w.Host, "process", w.PID, "status", exitStatus(e.Code))
	}
	return ended
}

// end logs what can be learnt at the end of the pool.
func (p *processEnds) end(log *slog.Logger) {
	deadline := time.Now().Add(lastNotes)
	for w, timer := range p.timers {
		timer.Stop()
		for !p.say(w, log) && time.Now().Before(deadline) {
			time.Sleep(lastNotes / 20)
		}
	}
	p.timers = nil
}

// exitStatus says what a shell's exit code means: it is 128 and more for a program that a
// signal ended, or that ended with that code itself.
func exitStatus(code int) string {
	if code > 128 && code < 128+65 {
		return fmt.Sprintf("exit status %d (signal: %v)", code, syscall.Signal(code-128))
	}
	return fmt.Sprintf("exit status %d", code)
}
