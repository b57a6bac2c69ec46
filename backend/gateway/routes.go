package gateway

import (
	"context"
	"net/http"
	"strings"

	"github.com/go-chi/chi/v5"

	"github.com/troupe-dev/troupe/backend/gateway/httpcall"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

func (g *Gateway) routes() http.Handler {
	r := chi.NewRouter()
	r.Use(secure, g.recoverer, g.CheckOrigin, corsHandler(g.origins.allow))
	r.Route("/api", func(r chi.Router) {
		r.Get("/socket", g.checkSite(g.serveSocket))
		r.Get("/stream", g.checkSite(g.serveStream))
		r.Post("/stream", g.servePost)
		r.Post("/poll", g.servePoll)
		r.Group(func(r chi.Router) {
			r.Use(g.whileOpen)
			g.calls.Mount(r)
		})
	})
	r.NotFound(func(w http.ResponseWriter, _ *http.Request) {
		httpcall.WriteError(w, http.StatusNotFound, wire.CodeNotFound,
			"no such address: there are /api/socket, /api/stream, /api/poll, /api/actors/{name} and /api/actors/{name}/actions/{action}", nil)
	})
	r.MethodNotAllowed(func(w http.ResponseWriter, req *http.Request) {
		var allowed []string
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost} {
			if r.Match(chi.NewRouteContext(), method, req.URL.Path) {
				allowed = append(allowed, method)
			}
		}
		w.Header().Set("Allow", strings.Join(allowed, ", "))
		httpcall.WriteError(w, http.StatusMethodNotAllowed, wire.CodeMalformed,
			"this address does not take "+req.Method+"; use "+strings.Join(allowed, " or "), nil)
	})
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		// Drop the routing state of a surrounding router.
		r.ServeHTTP(w, req.WithContext(context.WithValue(req.Context(), chi.RouteCtxKey, nil)))
	})
}

// secure sets headers on every response. No response is a page; these headers keep a
// browser from treating one as anything but what its Content-Type says.
func secure(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
		h.Set("Referrer-Policy", "no-referrer")
		h.Set("Cross-Origin-Resource-Policy", "same-origin") // requests with CORS do not need it
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// recoverer answers a request whose handler panics with an error.
func (g *Gateway) recoverer(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			switch v := recover(); v {
			case nil:
			case http.ErrAbortHandler:
				panic(v)
			default:
				g.panicked(v, nil)
				if r.Header.Get("Upgrade") == "" { // else the connection is no longer HTTP's
					g.respond.Fail(w, &host.Fault{Code: wire.CodeInternal, Message: "internal error; see the server log"})
				}
			}
		}()
		next.ServeHTTP(w, r)
	})
}

// whileOpen refuses calls once the gateway is shutting down.
func (g *Gateway) whileOpen(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if g.sockets.isQuiesced() {
			g.respond.Fail(w, errShutdown)
			return
		}
		next.ServeHTTP(w, r)
	})
}
