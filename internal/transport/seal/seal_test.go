package seal_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/transport/fault"
	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/internal/transport/seal"
	"github.com/wasmpool/wasmpool/internal/transport/transporttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// open returns the endpoints of a fabric with sealed frames and faults beneath
// the root's.
func open(size int, plan fault.Plan) (*mem.Fabric, []transport.Endpoint) {
	w := mem.New(size)
	ends := []transport.Endpoint{seal.New(fault.New(w.Endpoint(0), plan, w.Kill))}
	for rank := 1; rank < size; rank++ {
		ends = append(ends, seal.New(w.Endpoint(rank)))
	}
	return w, ends
}

func TestConformance(t *testing.T) {
	t.Parallel()
	for name, plan := range map[string]fault.Plan{
		"plain":   {},
		"delayed": {Seed: 1, Delay: 0.02, DelayMax: 3 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			transporttest.Exercise(t, func(_ *testing.T, size int) []transport.Endpoint {
				_, ends := open(size, plan)
				return ends
			})
		})
	}
}

// A frame that an endpoint sends after its end is not held back.
func TestDelayedAndClosed(t *testing.T) {
	t.Parallel()
	_, ends := open(2, fault.Plan{Delay: 1, DelayMax: time.Hour})
	for _, ep := range ends {
		if err := ep.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := ends[0].Send(1, []byte("frame")); !errors.Is(err, transport.ErrClosed) {
		t.Errorf("sending after Close: %v", err)
	}
}

// A listener notes who is lost.
type listener struct {
	frames int
	lost   error
}

func (l *listener) Frame(int, []byte)     { l.frames++ }
func (l *listener) Lost(_ int, err error) { l.lost = err }

// TestNoticed checks that each kind of harm to one frame, in either direction,
// ends the link on both sides, also when no other frame follows it.
func TestNoticed(t *testing.T) {
	t.Parallel()
	for name, plan := range map[string]fault.Plan{
		"drop":      {Drop: 1},
		"duplicate": {Duplicate: 1},
		"truncate":  {Truncate: 1},
		"corrupt":   {Corrupt: 1},
	} {
		for from := range 2 {
			for _, more := range []int{0, 5} {
				t.Run(fmt.Sprintf("%s/from=%d/more=%d", name, from, more), func(t *testing.T) {
					t.Parallel()
					once := plan
					once.Most, once.Seed = 1, uint64(from+more)
					notice(t, once, from, more)
				})
			}
		}
	}
}

func notice(t *testing.T, plan fault.Plan, from, more int) {
	_, ends := open(2, plan)
	for range 1 + more {
		if err := ends[from].Send(1-from, []byte("frame")); err != nil {
			t.Fatal(err)
		}
	}
	var heard [2]listener
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var both sync.WaitGroup
	for rank, ep := range ends {
		both.Go(func() {
			for heard[rank].lost == nil && ctx.Err() == nil {
				if _, err := ep.Poll(&heard[rank]); err != nil {
					t.Error(err)
				}
				time.Sleep(time.Millisecond)
			}
		})
	}
	both.Wait()
	if err := errors.Join(heard[0].lost, heard[1].lost); !errors.Is(err, seal.ErrBroken) || heard[0].lost == nil || heard[1].lost == nil {
		t.Errorf("the root is told %v, the worker %v", heard[0].lost, heard[1].lost)
	}
}

// TestBrokenStays checks that nothing is delivered after harm to one frame, though
// harm to a second one makes the numbers fit again.
func TestBrokenStays(t *testing.T) {
	t.Parallel()
	w := mem.New(2)
	worker := seal.New(w.Endpoint(1))
	tap := &tap{Wrapper: transport.Wrapper{Endpoint: w.Endpoint(0)}}
	sealed := seal.New(tap)
	for _, text := range []string{"a", "b", "c"} {
		if err := sealed.Send(1, []byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for _, i := range []int{0, 0, 2} { // a, a again, and no b
		if err := w.Endpoint(0).Send(1, tap.frames[i]); err != nil {
			t.Fatal(err)
		}
	}
	var l listener
	for range 2 {
		if _, err := worker.Poll(&l); err != nil {
			t.Fatal(err)
		}
	}
	if l.frames != 1 || !errors.Is(l.lost, seal.ErrBroken) {
		t.Errorf("%d frames came through, lost: %v", l.frames, l.lost)
	}
}

// A tap keeps what is sent through it.
type tap struct {
	transport.Wrapper
	frames [][]byte
}

func (p *tap) Send(_ int, frame []byte) error {
	p.frames = append(p.frames, slices.Clone(frame))
	return nil
}

// TestSilentLink checks that a peer that has received everything is only asked,
// not fenced, and that the asking ends.
func TestSilentLink(t *testing.T) {
	t.Parallel()
	_, ends := open(2, fault.Plan{})
	if err := ends[0].Send(1, []byte("frame")); err != nil {
		t.Fatal(err)
	}
	var root, worker listener
	for end := time.Now().Add(5 * time.Second); time.Now().Before(end); time.Sleep(time.Millisecond) {
		for rank, l := range []*listener{&root, &worker} {
			if _, err := ends[rank].Poll(l); err != nil {
				t.Fatal(err)
			}
		}
	}
	if worker.frames != 1 || root.frames != 0 || root.lost != nil || worker.lost != nil {
		t.Errorf("the root saw %+v, the worker %+v", root, worker)
	}
}

// TestStranger checks that bytes that are no frame are told as such.
func TestStranger(t *testing.T) {
	t.Parallel()
	w := mem.New(2)
	root := seal.New(w.Endpoint(0))
	if err := w.Endpoint(1).Send(0, []byte("hello, root")); err != nil {
		t.Fatal(err)
	}
	var l listener
	for range 2 {
		if _, err := root.Poll(&l); err != nil {
			t.Fatal(err)
		}
	}
	if !errors.Is(l.lost, seal.ErrBroken) || !strings.Contains(l.lost.Error(), "no frame") {
		t.Errorf("the root is told %v", l.lost)
	}
}

// FuzzFrame feeds a sealed endpoint what a peer might send. Nothing but a frame
// with the right seal may come through.
func FuzzFrame(f *testing.F) {
	f.Add([]byte("frame"))
	f.Add([]byte{1, 1, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4})
	f.Fuzz(func(t *testing.T, frame []byte) {
		if len(frame) == 0 || len(frame) > transport.FrameCap {
			return
		}
		w := mem.New(2)
		root := seal.New(w.Endpoint(0))
		if err := w.Endpoint(1).Send(0, frame); err != nil {
			t.Fatal(err)
		}
		var l listener
		for range 2 {
			if _, err := root.Poll(&l); err != nil {
				t.Fatal(err)
			}
		}
		const sealLen = 13 // a seal alone is a question or an answer
		if l.frames == 0 && l.lost == nil && len(frame) != sealLen {
			t.Errorf("% x was neither taken nor refused", frame)
		}
	})
}

// An endpoint that dozes sends nothing of its own accord in the poll that follows, for its
// owner may sleep then: a root that sends looks for an answer.
func TestQuietDoze(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		w := mem.New(2)
		p := &tap{Wrapper: transport.Wrapper{Endpoint: w.Endpoint(0)}}
		root := seal.New(p)
		if err := root.Send(1, []byte("x")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Minute) // the worker has not acknowledged it
		root.Doze()
		for want := range 2 {
			if _, err := root.Poll(&listener{}); err != nil || len(p.frames) != 1+want {
				t.Errorf("after poll %d: %d frames, %v", want+1, len(p.frames), err)
			}
		}
	})
}

// TestAbilities checks that what the fabric can do is found through a seal and faults.
func TestAbilities(t *testing.T) {
	t.Parallel()
	w, ends := open(2, fault.Plan{})
	lender, lends := transport.As[transport.Lender](ends[0])
	borrower, borrows := transport.As[transport.Borrower](ends[1])
	voucher, vouches := transport.As[transport.Voucher](ends[1])
	if !lends || !borrows || !vouches {
		t.Fatalf("the root lends: %t; the worker borrows: %t, vouches: %t", lends, borrows, vouches)
	}
	want, got := []byte("an argument"), make([]byte, len("an argument"))
	if err := borrower.Borrow(got, lender.Lend(1, 3, want)); err != nil || string(got) != string(want) {
		t.Errorf("the worker borrows %q, %v", got, err)
	}
	lender.Reclaim(3)
	voucher.Vouch(func() (uint64, bool) { return 5, true })
	if call, found := w.Suspect(); call != 5 || !found {
		t.Errorf("the suspect is call %d, %t", call, found)
	}
	if _, wakes := transport.As[transport.Waker](ends[0]); wakes {
		t.Error("goroutines of one process take long to wake")
	}
}
