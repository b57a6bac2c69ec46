package server

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/pprof"
	"net/url"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/troupe-dev/troupe/backend/inspect"
	"github.com/troupe-dev/troupe/backend/store"
)

// Health reports whether the server works: 200, or 503 while the store cannot be
// written. With 503 the server still answers, but actions that change something fail.
// The body is JSON: "status" is "ok" or the reason, "version", "uptimeMs", and "sockets",
// the number of open ones. Run serves it at /healthz.
func (s *Server) Health() http.Handler {
	return readOnly(func(w http.ResponseWriter, _ *http.Request) { s.report(w, s.storeTrouble()) })
}

// Ready reports whether a load balancer should send clients here: like Health, but also
// 503 from the moment the server begins to shut down. Run serves it at /readyz.
func (s *Server) Ready() http.Handler {
	return readOnly(func(w http.ResponseWriter, _ *http.Request) { s.report(w, s.unready()) })
}

// unready returns the reason why no clients should be sent here, or "".
func (s *Server) unready() string {
	if s.draining.Load() {
		return "shutting down"
	}
	if s.opts.Cluster != nil {
		return text(s.opts.Cluster.Ready())
	}
	return s.storeTrouble()
}

// storeTrouble returns the reason why the store cannot be written, or "". The error
// itself has paths and addresses, so it goes to the log only.
func (s *Server) storeTrouble() string {
	if s.opts.Cluster != nil {
		return text(s.opts.Cluster.Health())
	}
	st, ok := s.store.(interface{ Health() error })
	if !ok {
		return ""
	}
	switch err := st.Health(); {
	case err == nil:
		return ""
	case errors.Is(err, store.ErrFull):
		return "store unavailable: the disk is full"
	case errors.Is(err, store.ErrGone):
		return "store unavailable: the store's file is gone"
	case errors.Is(err, store.ErrConflict):
		return "store unavailable: another process has taken over"
	default:
		return "store unavailable: see the server log"
	}
}

// text returns the text of an error, "" for nil.
func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
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

// waiting serves clients until the server has joined its cluster.
func (s *Server) waiting() http.Handler {
	r := chi.NewRouter()
	r.Handle("/healthz", s.Health())
	r.Handle("/readyz", s.Ready())
	r.Handle("/*", http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Retry-After", "1")
		w.Header().Set("Content-Type", "application/json")
		w.Header().Set("Cache-Control", "no-store")
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, `{"code":"unavailable","message":"the server has not joined its cluster yet"}`) // as package wire has it
	}))
	return r
}

// Debug serves operators: /metrics, /healthz, /readyz, and /debug/pprof with the
// process's profiles, but not its command line, which may have secrets; with Options.Inspect
// also /inspect. It refuses pages of other origins. Options.DebugAddr serves it. Do not expose it to the public.
func (s *Server) Debug() http.Handler {
	r := chi.NewRouter()
	r.Group(func(r chi.Router) {
		r.Use(noOtherPages)
		r.Handle("/healthz", s.Health())
		r.Handle("/readyz", s.Ready())
		r.Handle("/metrics", s.Metrics())
		r.Handle("/debug", http.RedirectHandler("/debug/pprof/", http.StatusFound))
		r.HandleFunc("/debug/pprof/*", pprof.Index)
		r.HandleFunc("/debug/pprof/profile", pprof.Profile)
		r.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
		r.HandleFunc("/debug/pprof/trace", pprof.Trace)
	})
	if s.inspector != nil { // it refuses other pages itself, as its API answers
		r.Handle(inspect.Path, s.inspector.Handler())
		r.Handle(inspect.Path+"/*", s.inspector.Handler())
	}
	return r
}

// noOtherPages refuses requests of pages of other origins, also those without an effect: a
// profile takes a core for as long as it lasts.
func noOtherPages(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		site := r.Header.Get("Sec-Fetch-Site")
		origin, err := url.Parse(r.Header.Get("Origin"))
		if site != "" && site != "same-origin" && site != "none" || err != nil || r.Header.Get("Origin") != "" && origin.Host != r.Host {
			http.Error(w, "pages of other origins may not use this address", http.StatusForbidden)
			return
		}
		next.ServeHTTP(w, r)
	})
}
