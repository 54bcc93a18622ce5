package executor_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/host"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

var grantsByName = map[string]host.Grants{
	"trusted":        {Env: map[string]string{"GRANTED": "much"}},
	"known":          {Env: map[string]string{"GRANTED": "a little"}},
	host.EveryModule: {},
}

// callByName checks that the same bytes, under names with other grants, see what is
// granted to the name that is called.
func callByName(ctx context.Context, ex *executor.Executor) error {
	for _, name := range []string{"trusted", "plain", "known"} {
		if err := ex.Load(tasks.WithName(name)); err != nil {
			return err
		}
	}
	for range 2 { // the second time, the instances are warm
		for name, want := range map[string]string{"trusted": "much", "plain": "", "known": "a little"} {
			got, err := ex.Call(ctx, name+".granted", nil)
			if err != nil || string(got) != want {
				return fmt.Errorf("%s.granted = %q, %s, want %q", name, got, fmt.Sprint(err), want)
			}
		}
	}
	_, err := ex.Call(ctx, "granted", nil)
	if ambiguous := (*wasmtasks.AmbiguousTaskError)(nil); !errors.As(err, &ambiguous) {
		return fmt.Errorf("the short name gives %s, want that it is ambiguous", fmt.Sprint(err))
	}
	return nil
}

// TestGrantsByName has a worker that knows the module under one of three names.
func TestGrantsByName(t *testing.T) {
	t.Parallel()
	for _, preloaded := range [][]*wasmtasks.Module{nil, {tasks.WithName("trusted")}, {tasks.WithName("plain")}} {
		ex, err := executor.Local(executor.Config{Modules: preloaded, RootSlots: 1, Sandbox: host.Config{Grants: grantsByName}})
		if err != nil {
			t.Fatal(err)
		}
		if err := callByName(t.Context(), ex); err != nil {
			t.Errorf("preloaded %v: %v", preloaded, err)
		}
		if err := ex.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
	}
}
