package host

import (
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/internal/guesttest"
)

func TestInitializer(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"init", "limits.init"} {
		h := newHost(t, Config{Initializer: name, InitArg: []byte("model"), MaxCallsPerInstance: 2, Isolation: IsolationReset})
		mod := load(t, h, guesttest.Module(t, "limits", limitsWAT))
		slot := newSlot(t, h)
		for range 5 {
			if got := run(t, slot, taskOf(t, mod, "initialized"), ""); got != "model" {
				t.Errorf("%s: got %q", name, got)
			}
		}
	}
	h := newHost(t, Config{Initializer: "init_badly"})
	mod := load(t, h, guesttest.Module(t, "limits", limitsWAT))
	slot := newSlot(t, h)
	for range 2 {
		e := runFailing(t, slot, taskOf(t, mod, "initialized"), "")
		if e.Kind != KindInitializer || !strings.HasPrefix(e.Message, "the initializer init_badly failed (trap): unreachable") {
			t.Errorf("got %v", e)
		}
		if len(slot.warm) != 0 {
			t.Error("the instance was kept")
		}
	}
}

// An initializer has a minute, however short the limit of the call is that needs it.
func TestInitializerOfShortCall(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{Initializer: "longer", Limits: Limits{Time: 1}})
	mod := load(t, h, guesttest.Module(t, "limits", `(module (memory (export "memory") 1)
  (func (export "longer") (result i32) (local i32)
    (local.set 0 (i32.const 3000000))
    (loop (br_if 0 (local.tee 0 (i32.sub (local.get 0) (i32.const 1)))))
    (i32.const 0))
  (func (export "short") (result i32) (i32.const 0)))`))
	run(t, newSlot(t, h), taskOf(t, mod, "short"), "")
}
