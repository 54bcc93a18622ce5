//go:build unix

package monitor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"os"
	"testing"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/internal/jobsocket"
	"github.com/wasmpool/wasmpool/internal/unittest"
)

// TestSocket finds a program by its socket, asks how far it is, kills a call, and ends it.
func TestSocket(t *testing.T) {
	t.Setenv(jobsocket.Env, t.TempDir()+"/jobs")
	ex := pool(t, 1)
	m, err := New(t.Context(), ex, Config{Drain: func(string) { ex.Drain() }})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	s, err := OpenSocket(SocketConfig{Monitor: m, Command: []string{"telescope", "--wide"}})
	if err != nil {
		t.Fatal(err)
	}
	list, err := jobsocket.List(t.Context())
	if err != nil || len(list) != 1 || list[0].PID != os.Getpid() || len(list[0].Command) != 2 {
		t.Fatalf("%+v, %v", list, err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return list[0].Dial(ctx) }}}
	ask := func(method, path string, question, answer any) int {
		t.Helper()
		body, err := json.Marshal(question)
		if err != nil {
			t.Fatal(err)
		}
		r, err := http.NewRequestWithContext(t.Context(), method, "http://localhost/"+path, bytes.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		reply, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		defer reply.Body.Close()
		if err := json.NewDecoder(reply.Body).Decode(answer); err != nil && reply.StatusCode == http.StatusOK {
			t.Fatal(err)
		}
		return reply.StatusCode
	}
	first, second := ex.Submit(t.Context(), "forever", nil, executor.Tags("blue")), ex.Submit(t.Context(), "forever", nil)
	unittest.Until(t, "the first call runs", func() bool { return first.State() == executor.Running }) // one that has not begun does not count as failed
	var killed Killed
	if ask("POST", "kill", Kill{Tag: "blue"}, &killed); killed.Killed != 1 || !errors.Is(first.Err(t.Context()), executor.ErrKilled) {
		t.Errorf("%d calls were killed", killed.Killed)
	}
	var b Brief
	unittest.Until(t, "the failure is counted", func() bool {
		ask("GET", "brief", nil, &b)
		return b.Failed == 1
	})
	if b.Done != 1 || b.Total != nil || b.Left != nil || b.Ended || b.Seconds <= 0 {
		t.Errorf("the brief: %+v", b)
	}
	var state State
	if ask("GET", "state", nil, &state); state.Counts.Failed != 1 {
		t.Errorf("the state: %+v", state.Counts)
	}
	if code := ask("POST", "end", "no drain", &killed); code != http.StatusBadRequest {
		t.Errorf("what is no request: %d", code)
	}
	if ask("POST", "end", Drain{Reason: "clouds"}, &killed); killed.Killed != 1 || !errors.Is(second.Err(t.Context()), executor.ErrKilled) {
		t.Errorf("%d calls were killed at the end", killed.Killed)
	}
	if err := ex.Submit(t.Context(), "none", nil).Err(t.Context()); !errors.Is(err, executor.ErrDrained) {
		t.Errorf("a call after the end: %v", err)
	}
	client.CloseIdleConnections()
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if list, err := jobsocket.List(t.Context()); err != nil || len(list) > 0 {
		t.Errorf("the socket is closed, and there is %+v, %v", list, err)
	}
	var none *Socket
	if err := none.Close(); err != nil {
		t.Error(err)
	}
	if _, err := newMonitor(noPool{}, Config{}).KillAll(t.Context(), ""); !errors.Is(err, errRequest) {
		t.Errorf("a program that cannot drain: %v", err)
	}
}
