package host

import (
	"fmt"

	"github.com/tetratelabs/wazero/api"

	"github.com/wasmpool/wasmpool/internal/memory"
)

// Isolation says what a call finds of the calls that ran before it in the same
// instance.
type Isolation uint8

// The kinds of isolation. A trap, an exit, or a kill gives the next call a fresh
// instance in any case. Under IsolationReset and IsolationFresh a call's bytes, and its
// count of instructions, depend on the call alone.
const (
	// IsolationReuse leaves an instance as the call left it: a guest's globals
	// may, or may not, survive to the next call. It is the fastest.
	IsolationReuse Isolation = iota

	// IsolationReset puts the linear memory and the globals back to where they
	// were when the instance had started: some 80 µs for a Go guest, a few for
	// a small one. An instance that has files open or closed what
	// it started with is replaced, as is each of a module that keeps references or
	// vectors in globals, or has instructions that change its tables or drop its
	// segments.
	IsolationReset

	// IsolationFresh makes an instance for each call: some 3 ms for a Go
	// guest, 50 µs for a small one.
	IsolationFresh
)

// String returns reuse, reset or fresh.
func (i Isolation) String() string {
	switch i {
	case IsolationReuse:
		return "reuse"
	case IsolationReset:
		return "reset"
	case IsolationFresh:
		return "fresh"
	}
	return fmt.Sprintf("isolation %d", uint8(i))
}

// An image is the state of an instance that has started.
type image struct {
	clock   int64 // monotonic time
	memory  block
	watch   *watch // of the instance's memory; nil where all of it is copied
	globals []savedGlobal
	doorAt  uint32
	door    int // its length, 0 without one
	block   seedBlock
}

type savedGlobal struct {
	global api.MutableGlobal
	value  uint64
}

// save takes the image that restore goes back to. There is none with open files: how far
// each was read cannot be put back.
func (in *instance) save() {
	in.attach(in.mod)
	in.follow() // it may have grown while it started
	if !in.code.Resettable || in.files > in.roots || in.linear.size > in.slot.host.keepMemory() {
		return // each call has a new instance, then: see spent
	}
	in.renew()
	img := &image{
		clock: in.clock.begin, memory: block{account: in.slot.host.memory},
		doorAt: in.doorAt, door: len(in.door), block: in.block,
	}
	if len(in.view) > 0 && img.copyMemory(in) != nil {
		return // each call has a new instance, then
	}
	in.image, in.altered = img, false // what it altered while it started is the image's
	for _, name := range in.code.Globals {
		if g, ok := in.mod.ExportedGlobal(name).(api.MutableGlobal); ok {
			in.image.globals = append(in.image.globals, savedGlobal{g, g.Get()})
		}
	}
}

func (img *image) copyMemory(in *instance) (err error) {
	n := uint64(len(in.view))
	if err := img.memory.take(n); err != nil {
		return err
	}
	if in.linear.fixed {
		if img.memory.space, img.watch = watchMemory(in.view); img.watch != nil {
			return nil
		}
	}
	if err := img.memory.grow(n, n); err != nil {
		img.memory.free()
		return err
	}
	memory.Copy(img.memory.space, in.view)
	return nil
}

// restore puts the instance back to its image. It reports false where that
// cannot be done.
func (in *instance) restore() bool {
	if in.files > in.roots || in.altered || in.kept != nil && in.kept.strays {
		return false
	}
	in.door = nil // it may lie in what is about to go
	if in.mem != nil {
		if in.grown() {
			in.look()
		}
		if !in.shorten(len(in.image.memory.space)) {
			return false
		}
		in.image.watch.restore(in.view, in.image.memory.space)
	}
	for _, g := range in.image.globals {
		g.global.Set(g.value)
	}
	in.clock.begin = in.image.clock
	in.block = in.image.block
	in.doorAt = in.image.doorAt
	if n := in.image.door; n > 0 {
		in.door = in.view[in.doorAt:][:n:n]
	}
	return true
}

// shorten has the guest's memory be n bytes long again, if it grew. A guest cannot do that, and the engine has no function for it, but
// it takes what the allocator gives it: when it asks for one more page it gets less.
func (in *instance) shorten(n int) bool {
	if len(in.view) == n {
		return true
	}
	l := &in.linear
	l.shorter, l.back = true, uint64(n)
	_, ok := in.mem.Grow(1) // it does not where the guest has all that it may
	l.shorter = false
	in.look()
	return ok && len(in.view) == n
}

// spent reports whether the instance must not run another call as it is.
func (in *instance) spent() bool {
	cfg := &in.slot.host.cfg
	switch {
	case in.calls == 0:
		return false
	case in.linear.size > in.slot.host.keepMemory(), in.clock.exhausted():
		return true
	case cfg.MaxCallsPerInstance > 0 && in.calls >= cfg.MaxCallsPerInstance:
		return true
	}
	switch cfg.Isolation {
	case IsolationReset:
		return in.image == nil || !in.restore()
	case IsolationFresh:
		return true
	default:
		return false
	}
}
