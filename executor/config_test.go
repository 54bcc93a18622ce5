package executor_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// What no machine can do is refused, by the name of the field.
func TestConfigBounds(t *testing.T) {
	t.Parallel()
	for field, cfg := range map[string]executor.Config{
		"Slots":       {Slots: executor.MostSlots + 1},
		"RootSlots":   {RootSlots: 20_000},
		"MemoryLimit": {Sandbox: host.Config{MemoryLimit: 2<<30 + 1}},
	} {
		if ex, err := executor.Local(cfg); err == nil || !strings.Contains(err.Error(), "Config."+field+" is ") {
			t.Errorf("%s: %v, %v", field, ex, err)
		}
	}
}

// A call whose limit is below what its module starts with says so.
func TestMemoryBelowStart(t *testing.T) {
	t.Parallel()
	ex := open(t, executor.Config{})
	_, err := ex.Call(t.Context(), "echo", nil, executor.WithLimits(executor.Limits{Memory: 1 << 16}))
	if !errors.Is(err, executor.ErrMemory) || !strings.Contains(err.Error(), "of memory, the limit is 0.0625 MiB") {
		t.Errorf("with one page of memory: %v", err)
	}
}

func TestBadConfig(t *testing.T) {
	t.Parallel()
	for _, cfg := range []executor.Config{
		{Slots: -1},
		{RootSlots: -1},
		{QueueCalls: -5},
		{Modules: []*wasmtasks.Module{nil}},
	} {
		if ex, err := executor.Local(cfg); err == nil {
			t.Errorf("%+v is accepted", cfg)
			ex.Shutdown(t.Context()) //nolint:errcheck // the test has failed already
		}
	}
}
