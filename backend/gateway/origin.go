package gateway

import (
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/go-chi/cors"

	"github.com/troupe-dev/troupe/backend/wire"
)

// checkOrigin refuses requests of pages of other origins, before anything is
// done for them: a page could otherwise act in the name of whoever visits it.
// A request without an Origin does not come from a page's script and passes.
func (g *Gateway) checkOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if origin := r.Header.Get("Origin"); origin != "" && !g.originAllowed(r, origin) {
			writeError(w, http.StatusForbidden, wire.CodeBadOrigin, "pages of this origin may not use the server", nil)
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (g *Gateway) originAllowed(r *http.Request, origin string) bool {
	u, err := url.Parse(origin)
	if err == nil && u.Host != "" && strings.EqualFold(u.Host, r.Host) {
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

// cors lets pages of allowed origins read what they get.
func (g *Gateway) cors() func(http.Handler) http.Handler {
	return cors.Handler(cors.Options{
		AllowOriginFunc: g.originAllowed,
		AllowedMethods:  []string{http.MethodGet, http.MethodPost},
		AllowedHeaders:  []string{"Content-Type", "Idempotency-Key"},
		MaxAge:          600,
	})
}
