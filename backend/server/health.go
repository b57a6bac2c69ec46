package server

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/troupe-dev/troupe/backend/store"
)

// Health answers whether the server works, for a supervisor that would restart it:
// 200, or 503 while the store cannot be written. The server still answers then, but
// actions that change something fail. The body is JSON: "status" is "ok" or why it is
// not, "version", "uptimeMs", and "sockets", how many are open. Run serves it at
// /healthz.
func (s *Server) Health() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { s.report(w, s.storeTrouble()) })
}

// Ready answers whether to send clients here, for a load balancer: as Health does,
// and 503 also from the moment at which the server is told to end. Run serves it at
// /readyz.
func (s *Server) Ready() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { s.report(w, s.unready()) })
}

// unready returns why no clients should be sent here, or "".
func (s *Server) unready() string {
	if s.draining.Load() {
		return "shutting down"
	}
	return s.storeTrouble()
}

// storeTrouble says what keeps the store from being written, or "". The error
// itself, which tells of files and addresses, is in the log.
func (s *Server) storeTrouble() string {
	st, ok := s.store.(interface{ Health() error })
	if !ok {
		return ""
	}
	switch err := st.Health(); {
	case err == nil:
		return ""
	case errors.Is(err, store.ErrFull):
		return "store unavailable: there is no room"
	case errors.Is(err, store.ErrGone):
		return "store unavailable: the store's file is gone"
	case errors.Is(err, store.ErrConflict):
		return "store unavailable: another process has taken over"
	default:
		return "store unavailable: the log says why"
	}
}

func (s *Server) report(w http.ResponseWriter, trouble string) {
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	status := "ok"
	if trouble != "" {
		status = trouble
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	// An error means that the client is gone.
	_ = json.NewEncoder(w).Encode(map[string]any{
		"status":   status,
		"version":  s.opts.Version,
		"uptimeMs": time.Since(s.started).Milliseconds(),
		"sockets":  s.gateway.Sockets(),
	})
}

// Debug answers operators: /metrics, /healthz, /readyz, and /debug/pprof with the
// process's profiles. It is what Options.DebugAddr serves. It is not for the public.
func (s *Server) Debug() http.Handler {
	r := chi.NewRouter()
	r.Method(http.MethodGet, "/healthz", s.Health())
	r.Method(http.MethodGet, "/readyz", s.Ready())
	r.Handle("/metrics", s.Metrics())
	r.Mount("/debug", middleware.Profiler())
	return r
}
