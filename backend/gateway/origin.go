package gateway

import (
	"fmt"
	"net/http"
	"net/url"
	"path"
	"regexp"
	"strings"
	"unicode"

	"github.com/coder/websocket"
	"github.com/go-chi/cors"

	"github.com/troupe-dev/troupe/backend/forwarded"
	"github.com/troupe-dev/troupe/backend/gateway/httpcall"
	"github.com/troupe-dev/troupe/backend/wire"
)

// CheckOrigin refuses requests from pages of other origins, before anything else is done:
// such a page could otherwise act as its visitor. A request without an Origin passes, as
// from a program, unless it has an effect and the browser says that it comes from another
// site.
//
// The page can read the refusal, so that a wrong setting shows in the browser's console.
// A browser allows that only if the preflight and the upgrade of a socket succeed.
func (g *Gateway) CheckOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		origin := r.Header.Get("Origin")
		if origin == "" && (isSafe(r) || ofOwnSite(r)) || origin != "" && g.origins.allow(r, origin) {
			next.ServeHTTP(w, r)
			return
		}
		g.stats.errors.Add(wire.CodeBadOrigin)
		const why = "pages of this origin may not use the server; add the origin to -allow-origin"
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

// isSafe reports whether a request has no effect.
func isSafe(r *http.Request) bool {
	return r.Method == http.MethodGet || r.Method == http.MethodHead || r.Method == http.MethodOptions
}

// ofOwnSite reports whether a request without an Origin may have an effect: it does not come
// from a browser, or from a page of this origin, or its user typed the address. Pages of
// others can make browsers send such requests, by <img> for example.
func ofOwnSite(r *http.Request) bool {
	site := r.Header.Get("Sec-Fetch-Site")
	return site == "" || site == "same-origin" || site == "none"
}

// checkSite refuses a GET that opens a socket if it is from a page of another site which
// CheckOrigin does not see, because it has no Origin.
func (g *Gateway) checkSite(next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Origin") == "" && !ofOwnSite(r) {
			g.stats.errors.Add(wire.CodeBadOrigin)
			httpcall.WriteError(w, http.StatusForbidden, wire.CodeBadOrigin, "pages of other sites may not open a socket without an Origin", nil)
			return
		}
		next(w, r)
	}
}

// origins are Options.AllowOrigins, clean and ready for path.Match.
type origins []string

// newOrigins panics if one of the patterns is invalid.
func newOrigins(patterns []string) origins {
	clean := make(origins, len(patterns))
	for i, p := range patterns {
		c, err := CleanOrigin(p)
		if err != nil {
			panic("gateway: Options.AllowOrigins: " + err.Error())
		}
		// In a pattern brackets mean a class; those of an IPv6 address mean themselves.
		clean[i] = ipv6.ReplaceAllString(c, `\[$1\]`)
	}
	return clean
}

var ipv6 = regexp.MustCompile(`\[([0-9a-f.]*:[0-9a-f:.]*)\]`)

// defaultPorts are those that browsers leave out of an origin.
var defaultPorts = map[string]string{"http": ":80", "https": ":443"}

// CleanOrigin returns a pattern for Options.AllowOrigins as origins are compared with it:
// in lower case, and without the default port of its scheme or a slash at the end. The
// error says why the pattern matches no origin that a browser sends.
func CleanOrigin(pattern string) (string, error) {
	scheme, rest, hasScheme := strings.Cut(strings.ToLower(strings.TrimSpace(pattern)), "://")
	if !hasScheme {
		scheme, rest = "", scheme
	}
	rest = strings.TrimSuffix(rest, "/")
	why := ""
	switch _, err := path.Match(rest, ""); {
	case rest == "" || hasScheme && scheme == "":
		why = "an origin has a scheme and a host"
	case strings.ContainsAny(rest, "/#@ \\"):
		why = "an origin is a scheme, a host and perhaps a port, with nothing around them"
	case scheme == "ws" || scheme == "wss":
		why = "it is that of the page: write http" + scheme[2:] + "://" + rest
	case scheme == "" && rest == "null":
		why = "only * allows pages without an origin"
	case strings.IndexFunc(rest, func(r rune) bool { return r > unicode.MaxASCII }) >= 0:
		why = "browsers send such a host in its xn-- form"
	case err != nil:
		why = "a bracket is not closed"
	}
	if why != "" {
		return "", fmt.Errorf("want origins such as https://example.com, got %q: %s", pattern, why)
	}
	if port := defaultPorts[scheme]; port != "" {
		rest = strings.TrimSuffix(rest, port)
	}
	if hasScheme {
		rest = scheme + "://" + rest
	}
	return rest, nil
}

// allow reports whether a page of an origin may make a request.
func (o origins) allow(r *http.Request, origin string) bool {
	// The browser sets this header; scripts cannot. It is right even if a proxy changes
	// the host, as nginx does by default. Over plain HTTP browsers send it to localhost
	// only.
	if r.Header.Get("Sec-Fetch-Site") == "same-origin" {
		return true
	}
	u, err := url.Parse(strings.ToLower(origin))
	valid := err == nil && u.Host != "" // else "null", or nonsense
	if valid && strings.EqualFold(u.Host, forwarded.Host(r)) && (u.Scheme == "https" || !forwarded.Secure(r)) {
		return true // a page over HTTP may have been changed on its way, and is not this one
	}
	for _, pattern := range o {
		if pattern == "*" {
			return true
		}
		if valid && matches(pattern, u) {
			return true
		}
	}
	return false
}

// matches compares an origin with a pattern. One without a scheme may name the default
// port of the origin's scheme, or leave it out.
func matches(pattern string, u *url.URL) bool {
	is := func(s string) bool {
		ok, err := path.Match(pattern, s)
		return ok && err == nil
	}
	if strings.Contains(pattern, "://") {
		return is(u.Scheme + "://" + u.Host)
	}
	return is(u.Host) || u.Port() == "" && is(u.Host+defaultPorts[u.Scheme])
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
