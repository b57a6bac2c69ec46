// Package roundrobin is a proxy that sends each request to another server, in turn, so that
// nothing about a client sticks to a server. It is for development and tests.
package roundrobin

import (
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httputil"
	"sync/atomic"
)

// New returns a proxy for the servers whose addresses (host:port) targets returns; it is called
// for each request, at any time. A server that takes no connection is skipped; if none does,
// the answer is 502. A request that has reached a server is not repeated elsewhere. WebSockets and
// streams pass through, and stay with their server. Servers see clients' addresses in
// X-Forwarded-For, and the Host that clients have sent.
func New(targets func() []string) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite: func(r *httputil.ProxyRequest) {
			r.Out.URL.Scheme = "http"
			r.Out.Host = r.In.Host
			r.SetXForwarded()
		},
		// One connection per request: an idle one could lead to a server that has ended.
		Transport:     &transport{targets: targets, http: http.Transport{DisableKeepAlives: true, DisableCompression: true}},
		FlushInterval: -1,
		ErrorLog:      log.New(io.Discard, "", 0), // of streams whose end is gone, which both ends know
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
	}
}

type transport struct {
	targets func() []string
	http    http.Transport
	turn    atomic.Uint64
}

var errNone = errors.New("roundrobin: no server takes connections")

// RoundTrip sends a request to the server whose turn it is, or to the next that takes a connection.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	targets := t.targets()
	first := t.turn.Add(1)
	for i := range targets {
		try := r.Clone(r.Context())
		try.URL.Host = targets[(first+uint64(i))%uint64(len(targets))]
		if r.Body != nil {
			try.Body = io.NopCloser(r.Body) // which the transport closes, also if it has read nothing
		}
		answer, err := t.http.RoundTrip(try)
		var dial *net.OpError
		if err == nil || !errors.As(err, &dial) || dial.Op != "dial" {
			return answer, err
		}
	}
	return nil, errNone
}
