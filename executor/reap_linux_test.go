package executor

import (
	"log/slog"
	"os"
	"os/exec"
	"testing"

	"github.com/wasmpool/wasmpool/internal/transport"
	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// TestReapAtDismiss checks that a worker of this node which is lost while a pool that cannot begin
// dismisses its workers does not keep the launcher from ending: its process is ended.
func TestReapAtDismiss(t *testing.T) {
	t.Setenv("PMIX_NAMESPACE", "a job of this test")
	t.Setenv("OMPI_COMM_WORLD_RANK", "1")
	process := exec.CommandContext(t.Context(), "sleep", "20")
	if err := process.Start(); err != nil {
		t.Fatal(err)
	}
	t.Setenv("OMPI_COMM_WORLD_RANK", "0")
	unittest.Until(t, "the process shows its environment", func() bool { return sameJob(process.Process.Pid) })
	node, err := os.Hostname()
	if err != nil {
		t.Fatal(err)
	}
	hello, err := wire.Control(wire.TypeHello, wire.Hello{Host: node, PID: process.Process.Pid, Slots: 1})
	if err != nil {
		t.Fatal(err)
	}
	fabric := mem.New(2)
	send(t, fabric.Endpoint(1), hello)
	if err := dismiss(&losing{Endpoint: fabric.Endpoint(0), fabric: fabric}, Config{Logger: slog.New(slog.DiscardHandler)}); err != nil {
		t.Error(err)
	}
	if err := process.Wait(); err == nil || t.Context().Err() != nil {
		t.Errorf("the process of the lost worker ended with %v, want it killed", err)
	}
}

// losing is a root's endpoint whose worker is lost after its hello.
type losing struct {
	transport.Endpoint
	fabric *mem.Fabric
	polls  int
}

func (e *losing) Pending() bool { return e.polls < 2 }

func (e *losing) Poll(h transport.Handler) (int, error) {
	if e.polls++; e.polls == 2 {
		e.fabric.Kill(1)
	}
	return e.Endpoint.Poll(h)
}
