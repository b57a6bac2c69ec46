package transport

import (
	"context"
	"net/http"
	"time"
)

// A Stream is an HTTP transport whose frames one request takes to the client, one after
// the other, as server-sent events. It ends with that request.
type Stream struct{ *httpBase }

// NewStream makes a Stream that waits for Serve.
func NewStream(c Config) *Stream { return &Stream{newHTTPBase(c)} }

// Serve takes frames to the client until Close, or until the client is gone; then it
// closes.
func (s *Stream) Serve(ctx context.Context, w http.ResponseWriter) {
	defer func() { _ = s.Close() }()
	for {
		f, ended := s.next()
		switch {
		case f != nil:
			since := time.UnixMilli(f.ms)
			err := s.write(w, f.event(), since)
			f.Free()
			if err != nil {
				s.config.Broke(s.blocked(err))
				return
			}
			s.mu.Lock()
			s.frame = nil
			s.reserveLocked(0)
			s.mu.Unlock()
			s.config.Wrote(time.Since(since) >= slowWrite)
		case ended:
			return
		default:
			select {
			case <-s.ready:
			case <-s.done:
			case <-ctx.Done():
				return
			}
		}
	}
}
