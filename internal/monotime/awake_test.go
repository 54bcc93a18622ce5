package monotime

import (
	"context"
	"errors"
	"testing"
	"time"
)

// A clock that is looked at does not count gaps; one that nobody looks at does.
func TestAwake(t *testing.T) {
	t.Parallel()
	const ms = int64(time.Millisecond)
	var a Awake
	a.look(1000*ms, true)
	for _, tt := range []struct{ now, want int64 }{
		{1000, 1000}, {1050, 1050}, {2000, 2000}, // a busy machine
		{2001, 1050}, {9000, 1050}, // it was stopped
	} {
		if got := a.last.Load().read(tt.now * ms); got != tt.want*ms {
			t.Errorf("at %d ms it is %d ms, want %d", tt.now, got/ms, tt.want)
		}
	}
	a.look(9000*ms, true)
	if got := a.last.Load().read(9050 * ms); got != 1100*ms {
		t.Errorf("after a gap it is %d ms, want 1100", got/ms)
	}
	a.look(9060*ms, false)
	if got := a.last.Load().read(20_000 * ms); got != 12_050*ms {
		t.Errorf("without a look it is %d ms, want 12050", got/ms)
	}
	a.look(20_000*ms, true)
	if got := a.last.Load().read(20_001 * ms); got != 12_051*ms {
		t.Errorf("after that it is %d ms, want 12051", got/ms)
	}
	var unused Awake
	if before := Now(); unused.Now() < before {
		t.Error("an unused clock goes back")
	}
}

// A timeout ends its context with its cause, as the parent does.
func TestWithTimeout(t *testing.T) {
	t.Parallel()
	late := errors.New("late")
	ctx, cancel := WithTimeout(t.Context(), time.Millisecond, late)
	<-ctx.Done()
	if context.Cause(ctx) != late { //nolint:errorlint // it is the very value
		t.Errorf("the cause is %v", context.Cause(ctx))
	}
	cancel()
	parent, end := context.WithCancel(t.Context())
	ctx, cancel = WithTimeout(parent, time.Hour, late)
	end()
	<-ctx.Done()
	if cancel(); !errors.Is(context.Cause(ctx), context.Canceled) {
		t.Errorf("the cause is %v", context.Cause(ctx))
	}
}
