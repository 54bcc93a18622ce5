package monitor

import (
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/feed"
)

// A model is what is kept of all updates, bounded whatever they say. It belongs to the monitor's lock.
type model struct {
	job  Job
	told bool                // the program has said how the job ended
	name func(uint64) string // which input a call is; may be nil

	seq      uint64
	last     feed.Update // without its runs and tasks
	moved    time.Time   // when a run last ended, or the watch began
	progress *Progress   // nil where the program does not tell

	tasks    tasks
	use      use
	recent   series
	history  series
	pace     pace
	stream   stream
	failures failures
	running  running
}

func newModel(job Job, name func(uint64) string) *model {
	if name == nil {
		name = func(uint64) string { return "" }
	}
	return &model{
		job: job, name: name, moved: job.Started,
		recent: series{step: 1, most: MostSeconds}, history: series{step: 1, most: MostPoints, whole: true},
	}
}

// take takes an update in, and how far the inputs have come.
func (m *model) take(u *feed.Update, p *Progress) {
	m.seq++
	m.progress = p
	done, failed := m.tasks.take(u.Tasks)
	if done+failed > 0 {
		m.moved = u.End
	}
	busy, room := m.use.take(u)
	m.stream.take(u, m.job.Started, m.tasks.index)
	m.failures.take(u.Runs, m.name)
	m.running.take(u.Runs)
	m.last = *u
	m.last.Runs, m.last.Tasks = nil, nil
	one := point{span: u.End.Sub(u.Begin).Seconds(), busy: busy, room: room, done: float64(done), failed: float64(failed), queued: float64(m.counts().Waiting)}
	begin := u.Begin.Sub(m.job.Started).Seconds()
	m.recent.add(begin, one)
	m.history.add(begin, one)
	m.pace.add(u.End, m.ended())
}

// ended returns how many inputs, or calls, have ended since the job began.
func (m *model) ended() uint64 {
	if m.progress != nil {
		return m.progress.Done + m.progress.Failed
	}
	return m.last.Done + m.last.Failed
}

// end takes in that the job has ended.
func (m *model) end(now time.Time, outcome string, told bool) {
	m.seq++
	if m.job.Ended == nil {
		m.job.Ended = &now
	}
	if told || !m.told {
		m.job.Outcome = outcome
	}
	m.told = m.told || told
	m.running = running{told: m.running.told, asked: m.running.asked + 1, workers: m.running.workers}
}

// report takes in what the workers have answered.
func (m *model) report(r executor.Report, now time.Time) {
	if m.job.Ended == nil {
		m.running.report(r, now)
	}
}

// counts returns how far the job is.
func (m *model) counts() Counts {
	u := &m.last
	c := Counts{
		Unit: "calls", Total: -1, Done: u.Done, Failed: u.Failed, Resting: u.Resting, Awaited: u.Awaited,
		Submitted: u.Submitted, Cancelled: u.Cancelled, Retried: u.Retried, CallsDone: u.Done, CallsFail: u.Failed,
		Found: u.Found, Duplicated: u.Duplicated, Checked: u.Checked, Differed: u.Differed,
	}
	for i := range u.Workers {
		c.Running += min(u.Workers[i].InFlight, u.Workers[i].Slots)
	}
	c.Waiting = u.Queued + max(u.InFlight-c.Running, 0)
	if p := m.progress; p != nil {
		c.Unit, c.Total, c.Done, c.Failed, c.Kept = "inputs", p.Total, p.Done, p.Failed, p.Kept
	}
	c.Rate, c.ETA = m.pace.rate(), -1
	if left := c.Total - int64(c.Kept+c.Done+c.Failed); c.Total >= 0 && m.job.Ended == nil {
		switch {
		case left <= 0:
			c.ETA = 0
		case c.Rate > 0:
			c.ETA = float64(left) / c.Rate
		}
	}
	return c
}

// A part says what a state has.
type part struct {
	whole bool   // all of it; else what may have changed from one second to the next
	bars  uint64 // the number of the first bar
	asked uint64 // how often the workers had been asked, when what they run was given out last
}

// state returns how the job is now.
func (m *model) state(now time.Time, p part) *State {
	s := &State{Version: StateVersion, Seq: m.seq, Job: m.job, Counts: m.counts(), Use: m.use.total}
	s.Job.Now = now
	if m.job.Ended != nil {
		now = *m.job.Ended
	}
	s.Workers = m.use.state(&m.last, p.whole)
	s.Running, s.Runs = m.running.state(now, m.name)
	m.running.tell(s.Workers)
	s.Stream = m.stream.state(p.bars)
	if p.whole || p.asked != m.running.asked {
		s.Stream.Open = m.running.open(m.job.Started, m.tasks.index)
	}
	s.Tasks = m.tasks.state() // after what runs, which may be of new ones
	s.Failures, s.Left = m.failures.state(p.whole)
	s.Recent = m.recent.state(p.whole)
	s.History = m.history.state(p.whole)
	if m.job.Ended == nil {
		s.Why = why(s, m.running.silent, m.progress, now.Sub(m.moved))
	}
	return s
}
