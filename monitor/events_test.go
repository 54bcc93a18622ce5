package monitor

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/feed"
)

// An event is a server-sent event.
type event struct {
	name  string
	state State
	size  int
}

// listener reads events of a server.
type listener struct {
	t     *testing.T
	lines *bufio.Reader
}

// listen begins to read the events of a monitor.
func listen(t *testing.T, m *Monitor) *listener {
	t.Helper()
	server := httptest.NewServer(m.Handler())
	t.Cleanup(server.Close)
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, server.URL+"/prefix/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	answer, err := server.Client().Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	if answer.StatusCode != 200 || answer.Header.Get("Content-Type") != "text/event-stream" || !answer.Uncompressed {
		t.Fatalf("%s, %v, unpacked %t", answer.Status, answer.Header, answer.Uncompressed)
	}
	return &listener{t, bufio.NewReaderSize(answer.Body, 1<<20)}
}

// next returns the next event, or reports false at the end.
func (l *listener) next() (e event, more bool) {
	l.t.Helper()
	for {
		text, err := l.lines.ReadString('\n')
		if err != nil {
			return e, false
		}
		e.size += len(text)
		name, value, _ := strings.Cut(strings.TrimSuffix(text, "\n"), ": ")
		switch name {
		case "event":
			e.name = value
		case "data":
			if err := json.Unmarshal([]byte(value), &e.state); err != nil {
				l.t.Fatal(err)
			}
		case "":
			if e.name != "" {
				return e, true
			}
		}
	}
}

// TestEvents checks that a listener gets the whole state, and then what changes, until the monitor is closed.
func TestEvents(t *testing.T) {
	t.Parallel()
	h := newHand(t, Config{})
	h.join(2)
	h.next(nil, h.run("a", 1, 0, time.Second, nil))
	l := listen(t, h.m)
	first, _ := l.next()
	if first.name != "state" || len(first.state.Stream.Bars) != 1 || len(first.state.Workers[0].Recent) == 0 {
		t.Fatalf("the first event: %+v", first)
	}
	for i := range 5 {
		h.next(nil, h.run("a", 1, 1, 100*time.Millisecond, nil))
		e, _ := l.next()
		s := e.state
		if e.name != "change" || s.Counts.Done != uint64(i+2) || len(s.Stream.Bars) != 1 || s.Stream.First != uint64(i+1) || len(s.Recent.Use) > fewPoints || s.Seq <= first.state.Seq {
			t.Errorf("event %d: %+v", i, e)
		}
	}
	h.m.End("done")
	if e, _ := l.next(); e.state.Job.Outcome != "done" {
		t.Errorf("at the end: %+v", e.state.Job)
	}
	if err := h.m.Close(); err != nil {
		t.Fatal(err)
	}
	if e, more := l.next(); more {
		t.Errorf("after the monitor was closed: %+v", e)
	}
	late := listen(t, h.m)
	if e, _ := late.next(); e.state.Job.Outcome != "done" {
		t.Errorf("who comes late gets %+v", e.state.Job)
	}
	if _, more := late.next(); more {
		t.Error("who comes late gets more than the last state")
	}
}

// TestLastEvent checks that the last event is written before a server ends.
func TestLastEvent(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for range 100 { // select takes any case
		events := make(chan []byte, 1)
		events <- []byte("end")
		close(events)
		if data, more := next(ctx, events, nil); string(data) != "end" || !more {
			t.Fatalf("%q, %t; want the event", data, more)
		}
		if data, more := next(ctx, events, nil); more {
			t.Fatalf("%q after the last event", data)
		}
	}
}

// TestSlowListener checks that who does not read is dropped and keeps nobody waiting, and that there are not too many.
func TestSlowListener(t *testing.T) {
	t.Parallel()
	h := newHand(t, Config{})
	slow, quick := h.m.events.join(h.m), h.m.events.join(h.m)
	<-quick
	for range mostBehind + 1 {
		h.next(nil)
		<-quick
	}
	n := 0
	for range slow {
		n++
	}
	if n != mostBehind {
		t.Errorf("the slow one had %d events when it was dropped, want %d", n, mostBehind)
	}
	h.m.events.leave(slow)
	for range mostListeners - 1 {
		if h.m.events.join(h.m) == nil {
			t.Fatal("no room for another one")
		}
	}
	if w := ask(h.m, "GET", "/events", ""); w.Code != http.StatusServiceUnavailable {
		t.Errorf("one too many gets %d", w.Code)
	}
}

// TestEventSize checks that events of 64 workers with 32 slots, of which each ends a run each second, stay below 200 KB.
func TestEventSize(t *testing.T) {
	t.Parallel()
	h := newHand(t, Config{})
	for range 64 {
		h.join(32)
	}
	events := h.m.events.join(h.m)
	<-events
	var packed bytes.Buffer
	pack, _ := gzip.NewWriterLevel(&packed, gzip.BestSpeed)
	for range 3 {
		var runs []feed.Run
		for i := range feed.MostRuns + feed.MostLongest {
			runs = append(runs, h.run("some.task", 1+i%64, i/64, 700*time.Millisecond+time.Duration(i*i%1000)*time.Microsecond, nil))
		}
		for i := range h.workers {
			h.workers[i].InFlight = 40
		}
		h.next(func(u *feed.Update) { u.Omitted = 1028 }, runs...)
		data := <-events
		before := packed.Len()
		if _, err := pack.Write(data); err != nil {
			t.Fatal(err)
		}
		if err := pack.Flush(); err != nil {
			t.Fatal(err)
		}
		t.Logf("an event of %d bytes, %d packed", len(data), packed.Len()-before)
		if len(data) > 200_000 {
			t.Errorf("an event has %d bytes", len(data))
		}
	}
}
