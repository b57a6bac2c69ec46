package forwarded_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/forwarded"
)

func TestHosts(t *testing.T) {
	hosts, err := forwarded.ParseHosts(" Example.com ,www.example.com.,")
	if err != nil {
		t.Fatal(err)
	}
	for host, want := range map[string]bool{
		"example.com": true, "EXAMPLE.com:8443": true, "www.example.com": true, "example.com.": true,
		"localhost": true, "localhost:8080": true, "app.localhost:1": true, "127.0.0.1:8080": true, "[::1]:8080": true, "[::1]": true, "203.0.113.9": true,
		"evil.example": false, "example.com.evil.example": false, "notexample.com": false, "a.example.com": false, "": false,
		"localhost.evil.example": false, "127.0.0.1.evil.example": false, "evil.example:127": false, "127.0.0.1:80:80": false,
	} {
		r := httptest.NewRequest(http.MethodGet, "/", nil)
		r.Host = host
		w := httptest.NewRecorder()
		hosts.Handler(http.NotFoundHandler(), "add it").ServeHTTP(w, r)
		if got := w.Code == http.StatusNotFound; got != want || !got && (w.Code != http.StatusMisdirectedRequest || !strings.Contains(w.Body.String(), "add it")) {
			t.Errorf("%q: got %d %s, want that it is served: %v", host, w.Code, w.Body, want)
		}
	}
	for _, bad := range []string{"https://example.com", "example.com:80", "*.example.com", "a b"} {
		if _, err := forwarded.ParseHosts(bad); err == nil {
			t.Errorf("%q is taken", bad)
		}
	}
}
