package host

import (
	"bytes"
	"testing"

	"github.com/wasmpool/wasmpool/internal/guesttest"
)

// Whatever pages a call wrote, the next one finds the memory as it was, also when most pages were written before.
func TestResetWatched(t *testing.T) {
	t.Parallel()
	m := guesttest.Module(t, "writes", `(module
	  (memory (export "memory") 16)
	  (data (i32.const 70000) "data")
	  (func (export "f") (param $from i32) (param $to i32) (result i32) (local $sum i32)
	    (loop $again
	      (local.set $sum (i32.add (local.get $sum) (i32.load (local.get $from))))
	      (i32.store (local.get $from) (i32.const 1))
	      (br_if $again (i32.lt_u (local.tee $from (i32.add (local.get $from) (i32.const 4))) (local.get $to))))
	    (local.get $sum)))`)
	h := newHost(t, Config{Isolation: IsolationReset})
	slot := newSlot(t, h)
	f := taskOf(t, load(t, h, m), "f")
	for i, args := range []string{"[0,8]", "[69632,73728]", "[1048572,1048576]", "[0,1048576]", "[65536,131072]"} {
		want := run(t, slot, f, args)
		in := slot.instance
		if in.image.watch == nil {
			t.Fatal("the system does not tell which pages were written")
		}
		for range dropAfter + 2 {
			if got := run(t, slot, f, args); got != want || slot.instance != in {
				t.Fatalf("%s: got %s, want %s of the same instance", args, got, want)
			}
		}
		slot.clean(in)
		if !bytes.Equal(in.view, in.image.memory.space) {
			t.Errorf("after call %d the memory is not as it was", i)
		}
	}
}

// Pages are dropped when many were written, and not before much was put back.
func TestWatchDrops(t *testing.T) {
	t.Parallel()
	view, err := mapSpace(1 << 20)
	if err != nil {
		t.Fatal(err)
	}
	defer releaseSpace(view)
	same, w := watchMemory(view)
	if w == nil {
		t.Fatal("the system does not tell which pages were written")
	}
	defer releaseSpace(same)
	count := func() (n int) {
		if !w.look(view) {
			t.Fatal("the system does not tell any more")
		}
		for i := range len(w.pages) / 8 {
			if w.written(i) {
				n++
			}
		}
		return n
	}
	size := len(view) / (len(w.pages) / 8)
	for i := 0; i < len(view); i += 2 * size {
		view[i] = 1
	}
	if got, want := count(), len(view)/size/2; got != want {
		t.Errorf("%d pages were written, want %d", got, want)
	}
	for range dropAfter {
		w.restore(view, same)
	}
	if got := count(); got != 0 || !bytes.Equal(view, same) {
		t.Errorf("%d pages are not the file's, want none", got)
	}
	view[0] = 1
	for range dropAfter + 1 {
		w.restore(view, same)
	}
	if got := count(); got != 1 || view[0] != 0 {
		t.Errorf("%d pages were written, want 1", got)
	}
}
