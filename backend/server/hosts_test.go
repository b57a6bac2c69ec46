package server_test

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/forwarded"
	"github.com/troupe-dev/troupe/backend/server"
)

// statusOf makes a request with headers and returns its status.
func statusOf(t *testing.T, method, url, host string, header ...string) int {
	t.Helper()
	r, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	r.Host = host
	for i := 0; i < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	answer, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	return answer.StatusCode
}

// A server answers for its own hosts only (DNS rebinding): one on loopback for localhost and
// IP addresses, others for those in Options.Hosts.
func TestHosts(t *testing.T) {
	local := inMemory()
	named := inMemory()
	named.Hosts = forwarded.Hosts{"Example.com"}
	proxied := inMemory()
	proxied.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}
	both := inMemory()
	both.Hosts, both.TrustedProxies = named.Hosts, proxied.TrustedProxies
	for name, row := range map[string]struct {
		o    server.Options
		want map[string]int // by host and, behind a space, the forwarded one
	}{
		"on loopback": {local, map[string]int{
			"localhost": 200, "localhost:8080": 200, "127.0.0.1": 200, "evil.example": 421, "127.0.0.1.evil.example": 421,
			"localhost evil.example": 200, "evil.example localhost": 421, // of a stranger
		}},
		"with Hosts":     {named, map[string]int{"example.com": 200, "EXAMPLE.COM:443": 200, "localhost": 200, "evil.example": 421}},
		"behind a proxy": {proxied, map[string]int{"evil.example": 200}},
		"with both":      {both, map[string]int{"inner example.com": 200, "inner evil.example": 421, "example.com evil.example": 421, "example.com": 200}},
	} {
		s := start(t, row.o)
		for host, want := range row.want {
			host, forwardedHost, _ := strings.Cut(host, " ")
			var header []string
			if forwardedHost != "" {
				header = []string{"X-Forwarded-Host", forwardedHost}
			}
			for _, path := range []string{"/healthz", "/readyz"} {
				if got := statusOf(t, "GET", s.url+path, host, header...); got != want {
					t.Errorf("%s: %s for %q %q: got %d, want %d", name, path, host, forwardedHost, got, want)
				}
			}
			for _, path := range []string{"/api/socket?v=1", "/api/stream?v=2", "/api/actors/room?key=a"} {
				if got := statusOf(t, "GET", s.url+path, host, header...); (got == 421) != (want == 421) {
					t.Errorf("%s: %s for %q %q: got %d, want %d", name, path, host, forwardedHost, got, want)
				}
			}
		}
	}
}

// Handler checks the host if it is mounted in a server of your own, too.
func TestHosts_Handler(t *testing.T) {
	o := inMemory()
	o.Hosts = forwarded.Hosts{"example.com"}
	s := newServer(t, o)
	own := http.Server{Handler: s.Handler()}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = own.Serve(l) }()
	t.Cleanup(func() { _ = own.Close() })
	url := "http://" + l.Addr().String() + "/api/actors/room?key=a"
	if got := statusOf(t, "GET", url, "evil.example"); got != http.StatusMisdirectedRequest {
		t.Errorf("got %d, want 421", got)
	}
	if got := statusOf(t, "GET", url, "example.com"); got != http.StatusNotFound {
		t.Errorf("got %d, want that the room does not exist", got)
	}
}

// elsewhere is a listener that says it is not on loopback.
type elsewhere struct{ net.Listener }

func (elsewhere) Addr() net.Addr { return &net.TCPAddr{IP: net.IPv4(203, 0, 113, 1), Port: 80} }

// A server that others reach, and whose hosts are not set, says so once.
func TestHosts_warning(t *testing.T) {
	for _, hosts := range []forwarded.Hosts{nil, {"example.com"}} {
		o := inMemory()
		o.Hosts = hosts
		log := logTo(&o)
		s := newServer(t, o)
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		go func() { ended <- s.Serve(ctx, elsewhere{l}, nil) }()
		url := "http://" + l.Addr().String() + "/healthz"
		want := http.StatusOK
		if hosts != nil {
			want = http.StatusMisdirectedRequest
		}
		for range 2 {
			if got := statusOf(t, "GET", url, "evil.example"); got != want {
				t.Errorf("hosts %q: got %d, want %d", hosts, got, want)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if n := strings.Count(log.String(), "no -hosts"); (n == 1) != (hosts == nil) || n > 1 {
			t.Errorf("hosts %q: %d warnings", hosts, n)
		}
	}
}

// The debug address has no secrets, and is not for pages: neither those of other origins nor
// those that are led to it under another name.
func TestDebugAddr_otherPages(t *testing.T) {
	s := start(t, debugged(inMemory()))
	url := s.debugURL(t)
	for _, path := range []string{"/metrics", "/healthz", "/readyz", "/debug/pprof/", "/debug/pprof/heap", "/debug/pprof/profile?seconds=x", "/debug/pprof/trace?seconds=x", "/debug/pprof/symbol"} {
		for _, method := range []string{"GET", "POST"} {
			if got := statusOf(t, method, url+path, "evil.example"); got != http.StatusMisdirectedRequest {
				t.Errorf("%s %s for another host: got %d, want 421", method, path, got)
			}
			for _, header := range [][2]string{{"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "http://evil.example"}, {"Origin", "null"}} {
				if got := statusOf(t, method, url+path, "localhost", header[0], header[1]); got != http.StatusForbidden {
					t.Errorf("%s %s with %s: got %d, want 403", method, path, header, got)
				}
			}
		}
	}
	for _, header := range [][]string{nil, {"Sec-Fetch-Site", "none"}, {"Sec-Fetch-Site", "same-origin"}, {"Origin", "http://localhost:6060"}} {
		if got := statusOf(t, "GET", url+"/debug/pprof/heap", "localhost:6060", header...); got != http.StatusOK {
			t.Errorf("its own page %q: got %d, want 200", header, got)
		}
	}
	for _, path := range []string{"/debug/vars", "/debug/pprof/cmdline"} {
		if status, body := get(t, url+path); status != http.StatusNotFound || strings.Contains(body, "test.") {
			t.Errorf("%s: got %d %.100s, want 404", path, status, body)
		}
	}
}
