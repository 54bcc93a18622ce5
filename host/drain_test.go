package host

import (
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/internal/transport/mem"
	"github.com/wasmpool/wasmpool/internal/wire"
)

// A slot that waits until results have left does not wait for those that another slot
// posts meanwhile.
func TestDrainWhileOthersPost(t *testing.T) {
	t.Parallel()
	world := mem.New(2)
	root := &root{t: t, world: world}
	s := &server{ep: world.Endpoint(1), desk: newDesk()}
	post := func(id uint32) {
		s.io.Lock()
		defer s.io.Unlock()
		s.post(id, make([]byte, wire.Inline+1))
	}
	post(1)
	s.desk.put(&wire.Result{Ticket: 1})
	drained := make(chan struct{})
	go func() {
		defer close(drained)
		s.drainPosts()
	}()
	root.until(func() bool { return len(root.results) == 1 }) // which drainPosts has sent
	post(2)
	world.Endpoint(0).RecvPayload(1, 1, make([]byte, wire.Inline+1), func(error) {})
	select {
	case <-drained:
	case <-time.After(time.Minute):
		t.Error("it still waits after a minute")
		s.desk.close()
		<-drained
	}
}
