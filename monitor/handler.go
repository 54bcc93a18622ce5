package monitor

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"
	"strings"
)

// Handler returns what answers requests:
//
//	GET  /        the page
//	GET  state    the [State] as JSON
//	GET  failures its failures only, with their examples
//	GET  events   the State, and what may have changed with each update, as server-sent events
//	GET  metrics  what Prometheus reads
//	GET  report   the page whole in one file, as it is now
//	POST kill     kills calls: see [Kill]
//	POST drain    has the program begin no call any more: see [Drain]
//
// Those that act need the token in the header [TokenHeader]. Only the last part of a path counts, so the page works behind proxies that
// put something before it, whether they take that away again or not. A browser that asks for a page of another name is sent to that name with a slash.
func (m *Monitor) Handler() http.Handler {
	return m.guard(http.HandlerFunc(m.route))
}

// route hands a request to what answers it.
func (m *Monitor) route(w http.ResponseWriter, r *http.Request) {
	name := r.URL.Path[strings.LastIndexByte(r.URL.Path, '/')+1:]
	if act := m.action(name); act != nil {
		m.serveAction(w, r, act)
		return
	}
	if r.Method != http.MethodGet && r.Method != http.MethodHead {
		w.Header().Set("Allow", "GET, HEAD")
		http.Error(w, "this can only be read", http.StatusMethodNotAllowed)
		return
	}
	switch name {
	case "":
		m.servePage(w, r)
	case "page.js", "page.css":
		serveAsset(w, r, name)
	case "state":
		serveJSON(w, r, m.Look(r.Context()))
	case "failures":
		serveJSON(w, r, m.State().Failures)
	case "events":
		m.serveEvents(w, r)
	case "metrics":
		m.metrics.ServeHTTP(w, r)
	case "report":
		m.serveReport(w, r)
	default:
		if strings.Contains(r.Header.Get("Accept"), "text/html") {
			redirect(w, name)
			return
		}
		http.NotFound(w, r)
	}
}

// redirect leads a browser to the page that was asked for without the last slash, where the page's files would not be found. It says where that is
// from where the browser is, as a proxy may have other names.
func redirect(w http.ResponseWriter, name string) {
	w.Header().Set("Location", "./"+url.PathEscape(name)+"/")
	w.WriteHeader(http.StatusFound)
}

// servePacked writes an answer, packed where the reader takes that.
func servePacked(w http.ResponseWriter, r *http.Request, contentType string, data []byte) {
	w.Header().Set("Content-Type", contentType)
	if r.Method == http.MethodHead {
		return
	}
	var to io.Writer = w
	if packs(w, r) {
		pack := gzip.NewWriter(w)
		defer pack.Close()
		to = pack
	}
	_, _ = to.Write(data) // who reads has gone
}

func serveJSON(w http.ResponseWriter, r *http.Request, v any) {
	data, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	servePacked(w, r, "application/json", data)
}

// A Kill says which calls are to be killed: one by its number, those of a task, or those with a tag. Exactly one of them is given.
type Kill struct {
	Call   uint64 `json:"call,omitempty"`
	Task   string `json:"task,omitempty"`
	Tag    string `json:"tag,omitempty"`
	Reason string `json:"reason,omitempty"`
}

// A Killed says how many calls were killed.
type Killed struct {
	Killed int `json:"killed"`
}

// A Drain asks the program to begin no call any more.
type Drain struct {
	Reason string `json:"reason,omitempty"`
}

// errRequest is matched by errors that are the fault of who asks.
var errRequest = errors.New("bad request")

// action returns what acts under a name, nil where nothing does. It takes a request as JSON, and returns what is the answer.
func (m *Monitor) action(name string) func(ctx context.Context, request []byte) (any, error) {
	switch name {
	case "kill":
		return m.kill
	case "drain":
		return m.drain
	}
	return nil
}

// mostRequest is how long a request may be that acts.
const mostRequest = 64 << 10

// serveAction does what a request asks for.
func (m *Monitor) serveAction(w http.ResponseWriter, r *http.Request, act func(context.Context, []byte) (any, error)) {
	if r.Method != http.MethodPost {
		w.Header().Set("Allow", "POST")
		http.Error(w, "this acts: it takes a POST", http.StatusMethodNotAllowed)
		return
	}
	if !m.authorized(r) {
		http.Error(w, "the token is missing or wrong: open the page by the link that the job has printed", http.StatusUnauthorized)
		return
	}
	request, err := io.ReadAll(http.MaxBytesReader(w, r.Body, mostRequest))
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	answer, err := act(r.Context(), request)
	switch {
	case errors.Is(err, errRequest):
		http.Error(w, err.Error(), http.StatusBadRequest)
	case err != nil:
		http.Error(w, err.Error(), http.StatusInternalServerError)
	default:
		serveJSON(w, r, answer)
	}
}
