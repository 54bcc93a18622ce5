package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"time"

	"github.com/wasmpool/wasmpool/internal/jobsocket"
	"github.com/wasmpool/wasmpool/monitor"
)

// A jobServer answers wasmpool status, kill and drain through the job's socket. Only the user who runs the job, and the
// system's administrator, get that far, so that nobody needs a token. It serves what the page does, and besides:
//
//	GET  brief  the job's last [progressNote], without watching it
//	POST end    no call is begun any more, and those that run are killed
//
// The pool is watched from the first request on that needs it.
type jobServer struct {
	view   *view
	server *http.Server
	ended  chan struct{} // closed when the socket is gone
}

// openSocket begins to listen. A job goes on without it.
func (v *view) openSocket() *jobServer {
	host, err := os.Hostname()
	if err != nil {
		return nil
	}
	folder, err := os.Getwd()
	if err != nil {
		folder = ""
	}
	socket, err := jobsocket.Listen(jobsocket.Note{PID: os.Getpid(), Host: host, Started: v.started, Folder: folder, Command: append([]string{"wasmpool"}, v.app.args...)})
	if err != nil {
		v.log.Debug("wasmpool status will not find this job", "error", err)
		return nil
	}
	s := &jobServer{view: v, ended: make(chan struct{})}
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: talkTimeout, WriteTimeout: talkTimeout, IdleTimeout: time.Minute}
	go func() {
		defer close(s.ended)
		s.server.Serve(socket) //nolint:errcheck // it ends when the server is closed
	}()
	return s
}

// talkTimeout is for how long a job waits for those who ask it, and they for its answer.
const talkTimeout = 10 * time.Second

// close lets nobody ask any more.
func (s *jobServer) close() {
	if s == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	s.server.Shutdown(ctx) //nolint:errcheck // who asks now is told so, or finds nobody
	s.server.Close()       //nolint:errcheck // likewise
	<-s.ended
}

// ServeHTTP implements [http.Handler].
func (s *jobServer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.Method == http.MethodGet && r.URL.Path == "/brief" {
		json.NewEncoder(w).Encode(s.view.standing.line()) //nolint:errcheck // who asked has gone
		return
	}
	if r.Method == http.MethodPost && r.URL.Path == "/end" {
		s.end(w, r)
		return
	}
	m, err := s.view.watch()
	if err != nil {
		http.Error(w, err.Error(), http.StatusGone)
		return
	}
	r.Header.Set(monitor.TokenHeader, m.Token())
	m.Handler().ServeHTTP(w, r)
}

// end ends the job.
func (s *jobServer) end(w http.ResponseWriter, r *http.Request) {
	var drain monitor.Drain
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, 64<<10)).Decode(&drain); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	n, err := s.view.end(r.Context(), drain.Reason)
	if err != nil {
		http.Error(w, fmt.Sprintf("the calls that run will be killed: %v", err), http.StatusServiceUnavailable)
		return
	}
	json.NewEncoder(w).Encode(monitor.Killed{Killed: n}) //nolint:errcheck // who asked has gone
}
