package server

import (
	"net/http"
	"strings"
	"time"
)

// TypesPath is where Run serves Types, and where `npx @troupe/client types URL` looks.
const TypesPath = "/lib/registry.ts"

// Types serves the TypeScript types of the registry, registry.gen.ts, for apps in other
// repositories. It needs Options.Check: what a server can do is nobody's business in
// production. Without it, and for a registry without generated code, it answers 404 and
// says so.
func (s *Server) Types() http.Handler {
	return readOnly(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case !s.opts.Check:
			http.Error(w, "the types are served with -check (server.Options.Check) only", http.StatusNotFound)
		case s.types == "":
			http.Error(w, "no types: run go generate, with typegen, beside the registry", http.StatusNotFound)
		default:
			h := w.Header()
			h.Set("Content-Type", "text/plain; charset=utf-8")
			h.Set("Cache-Control", "no-cache")
			h.Set("X-Content-Type-Options", "nosniff")
			http.ServeContent(w, r, "", time.Time{}, strings.NewReader(s.types))
		}
	})
}
