package executor

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/guesttest"
	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// logLines are the lines of a log, as they come.
type logLines chan string

func (l logLines) Write(line []byte) (int, error) {
	select {
	case l <- string(line):
	default:
	}
	return len(line), nil
}

// TestMapWithoutWorkersIsReported checks that a map whose short calls wait for a worker that does not come is reported, as
// other calls are.
func TestMapWithoutWorkersIsReported(t *testing.T) {
	t.Parallel()
	tasks := guesttest.Build(t, "testdata/tasks")
	root := mem.New(2).Endpoint(0)
	log := make(logLines, 10)
	cfg := Config{Modules: []*wasmtasks.Module{tasks}, Logger: slog.New(slog.NewTextHandler(log, nil)), ReportAfter: 50 * time.Millisecond}
	ex, err := open(cfg.withDefaults(), root, root.Bell())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer ex.Shutdown(context.Background(), NoWait()) //nolint:errcheck // the worker never comes
	defer cancel()
	results := ex.Map(ctx, "echo", slices.Values([][]byte{[]byte("a"), []byte("b")}))
	for timeout := time.After(10 * time.Second); ; {
		select {
		case line := <-log:
			if strings.Contains(line, "no call has ended for a while") {
				if !strings.Contains(line, "2 calls waiting") {
					t.Errorf("two calls wait, and the report is %q", line)
				}
				cancel()
				for range results { //nolint:errcheck // it ends
				}
				return
			}
		case <-timeout:
			t.Fatal("there is no report")
		}
	}
}
