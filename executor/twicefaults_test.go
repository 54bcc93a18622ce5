package executor

import (
	"bytes"
	"encoding/json"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/internal/dispatcher"
	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/internal/wire"
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

// checkedAt has a call run a first time on one of two workers, and returns the other once it has the call for its second run.
func checkedAt(t *testing.T) (ex *Executor, f *Future, second *dawdler) {
	t.Helper()
	fabric := mem.New(3)
	ex = openRoot(t, fabric, twice(Config{SpotCheck: 1, Logger: slog.New(slog.DiscardHandler)}))
	workers := []*dawdler{{t: t, ep: fabric.Endpoint(1)}, {t: t, ep: fabric.Endpoint(2)}}
	for _, w := range workers {
		send(t, w.ep, hello(t))
	}
	f = ex.Submit(t.Context(), "echo", []byte("a"))
	workers[0].until("a call for one of the two", func() bool {
		_, err := workers[1].ep.Poll(workers[1])
		return err != nil || len(workers[0].calls)+len(workers[1].calls) == 1
	})
	if len(workers[0].calls) == 0 {
		workers[0], workers[1] = workers[1], workers[0]
	}
	send(t, workers[0].ep, results(workers[0].calls[0], wire.Result{Data: []byte("A"), Nanos: 1}))
	workers[1].until("the call's second run", func() bool { return len(workers[1].calls) == 1 })
	return ex, f, workers[1]
}

// An initializer that fails on the second worker says nothing of the result of the first, and breaks the pool as it does
// elsewhere.
func TestCheckInitializerFails(t *testing.T) {
	t.Parallel()
	ex, f, second := checkedAt(t)
	body, err := json.Marshal(wire.Failure{Kind: uint8(host.KindInitializer), Message: "no such file"})
	if err != nil {
		t.Fatal(err)
	}
	send(t, second.ep, results(second.calls[0], wire.Result{Failed: true, Data: body}))
	if got, err := f.Result(t.Context()); string(got) != "A" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	if err := ex.Shutdown(t.Context()); !errors.Is(err, ErrInitializer) {
		t.Errorf("Shutdown: %v", err)
	}
}

// After Drain a call that a worker gives back, as it has not begun its second run, has the result of the first.
func TestCheckGivenBackAfterDrain(t *testing.T) {
	t.Parallel()
	ex, f, second := checkedAt(t)
	drained, drains := make(chan struct{}), make(chan struct{})
	ex.dispatcher.Request(func(l *dispatcher.Loop) {
		l.Drain(ErrDrained, drained)
		close(drains)
	})
	<-drains
	var w wire.Writer
	w.Reset(wire.TypeReturned)
	w.AddTicket(second.calls[0].Ticket, uint32(second.calls[0].Number), 1) //nolint:gosec // as the root does
	send(t, second.ep, w.Frame())
	second.until("the end", func() bool { return len(second.calls) > 1 || f.State() == Finished })
	if len(second.calls) > 1 {
		t.Fatal("the call is sent again")
	}
	if got, err := f.Result(t.Context()); string(got) != "A" || err != nil {
		t.Errorf("%q, %v", got, err)
	}
	<-drained
	if err := ex.Shutdown(t.Context()); err != nil {
		t.Errorf("Shutdown: %v", err)
	}
}

// Who watches sees both runs of a call that is checked: neither has failed, and that the first is not the last stands in its record.
func TestCheckWatched(t *testing.T) {
	t.Parallel()
	s := newStandstill(t, 2, 1, twice(Config{SpotCheck: 1}))
	const calls = 20
	var done, again, marked uint64
	for u, err := range s.ex.Watch(t.Context(), 10*time.Millisecond) {
		if err != nil {
			t.Fatal(err)
		}
		if done == 0 && u.Submitted == 0 {
			for i := range calls {
				s.ex.Submit(t.Context(), "echo", spinArgument(i, 0, 8))
			}
		}
		for _, task := range u.Tasks {
			done, again = done+task.Done, again+task.Again
		}
		for _, r := range u.Runs {
			if r.Again {
				marked++
			}
		}
		if u.Done == calls {
			break
		}
	}
	if done != 2*calls || again != 0 || marked != calls {
		t.Errorf("%d runs have a result, %d runs of calls that ran again failed, %d were not the last", done, again, marked)
	}
}
