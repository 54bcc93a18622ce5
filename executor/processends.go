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
	// noteDelay is how long after the loss of a worker the note on its process is read, and
	// noteReads how often, each time after twice as long. The shell around the process writes
	// it within milliseconds of the end, or within seconds on a machine that is overloaded.
	noteDelay = 500 * time.Millisecond
	noteReads = 5

	// nearNotes and farNotes are for how long the end of the pool waits for notes on workers
	// that were lost shortly before: a shell of this host surely writes one, and one of another
	// host does if that shares the folder.
	nearNotes = 5 * time.Second
	farNotes  = 200 * time.Millisecond
)

// processEnds log how the processes of lost workers ended, in a job of wasmpool launch, which
// notes it in the job's folder. They belong to the loop.
type processEnds struct {
	request func(func(*slog.Logger))        // has the loop run something, with its log
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
	p.read(w, noteDelay, noteReads)
}

// read reads the note on the worker's process after the delay, and again while it is not there.
func (p *processEnds) read(w dispatcher.Lost, delay time.Duration, reads int) {
	p.timers[w] = time.AfterFunc(delay, func() {
		p.request(func(log *slog.Logger) {
			if !p.say(w, log) && reads > 1 {
				p.read(w, 2*delay, reads-1)
				return
			}
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
	start := time.Now()
	for w, timer := range p.timers {
		timer.Stop()
		patience := farNotes
		if nodeIsMine(w) {
			patience = nearNotes
		}
		for !p.say(w, log) && time.Since(start) < patience {
			time.Sleep(farNotes / 20)
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
