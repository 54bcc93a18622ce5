package monitor

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Bounds of those who listen.
const (
	mostListeners = 32
	mostBehind    = 8                // events that wait for one; who is slower is dropped, and may come again
	writeTimeout  = 20 * time.Second // of an event
	silence       = 15 * time.Second // after which a comment is sent, to find out whether the listener is still there
)

// A broadcast sends states to those who listen: to each the whole one first, and what may have changed with each update. Its
// lock is taken before the monitor's.
type broadcast struct {
	mu        sync.Mutex
	closed    bool
	listeners map[chan []byte]bool
	sent      part // up to where listeners have bars
}

// listened reports whether anybody listens.
func (b *broadcast) listened() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return len(b.listeners) > 0
}

// join adds a listener, and gives it the whole state. It returns nil where there is no room.
func (b *broadcast) join(m *Monitor) chan []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.listeners) >= mostListeners {
		return nil
	}
	c := make(chan []byte, mostBehind)
	if len(b.listeners) == 0 {
		b.mark(m) // first: what comes meanwhile is sent again
	}
	c <- m.encoded(part{whole: true})
	if b.closed {
		close(c)
		return c
	}
	if len(b.listeners) == 0 {
		b.listeners = map[chan []byte]bool{}
	}
	b.listeners[c] = true
	return c
}

// mark notes that listeners have all bars that there are.
func (b *broadcast) mark(m *Monitor) {
	m.mu.Lock()
	defer m.mu.Unlock()
	b.sent = part{bars: m.model.stream.next(), asked: m.model.running.asked}
}

// leave takes a listener away.
func (b *broadcast) leave(c chan []byte) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.drop(c)
}

// drop lets a listener go, unless that has happened.
func (b *broadcast) drop(c chan []byte) {
	if b.listeners[c] {
		delete(b.listeners, c)
		close(c)
	}
}

// send sends what may have changed. It does not wait for anybody: those who have not taken what was sent before are
// dropped.
func (b *broadcast) send(m *Monitor) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.listeners) == 0 {
		return
	}
	from := b.sent
	b.mark(m)
	data := m.encoded(from)
	for c := range b.listeners {
		select {
		case c <- data:
		default:
			b.drop(c)
		}
	}
}

// close lets all listeners go when they have what was sent.
func (b *broadcast) close() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	for c := range b.listeners {
		b.drop(c)
	}
}

// encoded returns the state as an event.
func (m *Monitor) encoded(p part) []byte {
	m.mu.Lock()
	s := m.model.state(time.Now(), p)
	m.mu.Unlock()
	data, err := json.Marshal(s)
	if err != nil {
		return nil // a state has nothing that cannot be JSON
	}
	name := "change"
	if p.whole {
		name = "state"
	}
	return append(append([]byte("event: "+name+"\ndata: "), data...), "\n\n"...)
}

// serveEvents sends states as server-sent events until the listener or the monitor goes.
func (m *Monitor) serveEvents(w http.ResponseWriter, r *http.Request) {
	events := m.events.join(m)
	if events == nil {
		http.Error(w, "too many listen already: close another page of this job", http.StatusServiceUnavailable)
		return
	}
	defer m.events.leave(events)
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("X-Accel-Buffering", "no") // of proxies that else wait for more
	out := newFlusher(w, r)
	tick := time.NewTicker(silence)
	defer tick.Stop()
	for {
		data, more := next(r.Context(), events, tick.C)
		if !more || out.write(data) != nil {
			return
		}
		tick.Reset(silence)
	}
}

// next returns what is to be written next, or reports false when there is no more, or ctx ends. What is there goes first, so that the last
// event, which tells of the job's end, arrives also where the server ends at once.
func next(ctx context.Context, events <-chan []byte, tick <-chan time.Time) (data []byte, more bool) {
	select {
	case data, more = <-events:
		return data, more
	default:
	}
	select {
	case data, more = <-events:
		return data, more
	case <-tick:
		return []byte(": still here\n\n"), true
	case <-ctx.Done():
		return nil, false
	}
}

// A flusher writes what is read as it comes, packed where the reader takes that.
type flusher struct {
	control *http.ResponseController
	to      io.Writer
	pack    *gzip.Writer // nil without
}

func newFlusher(w http.ResponseWriter, r *http.Request) *flusher {
	f := &flusher{control: http.NewResponseController(w), to: w}
	if packs(w, r) {
		f.pack, _ = gzip.NewWriterLevel(w, gzip.BestSpeed) // which fails for no level that there is
		f.to = f.pack
	}
	return f
}

// packs reports whether the answer is to be packed, and says so in its header.
func packs(w http.ResponseWriter, r *http.Request) bool {
	w.Header().Add("Vary", "Accept-Encoding")
	if !strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
		return false
	}
	w.Header().Set("Content-Encoding", "gzip")
	return true
}

// write writes and flushes, or fails when that takes too long.
func (f *flusher) write(data []byte) error {
	if err := f.control.SetWriteDeadline(time.Now().Add(writeTimeout)); err != nil && !isUnsupported(err) {
		return err
	}
	if _, err := f.to.Write(data); err != nil {
		return err
	}
	if f.pack != nil {
		if err := f.pack.Flush(); err != nil {
			return err
		}
	}
	if err := f.control.Flush(); err != nil && !isUnsupported(err) {
		return err
	}
	return nil
}
