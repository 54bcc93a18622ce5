package host

import (
	"testing"

	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/wasmbin"
)

func TestIsolation(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		cfg  Config
		want []string
	}{
		{Config{}, []string{"11", "22", "33", "44"}},
		{Config{Isolation: IsolationReset}, []string{"11", "11", "11", "11"}},
		{Config{Isolation: IsolationFresh}, []string{"11", "11", "11", "11"}},
		{Config{MaxCallsPerInstance: 2}, []string{"11", "22", "11", "22"}},
	} {
		h := newHost(t, tt.cfg)
		mod := load(t, h, guesttest.Module(t, "limits", limitsWAT))
		slot := newSlot(t, h)
		for i, want := range tt.want {
			if got := run(t, slot, taskOf(t, mod, "count_calls"), ""); got != want {
				t.Errorf("%v, %d calls each: call %d = %q, want %q", tt.cfg.Isolation, tt.cfg.MaxCallsPerInstance, i, got, want)
			}
		}
		run(t, slot, taskOf(t, mod, "grow_politely"), "")
		if got := run(t, slot, taskOf(t, mod, "count_calls"), ""); tt.cfg.Isolation == IsolationReset && got != "11" {
			t.Errorf("after it grew: %q", got)
		}
	}
}

// An instance that grew past the bound is not kept.
func TestKeepMemory(t *testing.T) {
	t.Parallel()
	h := newHost(t, Config{KeepMemory: 1 << 20})
	mod := load(t, h, guesttest.Module(t, "limits", limitsWAT))
	slot := newSlot(t, h)
	run(t, slot, taskOf(t, mod, "count_calls"), "")
	run(t, slot, taskOf(t, mod, "grow_politely"), "")
	if got := slot.Usage().Memory; got != 101*wasmbin.PageSize {
		t.Errorf("it used %d bytes", got)
	}
	if got := run(t, slot, taskOf(t, mod, "count_calls"), ""); got != "11" {
		t.Errorf("count_calls = %q: the instance was kept", got)
	}
}
