package monitor

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"os"
	"time"

	"github.com/wasmpool/wasmpool/internal/jobsocket"
)

// SocketConfig says what a job's socket gives out.
type SocketConfig struct {
	// Monitor is what watches the job.
	Monitor *Monitor

	// Watch returns it where Monitor is nil, and may begin the watch: each request calls it that Brief and End do not
	// answer. Who asks is told its error.
	Watch func() (*Monitor, error)

	// Brief says how far the job is. Defaults to the Monitor's [Monitor.Brief].
	Brief func() Brief

	// End ends the job for the reason that somebody gave, and returns how many calls it has killed. Defaults to the Monitor's [Monitor.KillAll].
	End func(ctx context.Context, reason string) (int, error)

	// Command is the command line. Defaults to os.Args.
	Command []string
}

// A Brief says in a line how far a job is.
type Brief struct {
	Seconds    float64  `json:"seconds"`              // so far
	Done       int64    `json:"done"`                 // inputs, or calls
	Failed     int64    `json:"failed"`               // of those
	Kept       int64    `json:"kept"`                 // likewise, by an earlier job
	Total      *int64   `json:"total"`                // nil where it is not known
	Rate       float64  `json:"rate"`                 // a second, of late
	Left       *float64 `json:"left"`                 // seconds, nil where that is not known
	Found      uint64   `json:"found,omitempty"`      // of those, calls that the memo had
	Duplicated uint64   `json:"duplicated,omitempty"` // calls that took long and were started a second time
	Checked    uint64   `json:"checked,omitempty"`    // calls that ran twice so that their results could be compared
	Differed   uint64   `json:"differed,omitempty"`   // calls that gave another result when they ran again, or than the memo had
	Compiling  string   `json:"compiling,omitempty"`
	Fetching   string   `json:"fetching,omitempty"`
	Ended      bool     `json:"ended,omitempty"`
}

// A Socket lets the user who runs a job find and end it on its host, by wasmpool status, kill and drain. Nobody else but the system's administrator
// gets that far, so it takes no token. It answers what [Monitor.Handler] does, and besides:
//
//	GET  brief  the [Brief]
//	POST end    ends the job, for the reason of a [Drain], and answers with [Killed]
type Socket struct {
	cfg    SocketConfig
	server *http.Server
	ended  chan struct{} // closed when the socket is gone
}

// TalkTimeout is for how long a job waits for those who ask it by its socket.
const TalkTimeout = 10 * time.Second

// OpenSocket makes the job's socket, in a folder of the user's own. An error means that nobody finds the job so, as on a system without such sockets; it
// goes on all the same. Close removes the socket.
func OpenSocket(cfg SocketConfig) (*Socket, error) {
	if cfg.Command == nil {
		cfg.Command = os.Args
	}
	if m := cfg.Monitor; m != nil {
		cfg.Watch = func() (*Monitor, error) { return m, nil }
	}
	host, err := os.Hostname()
	if err != nil {
		return nil, err
	}
	folder, err := os.Getwd()
	if err != nil {
		folder = "" // it was removed
	}
	socket, err := jobsocket.Listen(jobsocket.Note{PID: os.Getpid(), Host: host, Started: time.Now(), Folder: folder, Command: cfg.Command})
	if err != nil {
		return nil, err
	}
	s := &Socket{cfg: cfg, ended: make(chan struct{})}
	s.server = &http.Server{Handler: http.HandlerFunc(s.route), ReadHeaderTimeout: TalkTimeout, WriteTimeout: TalkTimeout, IdleTimeout: idleTimeout}
	go func() {
		defer close(s.ended)
		_ = s.server.Serve(socket) // until the server is closed
	}()
	return s, nil
}

// Close removes the socket. Answers that are under way have a second. On nil it does nothing.
func (s *Socket) Close() error {
	if s == nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), byeTimeout)
	defer cancel()
	_ = s.server.Shutdown(ctx) // who asks now is told so, or finds nobody
	_ = s.server.Close()       // likewise
	<-s.ended
	return nil
}

// route answers a request.
func (s *Socket) route(w http.ResponseWriter, r *http.Request) {
	switch {
	case r.Method == http.MethodGet && r.URL.Path == "/brief" && s.cfg.Brief != nil:
		serveJSON(w, r, s.cfg.Brief())
		return
	case r.Method == http.MethodPost && r.URL.Path == "/end" && s.cfg.End != nil:
		s.end(w, r, s.cfg.End)
		return
	}
	m, err := s.cfg.Watch()
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusGone)
	case r.Method == http.MethodGet && r.URL.Path == "/brief":
		serveJSON(w, r, m.Brief())
	case r.Method == http.MethodPost && r.URL.Path == "/end":
		s.end(w, r, m.KillAll)
	default:
		r.Header.Set(TokenHeader, m.token)
		m.Handler().ServeHTTP(w, r)
	}
}

// end ends the job.
func (s *Socket) end(w http.ResponseWriter, r *http.Request, end func(context.Context, string) (int, error)) {
	var d Drain
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, mostRequest)).Decode(&d); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	n, err := end(r.Context(), d.Reason)
	switch {
	case errors.Is(err, errRequest):
		http.Error(w, err.Error(), http.StatusBadRequest)
	case err != nil:
		http.Error(w, "the calls that run will be killed: "+err.Error(), http.StatusServiceUnavailable)
	default:
		serveJSON(w, r, Killed{Killed: n})
	}
}

// Brief says in a line how far the job is.
func (m *Monitor) Brief() Brief {
	m.mu.Lock()
	defer m.mu.Unlock()
	c, until := m.model.counts(), time.Now()
	if m.model.job.Ended != nil {
		until = *m.model.job.Ended
	}
	b := Brief{
		Seconds: rounded(until.Sub(m.model.job.Started).Seconds()), Done: int64(c.Kept + c.Done + c.Failed), Failed: int64(c.Failed), Kept: int64(c.Kept),
		Found: c.Found, Duplicated: c.Duplicated, Checked: c.Checked, Differed: c.Differed,
		Rate: c.Rate, Ended: m.model.job.Ended != nil,
	}
	if c.Total >= 0 {
		b.Total = &c.Total
	}
	if c.ETA >= 0 {
		b.Left = &c.ETA
	}
	return b
}
