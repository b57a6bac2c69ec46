package server_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/server"
)

// sink is a log's writer that can block, fail, or take a part of what it gets.
type sink struct {
	blocked chan struct{} // if not nil, Write waits until it is closed
	mu      sync.Mutex
	err     error
	partial bool
	text    strings.Builder
}

func (s *sink) Write(p []byte) (int, error) {
	if s.blocked != nil {
		<-s.blocked
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err == nil {
		return s.text.Write(p)
	}
	if s.partial {
		n, _ := s.text.Write(p[:len(p)/2])
		return n, s.err
	}
	return 0, s.err
}

func text(w io.Writer) slog.Handler { return slog.NewTextHandler(w, nil) }

// logged returns how often a line is in what was written, and how many lines it says
// were dropped.
func logged(t *testing.T, text, message string) (lines int, dropped uint64) {
	t.Helper()
	for line := range strings.Lines(text) {
		if strings.Contains(line, "msg="+message) {
			lines++
		}
		if _, n, ok := strings.Cut(line, "log lines were dropped"); ok {
			var m uint64
			if _, err := fmt.Sscanf(n[strings.Index(n, "lines="):], "lines=%d", &m); err != nil {
				t.Fatalf("%q: %v", line, err)
			}
			dropped += m
		}
	}
	return lines, dropped
}

// A sink that blocks: nobody waits for it, lines beyond the queue are dropped and
// counted, and the log says how many once the sink works again.
func TestLogQueue_blockedSink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &sink{blocked: make(chan struct{})}
		q := server.NewLogQueue(s, text)
		log := slog.New(q).With("actor", "room").WithGroup("g")
		const lines = 3000
		for range lines {
			log.Info("hello", "padding", strings.Repeat("x", 1000))
		}
		if got := q.Dropped(); got < lines/2 || got > lines-900 {
			t.Errorf("dropped %d of %d lines, want all but about 1 MiB", got, lines)
		}
		begin := time.Now()
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		defer cancel()
		if err := q.Flush(ctx); !errors.Is(err, context.DeadlineExceeded) || time.Since(begin) != 2*time.Second {
			t.Errorf("Flush: got %v after %v, want the context's error after 2s", err, time.Since(begin))
		}
		close(s.blocked)
		if err := q.Flush(t.Context()); err != nil {
			t.Errorf("Flush: %v", err)
		}
		got, dropped := logged(t, s.text.String(), "hello")
		if dropped != q.Dropped() || got+int(dropped) != lines || !strings.Contains(s.text.String(), "actor=room g.padding=xxx") {
			t.Errorf("got %d lines and %d dropped, want %d in all, %d of them dropped", got, dropped, lines, q.Dropped())
		}
		if err := q.Close(t.Context()); err != nil {
			t.Errorf("Close: %v", err)
		}
		log.Info("late")
		if got, _ := logged(t, s.text.String(), "late"); got != 0 || q.Dropped() != dropped+1 {
			t.Errorf("after Close: got %d lines, dropped %d, want none, and one more than %d", got, q.Dropped(), dropped)
		}
	})
}

// A sink that fails, as a full disk or a closed pipe does.
func TestLogQueue_failingSink(t *testing.T) {
	for name, partial := range map[string]bool{"at once": false, "in the middle of a line": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := &sink{err: errors.New("no space left on device"), partial: partial}
				q := server.NewLogQueue(s, text)
				log := slog.New(q)
				for range 5 {
					log.Info("hello")
					synctest.Wait()
				}
				if got := q.Dropped(); got != 5 {
					t.Errorf("dropped %d lines, want 5", got)
				}
				s.mu.Lock()
				s.err = nil
				s.text.Reset()
				s.mu.Unlock()
				log.Info("again")
				if err := q.Close(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got, dropped := logged(t, s.text.String(), "again"); got != 1 || dropped != 5 {
					t.Errorf("got %q, want that 5 lines were dropped, and the new one", s.text.String())
				}
			})
		})
	}
}

// Lines that were dropped are in the metrics.
func TestMetrics_droppedLogLines(t *testing.T) {
	s := &sink{err: errors.New("closed")}
	q := server.NewLogQueue(s, text)
	o := inMemory()
	o.Logger, o.DebugAddr, o.Metrics = slog.New(q).With("app", "test"), "", true
	running := newServer(t, o)
	for range 3 {
		slog.New(q).Info("hello")
	}
	if err := q.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := metricsOf(t, running); !strings.Contains(got, "\ntroupe_log_dropped_total 3\n") {
		t.Errorf("got %s, want 3 dropped lines", got)
	}
}
