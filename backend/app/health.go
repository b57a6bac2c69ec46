package app

import (
	"encoding/json"
	"errors"
	"net/http"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/troupe-dev/troupe/backend/store"
)

// serveHealth is GET /healthz, for whoever would start the server anew. It is 503
// while the store cannot be written: the server answers, but actions that change
// something fail.
func (s *server) serveHealth(w http.ResponseWriter, _ *http.Request) {
	s.report(w, s.storeTrouble())
}

// serveReady is GET /readyz, for whoever sends clients here. It is 503 also from
// the moment at which the server is told to end. Before it is ready it does not
// answer at all: it takes its address when it has the store.
func (s *server) serveReady(w http.ResponseWriter, _ *http.Request) {
	s.report(w, s.unready())
}

// unready returns why no clients should be sent here, or "".
func (s *server) unready() string {
	if s.stopping.Load() {
		return "shutting down"
	}
	return s.storeTrouble()
}

// storeTrouble says what keeps the store from being written, or "". The error
// itself, which tells of files and addresses, is in the log.
func (s *server) storeTrouble() string {
	st, ok := s.store.(interface{ Health() error })
	if !ok {
		return ""
	}
	switch err := st.Health(); {
	case err == nil:
		return ""
	case errors.Is(err, store.ErrFull):
		return "store unavailable: there is no room"
	case errors.Is(err, store.ErrConflict):
		return "store unavailable: another process has taken over"
	default:
		return "store unavailable: the log says why"
	}
}

func (s *server) report(w http.ResponseWriter, trouble string) {
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
		"version":  version,
		"uptimeMs": time.Since(s.started).Milliseconds(),
		"sockets":  s.gateway.Sockets(),
	})
}

// debugRoutes is what is for those who run the server.
func (s *server) debugRoutes() http.Handler {
	r := chi.NewRouter()
	r.Get("/healthz", s.serveHealth)
	r.Get("/readyz", s.serveReady)
	r.Handle("/metrics", s.serveMetrics())
	r.Mount("/debug", middleware.Profiler())
	return r
}
