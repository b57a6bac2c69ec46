package gateway_test

import (
	"crypto/tls"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/troupe-dev/troupe/backend/forwarded"
	"github.com/troupe-dev/troupe/backend/gateway"
)

// Requests of other sites' pages that have no Origin: <img>, <form> of old browsers,
// navigations. What has an effect or opens a stream is refused, at every door.
func TestOrigins_withoutOrigin(t *testing.T) {
	type doors map[string]bool // whether they let it in
	for _, row := range []struct {
		method, path, body string
		doors
	}{
		{"POST", "/api/actors/room/actions/say?key=a", `{"args":["x"]}`, doors{"": true, "same-origin": true, "none": true, "same-site": false, "cross-site": false}},
		{"POST", "/api/actors/room", `{"key":["b"]}`, doors{"": true, "same-origin": true, "none": true, "same-site": false, "cross-site": false}},
		{"POST", "/api/stream", `{"socket":"x","n":1,"frame":[]}`, doors{"": true, "same-origin": true, "same-site": false, "cross-site": false}},
		{"POST", "/api/poll", `{"socket":"x","n":1,"waitMs":0}`, doors{"": true, "same-origin": true, "same-site": false, "cross-site": false}},
		{"GET", "/api/stream?v=2", ``, doors{"": true, "same-origin": true, "none": true, "same-site": false, "cross-site": false}},
		{"GET", "/api/socket?v=2", ``, doors{"": true, "same-origin": true, "none": true, "same-site": false, "cross-site": false}},
		{"GET", "/api/actors/room?key=a", ``, doors{"": true, "same-origin": true, "none": true, "same-site": true, "cross-site": true}}, // it only reads, and no page sees the answer
	} {
		run(t, func(t *testing.T, e *env) {
			for site, want := range row.doors {
				var header []string
				if site != "" {
					header = []string{"Sec-Fetch-Site", site}
				}
				a := do(t, e.h, row.method, row.path, row.body, header...)
				if in := a.Code != "bad_origin"; in != want || !in && a.status != http.StatusForbidden {
					t.Errorf("%s %s from %q: got %d %s, want to be let in: %v", row.method, row.path, site, a.status, a.Code, want)
				}
			}
		}, gatewayOptions(gateway.Options{AllowOrigins: []string{"https://app.example.org"}}))
	}
}

// The scheme of the page's own origin counts where it is known: what a page over HTTP
// contains, anybody on its way may have written.
func TestOrigins_scheme(t *testing.T) {
	proxies, err := forwarded.ParseProxies("192.0.2.1")
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name, origin string
		tls          bool
		proto        string
		want         bool
	}{
		{"HTTP", "http://example.com", false, "", true},
		{"HTTPS, and a proxy that is not known", "https://example.com", false, "", true},
		{"HTTPS", "https://example.com", true, "", true},
		{"HTTP to HTTPS", "http://example.com", true, "", false},
		{"HTTPS to a proxy", "https://example.com", false, "https", true},
		{"HTTP to HTTPS at a proxy", "http://example.com", false, "https", false},
		{"HTTP to a proxy", "http://example.com", false, "http", true},
	} {
		run(t, func(t *testing.T, e *env) {
			h := http.Handler(e.h)
			if row.proto != "" {
				h = proxies.Handler(h, nil)
			}
			h = http.HandlerFunc(func(inner http.Handler) http.HandlerFunc {
				return func(w http.ResponseWriter, r *http.Request) {
					r.TLS = nil
					if row.tls {
						r.TLS = &tls.ConnectionState{}
					}
					inner.ServeHTTP(w, r)
				}
			}(h))
			r := httptest.NewRequest("POST", "http://example.com/api/actors/room/actions/say?key=a", nil)
			r.Header.Set("Origin", row.origin)
			if row.proto != "" {
				r.Header.Set("X-Forwarded-Proto", row.proto)
			}
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			if got := w.Code != http.StatusForbidden; got != row.want {
				t.Errorf("%s: got %d %s, want to be let in: %v", row.name, w.Code, w.Body, row.want)
			}
		})
	}
}
