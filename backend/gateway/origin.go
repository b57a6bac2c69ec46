package gateway

import (
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/coder/websocket"
	"github.com/go-chi/cors"

	"github.com/troupe-dev/troupe/backend/forwarded"
	"github.com/troupe-dev/troupe/backend/gateway/httpcall"
	"github.com/troupe-dev/troupe/backend/wire"
)

// CheckOrigin refuses requests from pages of other origins, before anything else is done:
// such a page could otherwise act as its visitor. A request without an Origin does not
// come from a page's script and passes.
//
// The page can read the refusal, so that a wrong setting shows in the browser's console.
// A browser allows that only if the preflight and the upgrade of a socket succeed.
func (g *Gateway) CheckOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		if origin == "" || g.originAllowed(r, origin) {
			next.ServeHTTP(w, r)
			return
		}
		g.stats.errors.Add(wire.CodeBadOrigin)
		const why = "pages of this origin may not use the server (its flag -allow-origin)"
		switch {
		case strings.EqualFold(r.Header.Get("Upgrade"), "websocket"):
			if !g.refuseSocket(w, r, nil, websocket.StatusPolicyViolation, string(wire.CodeBadOrigin)+": "+why) {
				httpcall.WriteError(w, http.StatusForbidden, wire.CodeBadOrigin, why, nil)
			}
		case r.Method == http.MethodOptions && r.Header.Get("Access-Control-Request-Method") != "":
			corsHandler(func(*http.Request, string) bool { return true })(next).ServeHTTP(w, r)
		default:
			w.Header().Set("Access-Control-Allow-Origin", "*")
			httpcall.WriteError(w, http.StatusForbidden, wire.CodeBadOrigin, why, nil)
		}
	})
}

func (g *Gateway) originAllowed(r *http.Request, origin string) bool {
	// The browser sets this header; scripts cannot. It is right even if a proxy changes
	// the host, as nginx does by default. Over plain HTTP browsers send it to localhost
	// only.
	if r.Header.Get("Sec-Fetch-Site") == "same-origin" {
		return true
	}
	u, err := url.Parse(origin)
	if err == nil && u.Host != "" && strings.EqualFold(u.Host, forwarded.Host(r)) {
		return true
	}
	for _, pattern := range g.opts.AllowOrigins {
		if pattern == "*" {
			return true
		}
		if err != nil || u.Host == "" {
			continue // "null", or nonsense
		}
		host := u.Host
		if strings.Contains(pattern, "://") {
			host = u.Scheme + "://" + u.Host
		}
		pattern, host = strings.ToLower(pattern), strings.ToLower(host)
		if pattern == host { // also an IPv6 address, whose brackets mean something else in a pattern
			return true
		}
		if ok, err := path.Match(pattern, host); ok && err == nil {
			return true
		}
	}
	return false
}

// corsHandler lets pages of allowed origins read what they get.
func corsHandler(allowed func(*http.Request, string) bool) func(http.Handler) http.Handler {
	return cors.Handler(cors.Options{
		AllowOriginFunc: allowed,
		AllowedMethods:  []string{http.MethodGet, http.MethodPost},
		AllowedHeaders:  []string{"Authorization", "Content-Type", "Idempotency-Key"},
		MaxAge:          600,
	})
}
