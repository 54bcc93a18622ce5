package monitor

import (
	"bytes"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/wasmpool/wasmpool/host"
)

// hostile is text that a page must not take for anything else.
const hostile = "</script><script>alert(1)</script><img src=x onerror=alert(1)>\x1b]0;x\x07\x00\xff{{.}}"

// ask returns the answer to a request, with these headers by name and value.
func ask(m *Monitor, method, target, body string, headers ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	r.Host = "localhost:8080"
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			r.Host = headers[i+1]
			continue
		}
		r.Header.Set(headers[i], headers[i+1])
	}
	w := httptest.NewRecorder()
	m.Handler().ServeHTTP(w, r)
	return w
}

// TestGuard checks which requests are refused, and how.
func TestGuard(t *testing.T) {
	t.Parallel()
	drained := 0
	h := newHand(t, Config{Token: "right", Hosts: []string{"proxy.example"}, Drain: func(string) { drained++ }})
	h.next(nil)
	for _, c := range []struct {
		method, target, body string
		headers              []string
		want                 int
	}{
		{"GET", "/", "", nil, 200},
		{"GET", "/some/prefix/", "", nil, 200},
		{"GET", "/some/prefix/page.js", "", nil, 200},
		{"GET", "/some/prefix/state", "", nil, 200},
		{"HEAD", "/page.css", "", nil, 200},
		{"GET", "/report", "", nil, 200},
		{"GET", "/failures", "", nil, 200},
		{"GET", "/nothing", "", nil, 404},
		{"GET", "/rnode/17:8080", "", []string{"Accept", "text/html,*/*"}, 302},
		{"GET", "/../../etc/passwd", "", nil, 404},
		{"POST", "/state", "", nil, 405},
		{"GET", "/kill", "", nil, 405},
		{"GET", "/drain", "", []string{TokenHeader, "right"}, 405},

		{"GET", "/", "", []string{"Host", "127.0.0.1:80"}, 200},
		{"GET", "/", "", []string{"Host", "[::1]:80"}, 200},
		{"GET", "/", "", []string{"Host", "LOCALHOST"}, 200},
		{"GET", "/", "", []string{"Host", "proxy.example"}, 200},
		{"GET", "/", "", []string{"Host", "evil.example"}, 421},
		{"GET", "/", "", []string{"Host", "localhost.evil.example:80"}, 421},
		{"GET", "/", "", []string{"Host", ""}, 421},
		{"GET", "/state", "", []string{"Host", "evil.example"}, 421},
		{"POST", "/drain", "", []string{TokenHeader, "right", "Host", "evil.example"}, 421},

		{"GET", "/state", "", []string{"Sec-Fetch-Site", "cross-site"}, 403},
		{"GET", "/events", "", []string{"Sec-Fetch-Site", "same-site"}, 403},
		{"GET", "/", "", []string{"Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 200}, // a link to the page
		{"GET", "/state", "", []string{"Sec-Fetch-Site", "same-origin"}, 200},
		{"POST", "/drain", "", []string{TokenHeader, "right", "Sec-Fetch-Site", "cross-site"}, 403},
		{"POST", "/drain", "", []string{TokenHeader, "right", "Sec-Fetch-Site", "cross-site", "Sec-Fetch-Mode", "navigate"}, 403},
		{"POST", "/drain", "", []string{TokenHeader, "right", "Origin", "http://evil.example"}, 403},

		{"POST", "/drain", "", nil, 401},
		{"POST", "/drain", "", []string{TokenHeader, "wrong"}, 401},
		{"POST", "/drain?token=right", "", []string{"Cookie", "token=right"}, 401},
		{"POST", "/kill", `{"call":1}`, []string{TokenHeader, ""}, 401},
		{"POST", "/kill", `{}`, []string{TokenHeader, "right"}, 400},
		{"POST", "/kill", `{"call":1,"task":"x"}`, []string{TokenHeader, "right"}, 400},
		{"POST", "/kill", `{"cal":1}`, []string{TokenHeader, "right"}, 400},
		{"POST", "/kill", `{"call":-1}`, []string{TokenHeader, "right"}, 400},
		{"POST", "/kill", `{"tag":"` + strings.Repeat("x", mostRequest) + `"}`, []string{TokenHeader, "right"}, 400},
		{"POST", "/drain", `{"reason":"a"}x`, []string{TokenHeader, "right"}, 400},
	} {
		w := ask(h.m, c.method, c.target, c.body, c.headers...)
		if w.Code != c.want {
			t.Errorf("%s %s %.40s %q: %d, want %d: %.200s", c.method, c.target, c.body, c.headers, w.Code, c.want, w.Body)
		}
		if csp := w.Header().Get("Content-Security-Policy"); !strings.HasPrefix(csp, "default-src 'none'; script-src 'self'") {
			t.Errorf("%s %s: the policy is %q", c.method, c.target, csp)
		}
	}
	if drained != 0 {
		t.Errorf("a refused request has drained the job")
	}
	if w := ask(h.m, "POST", "/p/drain", `{"reason":"enough"}`, TokenHeader, "right", "Origin", "http://localhost:8080", "Sec-Fetch-Site", "same-origin"); w.Code != 200 || drained != 1 {
		t.Errorf("the page's own request: %d, drained %d times", w.Code, drained)
	}
	if s := h.state(); s.Job.Drained != "enough" || !s.Job.Acts {
		t.Errorf("the job: %+v", s.Job)
	}
}

// TestNoDrain checks that a job that cannot be drained says so.
func TestNoDrain(t *testing.T) {
	t.Parallel()
	h := newHand(t, Config{})
	if len(h.m.Token()) < 20 {
		t.Errorf("a random token: %q", h.m.Token())
	}
	if w := ask(h.m, "POST", "/drain", "", TokenHeader, h.m.Token()); w.Code != 400 {
		t.Errorf("%d: %s", w.Code, w.Body)
	}
}

// hostileJob returns the monitor of a job all of whose texts are hostile.
func hostileJob(t *testing.T) *Monitor {
	t.Helper()
	h := newHand(t, Config{Title: hostile, Name: func(uint64) string { return hostile }})
	h.join(1)
	h.workers[0].Host = hostile
	h.workers[0].Lost, h.workers[0].Reason = true, hostile
	e := failureOf(failure(host.KindApplication, hostile))
	e.Stack, e.Stderr, e.Log = hostile, hostile, []string{hostile}
	r := h.run(hostile, 1, 0, time.Second, e)
	r.Tags = []string{hostile}
	h.next(nil, r)
	return h.m
}

// TestHostileText checks that no text of a job gets into the page but as text.
func TestHostileText(t *testing.T) {
	t.Parallel()
	m := hostileJob(t)
	for _, name := range []string{"/", "/report"} {
		page := ask(m, "GET", name, "").Body.String()
		if n := strings.Count(strings.ToLower(page), "<script"); n > 2 {
			t.Errorf("%s has %d scripts", name, n)
		}
		for _, bad := range []string{"<script>alert", "<img", "\x1b", "\x00", "\x07", "\xff"} {
			if strings.Contains(page, bad) {
				t.Errorf("%s has %q", name, bad)
			}
		}
	}
	var s State
	if err := json.Unmarshal(ask(m, "GET", "/state", "").Body.Bytes(), &s); err != nil {
		t.Fatal(err)
	}
	want := `</script><script>alert(1)</script><img src=x onerror=alert(1)>\x1b]0;x\a\x00\xff{{.}}`
	x := s.Failures[0].Examples[0]
	for what, got := range map[string]string{
		"title": s.Job.Title, "task": s.Tasks[0].Name, "message": s.Failures[0].Message, "name": x.Name, "tag": x.Tags[0],
		"stack": x.Stack, "printed": x.Printed, "log": x.Log[0], "host": s.Workers[0].Host, "reason": s.Workers[0].Reason,
	} {
		if got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
}

// TestReport checks that a report is one file whose policy lets its own script and style through, and that its state can be read.
func TestReport(t *testing.T) {
	t.Parallel()
	m := hostileJob(t)
	var b bytes.Buffer
	if err := m.WriteReport(&b); err != nil {
		t.Fatal(err)
	}
	page := b.String()
	between := func(before, after string) string {
		_, rest, found := strings.Cut(page, before)
		inner, _, ended := strings.Cut(rest, after)
		if !found || !ended {
			t.Fatalf("the report has no %s", before)
		}
		return inner
	}
	policy := strings.ReplaceAll(strings.ReplaceAll(between(`content="default-src`, `"`), "&#39;", "'"), "&#43;", "+")
	for what, text := range map[string]string{"script": between("<script>", "</script>"), "style": between("<style>", "</style>")} {
		if !strings.Contains(policy, what+"-src "+hashOf(text)) {
			t.Errorf("the policy does not let the %s through: %s", what, policy)
		}
	}
	var s State
	if err := json.Unmarshal([]byte(between(`<script type="application/json" id="state">`, "</script>")), &s); err != nil || s.Failures[0].Count != 1 {
		t.Errorf("the state of the report: %v, %+v", err, s.Failures)
	}
	if strings.Contains(page, `src="`) || strings.Contains(page, `rel="stylesheet"`) {
		t.Error("the report needs other files")
	}
}

// TestScriptMakesText checks that the page's script does nothing that takes text for anything else.
func TestScriptMakesText(t *testing.T) {
	t.Parallel()
	for _, bad := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "createContextualFragment", "http:", "https:"} {
		if strings.Contains(pageJS, bad) {
			t.Errorf("page.js has %s", bad)
		}
	}
	for _, bad := range []string{"http:", "https:", "url(", "@import"} {
		if strings.Contains(pageCSS, bad) {
			t.Errorf("page.css has %s", bad)
		}
	}
}

// TestPacked checks that what is long is packed for those who take that.
func TestPacked(t *testing.T) {
	t.Parallel()
	h := newHand(t, Config{})
	w := ask(h.m, "GET", "/page.js", "", "Accept-Encoding", "gzip, br")
	if w.Header().Get("Content-Encoding") != "gzip" || w.Body.Len() > len(pageJS)/2 || w.Header().Get("Content-Type") != "text/javascript; charset=utf-8" {
		t.Errorf("%d bytes of %d: %v", w.Body.Len(), len(pageJS), w.Header())
	}
	if w := ask(h.m, http.MethodGet, "/page.js", ""); w.Body.String() != pageJS {
		t.Error("page.js is not itself")
	}
}
