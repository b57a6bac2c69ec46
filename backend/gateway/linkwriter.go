package gateway

import (
	"context"
	"net/http"
	"strconv"
	"sync"
	"time"
)

// linkWriter is the http.ResponseWriter of a poll that came to another node.
type linkWriter struct {
	ctx    context.Context
	write  func(context.Context, []byte) error
	header http.Header
	err    error // of the first write that has failed
	wrote  int   // bytes

	mu     sync.Mutex
	over   time.Time          // of the next write
	cancel context.CancelFunc // of the one that is under way; nil if none is
}

// Header implements http.ResponseWriter. The headers are not sent: a poll has no others
// elsewhere.
func (w *linkWriter) Header() http.Header { return w.header }

// WriteHeader implements http.ResponseWriter.
func (w *linkWriter) WriteHeader(int) {}

// Flush makes http.ResponseController know that nothing waits to be flushed.
func (w *linkWriter) Flush() {}

// SetWriteDeadline ends a write at a time; one in the past ends a write that is under way.
func (w *linkWriter) SetWriteDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over = t; w.cancel != nil && !t.IsZero() && !t.After(time.Now()) {
		w.cancel()
	}
	return nil
}

// complete reports whether as much was written as the header says.
func (w *linkWriter) complete() bool {
	return w.header.Get("Content-Length") == strconv.Itoa(w.wrote)
}

// Write implements http.ResponseWriter.
func (w *linkWriter) Write(b []byte) (int, error) {
	ctx, cancel := context.WithCancel(w.ctx)
	defer cancel()
	w.mu.Lock()
	if w.cancel = cancel; !w.over.IsZero() {
		ctx, cancel = context.WithDeadline(ctx, w.over)
		defer cancel()
	}
	w.mu.Unlock()
	err := w.write(ctx, b)
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cancel = nil; err != nil {
		w.err = err
		return 0, err
	}
	w.wrote += len(b)
	return len(b), nil
}
