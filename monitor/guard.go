package monitor

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"net"
	"net/http"
	"net/netip"
	"strings"
)

// TokenHeader is the header in which requests that act have the token. A page of another site cannot set it.
const TokenHeader = "Wasmpool-Token"

// policy is what the page may do: use its own files and talk to where it came from.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

// newToken returns a random token.
func newToken() string { return rand.Text() }

// guard lets requests through that come from this page, or from no page at all. Names of other hosts are
// refused, as a site may have its name lead here; so are requests that pages of other sites make.
func (m *Monitor) guard(next http.Handler) http.Handler {
	cross := http.NewCrossOriginProtection() // of requests that act
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		if !m.isHere(r.Host) {
			http.Error(w, "this page is not known under that name: ask for it by IP address or as localhost, or list the name with --http-host or in monitor.Config.Hosts", http.StatusMisdirectedRequest)
			return
		}
		if site := r.Header.Get("Sec-Fetch-Site"); (site == "cross-site" || site == "same-site") && r.Header.Get("Sec-Fetch-Mode") != "navigate" {
			http.Error(w, "a page of another site has asked for this", http.StatusForbidden)
			return
		}
		if err := cross.Check(r); err != nil {
			http.Error(w, err.Error(), http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// isHere reports whether the Host of a request names this host.
func (m *Monitor) isHere(host string) bool {
	if name, _, err := net.SplitHostPort(host); err == nil {
		host = name
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if _, err := netip.ParseAddr(host); err == nil {
		return true
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, name := range m.hosts {
		if strings.EqualFold(name, host) {
			return true
		}
	}
	return false
}

// authorized reports whether a request has the token. It takes as long for a wrong one that is nearly right.
func (m *Monitor) authorized(r *http.Request) bool {
	got, want := sha256.Sum256([]byte(r.Header.Get(TokenHeader))), sha256.Sum256([]byte(m.token))
	return subtle.ConstantTimeCompare(got[:], want[:]) == 1
}
