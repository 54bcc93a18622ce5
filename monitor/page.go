package monitor

import (
	"bytes"
	"crypto/sha256"
	_ "embed" // the page's files
	"encoding/base64"
	"encoding/json"
	"errors"
	"html/template"
	"io"
	"net/http"
)

// The page's files.
var (
	//go:embed assets/page.html
	pageHTML string
	//go:embed assets/page.js
	pageJS string
	//go:embed assets/page.css
	pageCSS string
)

var pageTemplate = template.Must(template.New("page").Parse(pageHTML))

// A pageData is what the template of the page takes.
type pageData struct {
	Title  string
	Report bool
	Policy string       // of a report, which has no header
	Script template.JS  // likewise, and so on
	Style  template.CSS // nothing in these two comes from a job
	State  template.JS  // JSON, which the page reads as text
}

// servePage writes the page, which then listens.
func (m *Monitor) servePage(w http.ResponseWriter, r *http.Request) {
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, pageData{Title: m.title()}); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	servePacked(w, r, "text/html; charset=utf-8", b.Bytes())
}

func (m *Monitor) title() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.model.job.Title
}

func serveAsset(w http.ResponseWriter, r *http.Request, name string) {
	if name == "page.js" {
		servePacked(w, r, "text/javascript; charset=utf-8", []byte(pageJS))
		return
	}
	servePacked(w, r, "text/css; charset=utf-8", []byte(pageCSS))
}

// serveReport writes the report, as a file to keep.
func (m *Monitor) serveReport(w http.ResponseWriter, r *http.Request) {
	var b bytes.Buffer
	if err := m.WriteReport(&b); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Disposition", `attachment; filename="report.html"`)
	servePacked(w, r, "text/html; charset=utf-8", b.Bytes())
}

// WriteReport writes the page with the present State as one file, which needs no other and no network. It can be called at
// any time, also after Close.
func (m *Monitor) WriteReport(w io.Writer) error { return WriteReport(w, m.State()) }

// WriteReport writes the page of a state as one file.
func WriteReport(w io.Writer, s *State) error {
	state, err := json.Marshal(s) // in which <, > and & are escapes
	if err != nil {
		return err
	}
	d := pageData{
		Title: s.Job.Title, Report: true,
		Policy: "default-src 'none'; script-src " + hashOf(pageJS) + "; style-src " + hashOf(pageCSS) + "; img-src data:; base-uri 'none'; form-action 'none'",
		Script: template.JS(pageJS), Style: template.CSS(pageCSS), State: template.JS(state), //nolint:gosec // see pageData
	}
	var b bytes.Buffer
	if err := pageTemplate.Execute(&b, d); err != nil {
		return err
	}
	n, err := w.Write(b.Bytes())
	if err == nil && n < b.Len() {
		err = io.ErrShortWrite
	}
	return err
}

// hashOf names a script or style in a policy.
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// isUnsupported reports that a writer cannot flush, or has no deadlines.
func isUnsupported(err error) bool { return errors.Is(err, http.ErrNotSupported) }
