package main

import (
	"cmp"
	"context"
	_ "embed"
	"errors"
	"io"
	"mime"
	"net"
	"net/http"
	"net/http/httputil"
	"net/url"
	"strconv"
	"strings"
)

// client is the script in the page that listens to the overlay's stream.
//
//go:embed client.js
var client []byte

const (
	clientPath = "/__dev/client.js"
	eventsPath = "/__dev/events"
	killPath   = "/__dev/kill"
	typesPath  = "/lib/registry.ts" // is the server's
)

// noServer is the page while no server runs.
const noServer = `<!doctype html><html lang="en"><head><title>No server</title></head><body>The server is not running yet.</body></html>`

// newProxy returns the handler of dev's address: it serves the files of the app and
// forwards everything else to the server.
func newProxy(overlay *overlay, page *page, server *server, inspector inspector) http.Handler {
	mux := http.NewServeMux()
	mux.Handle(eventsPath, overlay)
	mux.HandleFunc(clientPath, func(w http.ResponseWriter, r *http.Request) {
		serveFile(w, r, map[string][]byte{clientPath: client})
	})
	mux.Handle("POST "+killPath, http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		server.kill()
		w.WriteHeader(http.StatusNoContent)
	})))
	mux.HandleFunc("/assets/", page.serveApp)
	mux.HandleFunc("/lib/", page.serveLibrary)
	mux.HandleFunc(enterPath, inspector.enter)
	mux.Handle(inspectPath, forward(overlay, newTransport(server, inspector.addr)))
	proxy := forward(overlay, newTransport(server, ""))
	mux.Handle(typesPath, proxy)
	mux.Handle("/", proxy)
	return mux
}

// forward returns a proxy that adds our script to pages.
func forward(overlay *overlay, to *transport) http.Handler {
	return &httputil.ReverseProxy{
		Rewrite:   func(*httputil.ProxyRequest) {}, // the transport knows where the server is
		Transport: to,
		ModifyResponse: func(answer *http.Response) error {
			return inject(overlay, answer)
		},
		ErrorHandler: func(w http.ResponseWriter, r *http.Request, err error) {
			if errors.Is(err, errBroken) && strings.Contains(r.Header.Get("Accept"), "text/html") {
				w.Header().Set("Content-Type", "text/html; charset=utf-8")
				w.WriteHeader(http.StatusBadGateway)
				_, _ = io.WriteString(w, overlay.inject(noServer)) // an error means that the browser is gone
				return
			}
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
		FlushInterval: -1,
	}
}

// inject adds our script to pages.
func inject(overlay *overlay, answer *http.Response) error {
	kind, _, _ := mime.ParseMediaType(answer.Header.Get("Content-Type"))
	if kind != "text/html" || answer.Request.Method == http.MethodHead {
		return nil
	}
	html, err := io.ReadAll(answer.Body)
	if err = errors.Join(err, answer.Body.Close()); err != nil {
		return err
	}
	body := overlay.inject(string(html))
	answer.Body = io.NopCloser(strings.NewReader(body))
	answer.ContentLength = int64(len(body))
	answer.Header.Set("Content-Length", strconv.Itoa(len(body)))
	answer.Header.Set("Cache-Control", "no-store")
	answer.Header.Del("ETag")
	return nil
}

// transport sends requests to the current server. Requests that arrive while it is
// being replaced wait.
type transport struct {
	server *server
	addr   string // of another port of the server; empty: its own
	http   *http.Transport
}

func newTransport(server *server, addr string) *transport {
	// One connection per request: an idle one could lead to the old server.
	return &transport{server, addr, &http.Transport{DisableKeepAlives: true, DisableCompression: true}}
}

// RoundTrip sends a request. It tries again if the server was replaced meanwhile.
func (t *transport) RoundTrip(r *http.Request) (*http.Response, error) {
	for {
		at, changed, err := t.server.wait(r.Context())
		if err != nil {
			return nil, err
		}
		target, err := url.Parse(at)
		if err != nil {
			return nil, err
		}
		again := r.Clone(r.Context())
		again.URL.Scheme, again.URL.Host = target.Scheme, cmp.Or(t.addr, target.Host)
		if r.Body != nil {
			again.Body = io.NopCloser(r.Body) // a transport closes the body even if it did not read it
		}
		answer, err := t.http.RoundTrip(again)
		var dial *net.OpError
		if err == nil || !errors.As(err, &dial) || dial.Op != "dial" {
			return answer, err
		}
		if err := wait(r.Context(), changed); err != nil {
			return nil, err
		}
	}
}

func wait(ctx context.Context, changed <-chan struct{}) error {
	select {
	case <-changed:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
