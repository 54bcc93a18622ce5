package monitor

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/wasmpool/wasmpool/feed"
)

// Bounds of the task stream.
const (
	mostBars    = 1000             // of an update
	streamSpan  = time.Minute      // how long bars are kept
	closely     = time.Millisecond // so short a pause between two runs of one bar
	mostAllBars = 62 * mostBars    // of a minute, with some room
)

// A Bar is what a slot ran without a pause: a run, or several of one task and outcome. In JSON it is a list of
// its fields in this order.
type Bar struct {
	Rank   int
	Slot   int     // -1 where it is not known: of runs below 30 µs, and of all runs of a worker together where there are very many
	Begin  float64 // after Job.Started
	Ran    float64 // from the begin of the first run to the end of the last
	Task   int     // the index in State.Tasks; -1 is several
	Runs   uint64
	Failed bool
	Call   uint64 // the number of the first run's call; 0 where it is not known
}

// MarshalJSON gives the list.
func (b Bar) MarshalJSON() ([]byte, error) {
	failed := 0
	if b.Failed {
		failed = 1
	}
	return fmt.Appendf(nil, "[%d,%d,%.4f,%.6f,%d,%d,%d,%d]", b.Rank, b.Slot, b.Begin, b.Ran, b.Task, b.Runs, failed, b.Call), nil
}

// UnmarshalJSON reads the list.
func (b *Bar) UnmarshalJSON(data []byte) error {
	var failed int
	list := []any{&b.Rank, &b.Slot, &b.Begin, &b.Ran, &b.Task, &b.Runs, &failed, &b.Call}
	if err := json.Unmarshal(data, &list); err != nil {
		return err
	}
	b.Failed = failed != 0
	return nil
}

// end returns when the bar ends.
func (b *Bar) end() float64 { return b.Begin + b.Ran }

// stream keeps the bars of the last minute.
type stream struct {
	first   uint64 // the number of the first bar that is kept
	bars    []Bar
	omitted [lastPoints]uint64 // runs of the last updates that no bar has
	updates int
}

// take takes an update in.
func (s *stream) take(u *feed.Update, started time.Time, index func(task string) int) {
	bars, omitted := fit(barsOf(u.Runs, started, index))
	if u.Omitted > 0 {
		bars = append(bars, s.together(u, started)...)
	}
	s.omitted[s.updates%lastPoints] = u.Omitted + omitted
	s.updates++
	s.bars = append(s.bars, bars...)
	oldest := u.End.Add(-streamSpan).Sub(started).Seconds()
	gone := 0
	for gone < len(s.bars) && (s.bars[gone].end() < oldest || len(s.bars)-gone > mostAllBars) {
		gone++
	}
	s.bars = slices.Delete(s.bars, 0, gone)
	s.first += uint64(gone)
}

// barsOf returns the bars of runs. Those that follow each other closely are one.
func barsOf(runs []feed.Run, started time.Time, index func(task string) int) []Bar {
	list := make([]Bar, 0, len(runs))
	for i := range runs {
		r := &runs[i]
		list = append(list, Bar{
			Rank: r.Rank, Slot: r.Slot, Begin: r.Began.Sub(started).Seconds(), Ran: r.Ran.Seconds(), Task: index(r.Task),
			Runs: 1, Failed: r.Err != nil, Call: r.Call,
		})
	}
	slices.SortFunc(list, func(a, b Bar) int {
		return cmp.Or(a.Rank-b.Rank, a.Slot-b.Slot, cmp.Compare(a.Begin, b.Begin))
	})
	kept := list[:0]
	for _, b := range list {
		if n := len(kept) - 1; n >= 0 && kept[n].joins(&b) {
			kept[n].Ran = max(kept[n].end(), b.end()) - kept[n].Begin
			kept[n].Runs++
			continue
		}
		kept = append(kept, b)
	}
	return kept
}

// joins reports whether b follows so closely that both are one bar.
func (b *Bar) joins(next *Bar) bool {
	same := b.Rank == next.Rank && b.Slot == next.Slot && b.Task == next.Task && b.Failed == next.Failed
	return same && next.Begin-b.end() < closely.Seconds() && next.Ran < 10*closely.Seconds() && b.Ran < 1
}

// fit returns so many bars as there is room for, and how many runs the others have: the failed and the longest
// stay, and a sample of the rest.
func fit(list []Bar) ([]Bar, uint64) {
	if len(list) <= mostBars {
		return list, 0
	}
	slices.SortFunc(list, func(a, b Bar) int {
		switch {
		case a.Failed != b.Failed && a.Failed:
			return -1
		case a.Failed != b.Failed:
			return 1
		}
		return cmp.Compare(b.Ran, a.Ran)
	})
	first := mostBars / 2
	kept, rest := list[:first:first], list[first:]
	for i := range mostBars - first {
		kept = append(kept, rest[i*len(rest)/(mostBars-first)])
	}
	var all, has uint64
	for _, b := range list {
		all += b.Runs
	}
	for _, b := range kept {
		has += b.Runs
	}
	return kept, all - has
}

// together returns a bar of each worker for all its runs, in place of those that have no record.
func (s *stream) together(u *feed.Update, started time.Time) []Bar {
	var list []Bar
	for i := range u.Workers {
		if w := &u.Workers[i]; !w.Lost && w.InFlight > 0 {
			list = append(list, Bar{
				Rank: w.Rank, Slot: -1, Begin: u.Begin.Sub(started).Seconds(), Ran: u.End.Sub(u.Begin).Seconds(), Task: -1,
				Runs: u.Omitted / uint64(len(u.Workers)),
			})
		}
	}
	return list
}

// next returns the number that the next bar will have.
func (s *stream) next() uint64 { return s.first + uint64(len(s.bars)) }

// state returns the bars from one on.
func (s *stream) state(from uint64) Stream {
	from = min(max(from, s.first), s.next())
	out := Stream{First: from, Bars: append([]Bar{}, s.bars[from-s.first:]...)}
	for _, n := range s.omitted {
		out.Omitted += n
	}
	return out
}
