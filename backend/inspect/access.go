package inspect

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"mime"
	"net"
	"net/http"
	"net/url"
	"strings"

	"github.com/troupe-dev/troupe/backend/forwarded"
	"github.com/troupe-dev/troupe/backend/wire"
)

// access decides which requests are allowed: those with the token, and later the cookie, from
// a page of the inspector's own origin, under a host name that belongs to it.
type access struct {
	token  string
	cookie string // its value; who sees it cannot compute the token
	hosts  forwarded.Hosts
}

func newAccess(token string, hosts forwarded.Hosts) access {
	if token == "" {
		var random [18]byte
		_, _ = rand.Read(random[:]) // never fails
		token = base64.RawURLEncoding.EncodeToString(random[:])
	}
	sum := sha256.Sum256([]byte("cookie of the inspector\x00" + token))
	return access{token: token, cookie: base64.RawURLEncoding.EncodeToString(sum[:18]), hosts: hosts}
}

// policy lets the page load its own files and use the API, and nothing else.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; " +
	"require-trusted-types-for 'script'; trusted-types 'none'"

func (a *access) headers(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Content-Security-Policy", policy)
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("Referrer-Policy", "no-referrer") // an address may have the token
		h.Set("Cross-Origin-Opener-Policy", "same-origin")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}

// checkHost refuses requests under a name that DNS may lead anywhere: a page of that name
// would count as the inspector's own.
func (a *access) checkHost(next http.Handler) http.Handler {
	return a.hosts.Handler(next, "add the name to -hosts (server.Options.Hosts)")
}

// checkSite refuses requests of pages of other origins, also those without an effect. Another
// port of the same machine is another origin, though browsers send it the cookie.
func (a *access) checkSite(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		site, origin := r.Header.Get("Sec-Fetch-Site"), r.Header.Get("Origin")
		u, err := url.Parse(origin)
		if site != "" && site != "same-origin" && site != "none" || origin != "" && (err != nil || !strings.EqualFold(u.Host, forwarded.Host(r))) {
			writeError(w, http.StatusForbidden, wire.CodeBadOrigin, "pages of other origins may not use the inspector")
			return
		}
		next.ServeHTTP(w, r)
	})
}

// cookieName has the port, because browsers keep cookies by host only.
func cookieName(r *http.Request) string {
	_, port, err := net.SplitHostPort(r.Host)
	if err != nil {
		return "troupe_inspect"
	}
	return "troupe_inspect_" + port
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// enter exchanges the token in an address for a cookie.
func (a *access) enter(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !same(r.URL.Query().Get("token"), a.token) {
			next.ServeHTTP(w, r)
			return
		}
		http.SetCookie(w, &http.Cookie{
			Name: cookieName(r), Value: a.cookie, Path: Path,
			HttpOnly: true, SameSite: http.SameSiteStrictMode, Secure: forwarded.Secure(r),
		})
		http.Redirect(w, r, r.URL.Path, http.StatusSeeOther) // without the token
	})
}

// authenticate lets requests in that have the cookie, or the token in their header.
func (a *access) authenticate(refuse http.HandlerFunc) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			c, err := r.Cookie(cookieName(r))
			bearer, isBearer := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			if err == nil && same(c.Value, a.cookie) || isBearer && same(bearer, a.token) {
				next.ServeHTTP(w, r)
				return
			}
			refuse(w, r)
		})
	}
}

func refuseCall(w http.ResponseWriter, _ *http.Request) {
	writeError(w, http.StatusUnauthorized, wire.CodeUnauthorized, "open the link that the server has logged when it started, or send its token as Authorization: Bearer")
}

// lookOnly refuses what would change something.
func lookOnly(http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		writeError(w, http.StatusForbidden, wire.CodeForbidden, "this inspector only looks: start the server with -inspect write (server.Options.Inspect)")
	})
}

// jsonOnly refuses posts of other types: those that a form of any page can send.
func jsonOnly(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
			writeError(w, http.StatusUnsupportedMediaType, wire.CodeMalformed, "send Content-Type: application/json")
			return
		}
		next.ServeHTTP(w, r)
	})
}
