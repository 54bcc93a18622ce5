package executor

import (
	"context"
	"errors"
	"iter"
	"testing"

	"github.com/wasmpool/wasmpool/internal/dispatcher"
	"github.com/wasmpool/wasmpool/internal/unittest"
)

// through goes through results, and returns the last error.
func through(results iter.Seq2[[]byte, error]) error {
	var failure error
	for _, err := range results {
		if err != nil {
			failure = err
		}
	}
	return failure
}

// TestStopperForgets checks that a stopper keeps no map, batch or stream that has ended,
// however that was; and that until its last call has ended it can be killed.
func TestStopperForgets(t *testing.T) {
	t.Parallel()
	ex := openTasks(t, Config{RootSlots: 2})
	short := func(n int) iter.Seq[[]byte] {
		return func(yield func([]byte) bool) {
			for i := range n {
				if !yield(number(i)) {
					return
				}
			}
		}
	}
	var stopper Stopper
	kept := func() int {
		stopper.mu.Lock()
		defer stopper.mu.Unlock()
		return len(stopper.feeders)
	}
	under := StoppedBy(&stopper)
	closing := func(ctx context.Context, s *Stream) iter.Seq2[[]byte, error] {
		return func(yield func([]byte, error) bool) {
			defer s.Close()
			s.All(ctx)(yield)
		}
	}
	maps := map[string]func(ctx context.Context, task string, args iter.Seq[[]byte], opts ...MapOption) iter.Seq2[[]byte, error]{
		"Map": ex.Map, "MapUnordered": ex.MapUnordered,
		"Batch": func(ctx context.Context, task string, args iter.Seq[[]byte], opts ...MapOption) iter.Seq2[[]byte, error] {
			return ex.SubmitBatch(ctx, task, args, opts...).Ordered(ctx)
		},
		"Stream": func(ctx context.Context, task string, args iter.Seq[[]byte], opts ...MapOption) iter.Seq2[[]byte, error] {
			return closing(ctx, ex.Stream(ctx, task, args, opts...))
		},
		"StreamUnordered": func(ctx context.Context, task string, args iter.Seq[[]byte], opts ...MapOption) iter.Seq2[[]byte, error] {
			return closing(ctx, ex.StreamUnordered(ctx, task, args, opts...))
		},
	}
	for name, each := range maps {
		for way, end := range map[string]func(){
			"gone through": func() {
				if err := through(each(t.Context(), "echo", short(300), under)); err != nil {
					t.Error(err)
				}
			},
			"broken off": func() {
				each(t.Context(), "echo", short(300), under, Buffer(100))(func([]byte, error) bool { return false })
			},
			"an input that fails": func() {
				if err := through(each(t.Context(), "echo", func(func([]byte) bool) { panic("a bad input") }, under)); err == nil {
					t.Errorf("%s: a bad input is no error", name)
				}
			},
			"its context": func() {
				ctx, cancel := context.WithCancel(t.Context())
				results := each(ctx, "burn", short(100), under)
				cancel()
				if name == "Stream" || name == "StreamUnordered" {
					return // what was submitted runs to its end
				}
				if err := through(results); err != nil && !errors.Is(err, context.Canceled) && !errors.Is(err, ErrCancelled) {
					t.Errorf("%s, its context: %v", name, err)
				}
			},
			"a context that had ended": func() {
				ctx, cancel := context.WithCancel(t.Context())
				cancel()
				each(ctx, "echo", short(10), under)
			},
			"no such task": func() { each(t.Context(), "nothing", short(10), under) },
		} {
			func() {
				defer func() {
					if v := recover(); v != nil && v != "a bad input" {
						t.Errorf("%s, %s: panic %v", name, way, v)
					}
				}()
				end()
			}()
			unittest.Until(t, name+", "+way+": it is forgotten", func() bool { return kept() == 0 })
		}
	}

	// A map that was broken off has calls that run: they can be killed.
	results := ex.Map(t.Context(), "forever", short(50), under)
	running := func() int { // as far as the root knows: the others are recalled
		count := make(chan int, 1)
		ex.dispatcher.Request(func(l *dispatcher.Loop) {
			n := 0
			for _, c := range l.InFlight() {
				if c.State() == dispatcher.Running {
					n++
				}
			}
			count <- n
		})
		return <-count
	}
	unittest.Until(t, "its calls run", func() bool { return running() == 2 })
	stopper.Stop()
	for _, err := range results {
		if !errors.Is(err, ErrStopped) {
			t.Errorf("it ends with %v", err)
		}
	}
	if kept() != 1 {
		t.Errorf("%d maps are kept, while calls of one run", kept())
	}
	stopper.Kill("enough")
	unittest.Until(t, "its calls have ended", func() bool { return running() == 0 })
	unittest.Until(t, "it is forgotten when they have", func() bool { return kept() == 0 })
}
