package host

import (
	"bytes"
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/internal/guesttest"
)

func TestReadArg(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{})
	mod := load(t, h, guesttest.Module(t, "abi", abiWAT))
	guest := load(t, h, guesttest.Build(t, "testdata/guest"))
	slot := newSlot(t, h)
	arg := bytes.Repeat([]byte("0123456789"), 1000)
	var calls, length int
	long := &Call{ArgLen: int64(len(arg)), ReadArg: func(dst []byte) error {
		calls++
		length = copy(dst, arg)
		return nil
	}}
	for task, direct := range map[*Task]bool{taskOf(t, mod, "whole"): true, taskOf(t, mod, "pieces"): false, taskOf(t, guest, "echo"): true} {
		for range 2 {
			calls = 0
			result, err := slot.Run(t.Context(), task, long)
			if err != nil || !bytes.Equal(result, arg) {
				t.Fatalf("%s: %d bytes, %v", task.export, len(result), err)
			}
			if calls != 1 || length != len(arg) {
				t.Errorf("%s: ReadArg was called %d times with %d bytes", task.export, calls, length)
			}
			if slot.instance.taken != direct {
				t.Errorf("%s: straight into guest memory is %t, want %t", task.export, slot.instance.taken, direct)
			}
		}
	}
	if got := run(t, slot, taskOf(t, mod, "whole"), "short"); got != "short" || slot.instance.arg != nil {
		t.Errorf("after a long argument a short one is %q", got)
	}
	for _, task := range []string{"twice", "twice_pieces"} {
		_, err := slot.Run(t.Context(), taskOf(t, mod, task), long)
		if e := errorOf(t, err); e.Kind != KindTrap || !strings.Contains(e.Message, "import input_read: a long argument") {
			t.Errorf("%s: got %v, want a trap", task, e)
		}
	}
	for cause, kind := range map[error]Kind{errors.New("lost"): KindHost, context.Canceled: KindCancelled, context.DeadlineExceeded: KindTimeout} {
		_, err := slot.Run(t.Context(), taskOf(t, mod, "whole"), &Call{ArgLen: 10, ReadArg: func([]byte) error { return cause }})
		if e := errorOf(t, err); e.Kind != kind || !errors.Is(err, cause) {
			t.Errorf("got %v, want %v", e, kind)
		}
	}
	_, err := slot.Run(t.Context(), taskOf(t, mod, "whole"), &Call{ArgLen: 1 << 32, ReadArg: func([]byte) error { return nil }})
	if e := errorOf(t, err); e.Kind != KindMemory {
		t.Errorf("got %v, want a memory error", e)
	}
	if got := run(t, slot, taskOf(t, guest, "sum"), "\x01\x02"); got != "3" {
		t.Errorf("sum = %s, want 3", got)
	}
}

// A long argument for which the guest has no room.
func TestReadArgNoRoom(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{MemoryLimit: 16 << 20})
	task := taskOf(t, load(t, h, guesttest.Build(t, "testdata/guest")), "sum")
	_, err := newSlot(t, h).Run(t.Context(), task, &Call{ArgLen: 32 << 20, ReadArg: func([]byte) error { return nil }})
	if e := errorOf(t, err); e.Kind != KindMemory {
		t.Errorf("got %v, want a memory error", e)
	}
}
