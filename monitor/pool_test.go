package monitor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"iter"
	"net/http"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/executor"
	"github.com/wasmpool/wasmpool/internal/unittest"
	"github.com/wasmpool/wasmpool/wasmtasks"
)

// pool returns a local executor, which is shut down at the test's end.
func pool(t *testing.T, slots int) *executor.Executor {
	t.Helper()
	ex, err := executor.Local(executor.Config{RootSlots: slots, Modules: []*wasmtasks.Module{tasksModule}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { shutdown(t, ex) })
	return ex
}

func shutdown(t *testing.T, ex *executor.Executor) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := ex.Shutdown(ctx); err != nil && !errors.Is(err, executor.ErrClosed) {
		t.Errorf("Shutdown: %v", err)
	}
}

// numbers yields the numbers below n, as the tasks take them.
func numbers(n int) iter.Seq[[]byte] {
	return func(yield func([]byte) bool) {
		for i := range n {
			if !yield([]byte{byte(i), byte(i >> 8), 0, 0, 0, 0, 0, 0}) {
				return
			}
		}
	}
}

// TestPool checks that a monitor counts as the pool does, to the last call, and that the last state stays.
func TestPool(t *testing.T) {
	t.Parallel()
	ex := pool(t, 2)
	m, err := New(t.Context(), ex, Config{Title: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	for _, err := range ex.Map(t.Context(), "odd", numbers(3000)) {
		_ = err // 1,500 are odd
	}
	shutdown(t, ex)
	unittest.Until(t, "the monitor sees the end", func() bool { return m.State().Job.Ended != nil })
	s := m.State()
	st, err := ex.Stats(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	var grouped uint64
	for _, f := range s.Failures {
		grouped += f.Count
	}
	task := s.Tasks[0]
	if s.Counts.Done != st.Done || s.Counts.Failed != st.Failed || st.Done != 1500 || task.Done != 1500 || task.Failed != 1500 || task.Ran.Count != 3000 {
		t.Errorf("the state: %+v, %+v; Stats: %d done, %d failed; want 1500 each", s.Counts, task, st.Done, st.Failed)
	}
	if grouped == 0 || s.Failures[0].Examples[0].Message == "" || s.Workers[0].Runs != 3000 || s.Why != "" {
		t.Errorf("%d failures in groups, %+v", grouped, s.Workers)
	}
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	if again := m.State(); again.Counts != s.Counts {
		t.Errorf("after Close: %+v", again.Counts)
	}
	if _, err := New(t.Context(), ex, Config{}); !errors.Is(err, executor.ErrClosed) {
		t.Errorf("a pool that has ended is watched: %v", err)
	}
}

// TestCloseIsExact checks that nothing is missing of what has happened before Close.
func TestCloseIsExact(t *testing.T) {
	t.Parallel()
	ex := pool(t, 1)
	m, err := New(t.Context(), ex, Config{})
	if err != nil {
		t.Fatal(err)
	}
	for _, err := range ex.Map(t.Context(), "odd", numbers(100)) {
		_ = err
	}
	m.End("done")
	if err := m.Close(); err != nil {
		t.Error(err)
	}
	s := m.State()
	if s.Counts.Done != 50 || s.Counts.Failed != 50 || s.Tasks[0].Done != 50 || s.Failures[0].Count+s.Left == 0 || s.Job.Outcome != "done" {
		t.Errorf("after Close: %+v, %+v", s.Counts, s.Job)
	}
}

// TestServe looks at a pool through a server, and kills a call there.
func TestServe(t *testing.T) {
	t.Parallel()
	ex := pool(t, 1)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	m, err := New(ctx, ex, Config{Name: func(n uint64) string { return fmt.Sprint("line ", n) }})
	if err != nil {
		t.Fatal(err)
	}
	defer m.Close()
	server, err := Serve(ctx, "", m)
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	link, token, found := strings.Cut(server.URL(), "#token=")
	if !found || token != m.Token() || !strings.HasPrefix(link, "http://127.0.0.1:") {
		t.Fatalf("the link is %s", server.URL())
	}
	f := ex.Submit(t.Context(), "forever", nil, executor.Tags("blue"))
	var s State
	unittest.Until(t, "the call runs, and its guest has memory", func() bool {
		get(t, link+"state", &s)
		return len(s.Running) == 1 && s.Workers[0].Guests > 0
	})
	if c := s.Running[0]; c.Number != 1 || c.Task != "forever" || c.Tags[0] != "blue" || c.Name != "line 1" || c.Slot != 0 {
		t.Errorf("the running call: %+v", c)
	}
	if runtime.GOOS == "linux" && s.Workers[0].Memory == 0 {
		t.Error("the worker has no memory")
	}
	r, err := http.NewRequestWithContext(t.Context(), http.MethodPost, link+"kill", strings.NewReader(`{"tag":"blue","reason":"enough"}`))
	if err != nil {
		t.Fatal(err)
	}
	r.Header.Set(TokenHeader, token)
	var killed Killed
	do(t, r, &killed)
	if err := f.Err(t.Context()); killed.Killed != 1 || !errors.Is(err, executor.ErrKilled) || !strings.Contains(err.Error(), "enough") {
		t.Errorf("%d killed, and the call ended with %v", killed.Killed, err)
	}
	if n, err := m.Kill(t.Context(), Kill{Task: "nothing"}); n != 0 || !errors.Is(err, errRequest) {
		t.Errorf("calls of a task that is not there: %d killed, %v", n, err)
	}
	if n, err := m.Kill(t.Context(), Kill{Call: 1}); n != 0 || err != nil {
		t.Errorf("a call that has ended: %d killed, %v", n, err)
	}
	cancel() // which ends the server
	unittest.Until(t, "nobody watches", func() bool { return m.State().Job.Ended != nil })
}

// get reads the JSON at an address.
func get(t *testing.T, link string, into any) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, link, nil)
	if err != nil {
		t.Fatal(err)
	}
	do(t, r, into)
}

func do(t *testing.T, r *http.Request, into any) {
	t.Helper()
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		t.Fatalf("%s %s: %s", r.Method, r.URL, answer.Status)
	}
	if err := json.NewDecoder(answer.Body).Decode(into); err != nil {
		t.Fatal(err)
	}
}

// TestServeAddresses checks where a server listens, and what is no address.
func TestServeAddresses(t *testing.T) {
	t.Parallel()
	h := newHand(t, Config{Token: "x"})
	for addr, want := range map[string]string{":0": "http://127.0.0.1:", "localhost:0": "http://localhost:", "[::1]:0": "http://[::1]:"} {
		s, err := Serve(t.Context(), addr, h.m)
		if err != nil {
			if addr == "[::1]:0" {
				continue // a host without IPv6
			}
			t.Fatal(err)
		}
		if !strings.HasPrefix(s.URL(), want) || !strings.HasSuffix(s.URL(), "/#token=x") {
			t.Errorf("%s: %s", addr, s.URL())
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
	for _, addr := range []string{"8080", "nowhere.invalid:80", ":99999"} {
		if s, err := Serve(t.Context(), addr, h.m); err == nil {
			t.Errorf("%q is taken for %s", addr, s.URL())
			s.Close()
		}
	}
}
