package executor

import (
	"bytes"
	"errors"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
	"github.com/wasmpool/wasmpool/internal/unittest"
)

// A map whose calls are killed in their second run, on a worker that is lost then, uses their memory for further calls: these are
// compared with nothing of before.
func TestCheckKilledAndLost(t *testing.T) {
	t.Parallel()
	s := newStandstill(t, 2, 8, twice(Config{SpotCheck: 1}))
	s.workers[2].stop()
	const few, all = 16, 2000
	args := func(yield func([]byte) bool) {
		for i := range all {
			if i == few {
				unittest.Until(t, "the second worker alone has calls", func() bool {
					st := stats(t, s.ex)
					return st.Workers[0].InFlight == 0 && st.Workers[1].InFlight == few
				})
				if n, err := s.ex.KillAll(t.Context(), "for this test"); n != few || err != nil {
					t.Errorf("KillAll: %d, %v", n, err)
				}
				s.fabric.Kill(2)
				s.workers[2].resume()
			}
			if !yield(spinArgument(i, 0, 8)) {
				return
			}
		}
	}
	killed, n := 0, 0
	for i, o := range s.ex.MapIndexed(t.Context(), "echo", args) {
		switch {
		case i < few && errors.Is(o.Err, ErrKilled):
			killed++
		case o.Err != nil || !bytes.Equal(o.Result, spinArgument(int(i), 0, 8)):
			t.Fatalf("element %d: %x, %v", i, o.Result, o.Err)
		}
		n++
	}
	st := stats(t, s.ex)
	if n != all || killed != few || st.Differed != 0 || st.Done != all-few || st.Failed != few || st.Checked != all-few {
		t.Errorf("%d elements, %d killed: %+v", n, killed, st)
	}
}

// What a call waits is the time in which it does not run, also where it runs twice.
func TestWaitsBetweenRuns(t *testing.T) {
	t.Parallel()
	s := newStandstill(t, 2, 1, twice(Config{}))
	for name, opt := range map[string]CallOption{"check": SpotCheck(1), "retry": Retries(RetryPolicy{Attempts: 2})} {
		f := s.ex.Submit(t.Context(), "spin", spinArgument(0, 1_000_000_000, 8), opt, Timeout(300*time.Millisecond))
		if name == "check" {
			f = s.ex.Submit(t.Context(), "spin", spinArgument(0, 100_000_000, 8), opt)
		}
		err := f.Err(t.Context())
		if info, _ := f.Info(); info.Queued > info.Ran/2 || (err != nil) != (name == "retry") {
			t.Errorf("%s: %v, %+v", name, err, info)
		}
	}
}

// A call whose second run has not ended when the pool breaks has the result of the first. So it has where a worker gives it back
// after the pool was told to begin nothing any more.
func TestUncheckedAtTheEnd(t *testing.T) {
	t.Parallel()
	for name, end := range map[string]func(*standstill){
		"broken": func(s *standstill) {
			s.ex.dispatcher.Request(func(l *dispatcher.Loop) { l.Fail(errors.New("for this test")) })
		},
		"drained": func(s *standstill) {
			s.ex.dispatcher.Request(func(l *dispatcher.Loop) { l.Drain(ErrClosed, make(chan struct{})) })
			s.resumeAll()
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := newStandstill(t, 2, 1, twice(Config{SpotCheck: 1}))
			s.workers[2].stop()
			var futures []*Future
			for i := range 4 {
				futures = append(futures, s.ex.Submit(t.Context(), "echo", spinArgument(i, 0, 8)))
				time.Sleep(time.Millisecond)
			}
			unittest.Until(t, "the second worker alone has calls", func() bool {
				st := stats(t, s.ex)
				return st.Workers[0].InFlight == 0 && st.Workers[1].InFlight >= 2 && st.Workers[0].Calls > 0
			})
			had := stats(t, s.ex).Workers[0].Calls
			end(s)
			results := 0
			for i, f := range futures {
				if got, err := f.Result(t.Context()); err == nil && bytes.Equal(got, spinArgument(i, 0, 8)) {
					results++
				}
			}
			if results < int(had) { //nolint:gosec // few
				t.Errorf("%d calls have run, of %d the result is known", had, results)
			}
		})
	}
}
