package forwarded_test

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/forwarded"
)

func TestParseProxies(t *testing.T) {
	p, err := forwarded.ParseProxies("127.0.0.1, 10.1.2.3/8,::1, ::ffff:192.0.2.1,")
	if err != nil || len(p) != 4 {
		t.Fatalf("got %v, %v", p, err)
	}
	for i, want := range []string{"127.0.0.1/32", "10.0.0.0/8", "::1/128", "192.0.2.1/32"} {
		if got := p[i].String(); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	for _, bad := range []string{"localhost", "10.0.0.0/33", "10.0.0", "1.2.3.4:80"} {
		if p, err := forwarded.ParseProxies(bad); err == nil {
			t.Errorf("%q is taken for %v", bad, p)
		}
	}
}

// TestForwarded: only trusted proxies' headers are used, and of the addresses only the
// part that a client cannot have written.
func TestForwarded(t *testing.T) {
	const proxies = "127.0.0.1,10.0.0.0/8,2001:db8:1::/48"
	tests := []struct {
		name    string
		proxies string
		peer    string
		header  http.Header
		tls     bool

		client, host string
		secure       bool
		warns        bool
	}{
		{name: "no proxy", peer: "192.0.2.7:99", client: "192.0.2.7", host: "own"},
		{name: "HTTPS", peer: "192.0.2.7:99", tls: true, client: "192.0.2.7", host: "own", secure: true},
		{name: "IPv6", peer: "[2001:db8::1]:99", client: "2001:db8::1", host: "own"},
		{name: "IPv4 as IPv6", peer: "[::ffff:192.0.2.7]:99", client: "192.0.2.7", host: "own"},
		{name: "with a zone", peer: "[fe80::1%eth0]:99", client: "fe80::1", host: "own"},
		{name: "not IP", peer: "@", client: "invalid IP", host: "own"},
		{
			name: "nobody is trusted", peer: "127.0.0.1:99", client: "127.0.0.1", host: "own",
			header: http.Header{"X-Forwarded-For": {"192.0.2.9"}, "X-Forwarded-Host": {"spoofed"}, "X-Forwarded-Proto": {"https"}},
		},
		{
			name: "the peer is not trusted", proxies: proxies, peer: "192.0.2.7:99", client: "192.0.2.7", host: "own",
			header: http.Header{"X-Forwarded-For": {"192.0.2.9"}, "X-Forwarded-Host": {"spoofed"}, "X-Forwarded-Proto": {"https"}},
		},
		{
			name: "a trusted proxy", proxies: proxies, peer: "127.0.0.1:99", client: "192.0.2.9", host: "example.com", secure: true,
			header: http.Header{"X-Forwarded-For": {"192.0.2.9"}, "X-Forwarded-Host": {"example.com"}, "X-Forwarded-Proto": {"https"}},
		},
		{
			name: "that says nothing", proxies: proxies, peer: "127.0.0.1:99", client: "127.0.0.1", host: "own",
		},
		{
			name: "what a client writes is to the left of what proxies add", proxies: proxies, peer: "[2001:db8:1::5]:99", client: "192.0.2.9", host: "own",
			header: http.Header{"X-Forwarded-For": {"127.0.0.1, 203.0.113.1, 192.0.2.9", "10.3.2.1"}},
		},
		{
			name: "nonsense to the left of it", proxies: proxies, peer: "127.0.0.1:99", client: "192.0.2.9", host: "own",
			header: http.Header{"X-Forwarded-For": {"x, 192.0.2.9"}},
		},
		{
			name: "nonsense from a proxy", proxies: proxies, peer: "127.0.0.1:99", client: "127.0.0.1", host: "own", warns: true,
			header: http.Header{"X-Forwarded-For": {"192.0.2.9, unknown"}},
		},
		{
			name: "with a port", proxies: proxies, peer: "127.0.0.1:99", client: "203.0.113.17", host: "own",
			header: http.Header{"X-Forwarded-For": {"203.0.113.17:4711"}},
		},
		{
			name: "IPv6 with a port", proxies: proxies, peer: "127.0.0.1:99", client: "2001:db8:2::1", host: "own",
			header: http.Header{"X-Forwarded-For": {"[2001:db8:2::1]:4711"}},
		},
		{
			name: "IPv6 in brackets", proxies: proxies, peer: "127.0.0.1:99", client: "2001:db8:2::1", host: "own",
			header: http.Header{"X-Forwarded-For": {"[2001:db8:2::1]"}},
		},
		{
			name: "IPv6 with a zone", proxies: proxies, peer: "127.0.0.1:99", client: "fe80::1", host: "own",
			header: http.Header{"X-Forwarded-For": {"fe80::1%eth0"}},
		},
		{
			name: "in quotes", proxies: proxies, peer: "127.0.0.1:99", client: "2001:db8:2::1", host: "own",
			header: http.Header{"X-Forwarded-For": {`"[2001:db8:2::1]:4711"`}},
		},
		{
			name: "IPv4 as IPv6, with a port", proxies: proxies, peer: "127.0.0.1:99", client: "203.0.113.17", host: "own",
			header: http.Header{"X-Forwarded-For": {"[::ffff:203.0.113.17]:4711"}},
		},
		{
			name: "trusted proxies with ports behind it", proxies: proxies, peer: "127.0.0.1:99", client: "192.0.2.9", host: "own",
			header: http.Header{"X-Forwarded-For": {"192.0.2.9:1, 10.3.2.1:2, [2001:db8:1::5]:3,"}},
		},
		{
			name: "only trusted proxies", proxies: proxies, peer: "127.0.0.1:99", client: "127.0.0.1", host: "own",
			header: http.Header{"X-Forwarded-For": {"10.3.2.1"}},
		},
		{
			name: "half an address", proxies: proxies, peer: "127.0.0.1:99", client: "127.0.0.1", host: "own", warns: true,
			header: http.Header{"X-Forwarded-For": {"203.0.113.17:"}},
		},
		{
			name: "a name", proxies: proxies, peer: "127.0.0.1:99", client: "127.0.0.1", host: "own", warns: true,
			header: http.Header{"X-Forwarded-For": {"192.0.2.9, _hidden"}},
		},
		{
			name: "the other header", proxies: proxies, peer: "127.0.0.1:99", client: "127.0.0.1", host: "own",
			header: http.Header{"Forwarded": {"for=192.0.2.9;host=spoofed;proto=https"}},
		},
		{
			name: "a proxy behind a proxy", proxies: proxies, peer: "127.0.0.1:99", client: "127.0.0.1", host: "example.com",
			header: http.Header{"X-Forwarded-Host": {"example.com, inner"}, "X-Forwarded-Proto": {"http, https"}},
		},
		{
			name: "HTTP before the proxy", proxies: proxies, peer: "127.0.0.1:99", tls: true, client: "127.0.0.1", host: "own",
			header: http.Header{"X-Forwarded-Proto": {"http"}},
		},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			p, err := forwarded.ParseProxies(test.proxies)
			if err != nil {
				t.Fatal(err)
			}
			r := httptest.NewRequest(http.MethodGet, "http://own/", nil)
			r.RemoteAddr = test.peer
			if test.tls {
				r.TLS = &tls.ConnectionState{}
			}
			for k, v := range test.header {
				r.Header[k] = v
			}
			served := 0
			var log bytes.Buffer
			h := p.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				served++
				if got := forwarded.Client(r).String(); got != test.client {
					t.Errorf("the client is %s, want %s", got, test.client)
				}
				if got := forwarded.Host(r); got != test.host {
					t.Errorf("the host is %q, want %q", got, test.host)
				}
				if got := forwarded.Secure(r); got != test.secure {
					t.Errorf("secure is %v, want %v", got, test.secure)
				}
			}), slog.New(slog.NewTextHandler(&log, nil)))
			h.ServeHTTP(httptest.NewRecorder(), r)
			h.ServeHTTP(httptest.NewRecorder(), r)
			if served != 2 {
				t.Errorf("%d of 2 requests were served", served)
			}
			if n := strings.Count(log.String(), "cannot read X-Forwarded-For"); (n == 1) != test.warns || n > 1 {
				t.Errorf("got %d warnings, want one: %t", n, test.warns)
			}
		})
	}
}

// The exemption of this machine from limits is the peer's: no header gives it.
func TestCounted(t *testing.T) {
	for _, test := range []struct{ proxies, peer, header, want string }{
		{"", "127.0.0.1:1", "", "127.0.0.1"},
		{"", "127.0.0.1:1", "203.0.113.9", "127.0.0.1"}, // an untrusted peer of this machine
		{"127.0.0.1", "127.0.0.1:1", "", "127.0.0.1"},
		{"127.0.0.1", "127.0.0.1:1", "203.0.113.9", "203.0.113.9"},
		{"127.0.0.1", "127.0.0.1:1", "127.0.0.1", "0.0.0.0"},
		{"127.0.0.1", "127.0.0.1:1", "::1", "0.0.0.0"},
		{"127.0.0.1", "127.0.0.1:1", "nonsense", "0.0.0.0"},
		{"10.0.0.0/8", "10.0.0.1:1", "127.0.0.1", "0.0.0.0"},
		{"10.0.0.0/8", "10.0.0.1:1", "[::1]:80", "0.0.0.0"},
		{"10.0.0.0/8", "10.0.0.1:1", "::ffff:127.0.0.1", "0.0.0.0"},
		{"10.0.0.0/8", "203.0.113.9:1", "127.0.0.1", "203.0.113.9"},
	} {
		p, err := forwarded.ParseProxies(test.proxies)
		if err != nil {
			t.Fatal(err)
		}
		r := httptest.NewRequest(http.MethodGet, "http://own/", nil)
		r.RemoteAddr = test.peer
		if test.header != "" {
			r.Header.Set("X-Forwarded-For", test.header)
		}
		p.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			got := forwarded.Counted(r)
			if got.String() != test.want {
				t.Errorf("%+v: got %s", test, got)
			}
			if _, limited := forwarded.Network(got); limited == strings.HasPrefix(test.want, "127.") {
				t.Errorf("%+v: limited is %v", test, limited)
			}
		}), slog.New(slog.DiscardHandler)).ServeHTTP(httptest.NewRecorder(), r)
	}
}

func TestNetwork(t *testing.T) {
	for addr, want := range map[string]string{
		"192.0.2.7": "192.0.2.7/32", "2001:db8:1:2:3:4:5:6": "2001:db8:1:2::/64", "10.0.0.1": "10.0.0.1/32",
		"127.0.0.1": "", "127.1.2.3": "", "::1": "",
	} {
		got, ok := forwarded.Network(netip.MustParseAddr(addr))
		if ok != (want != "") || ok && got.String() != want {
			t.Errorf("%s: got %v, %v", addr, got, ok)
		}
	}
	if _, ok := forwarded.Network(netip.Addr{}); ok {
		t.Error("no address has a network")
	}
}
