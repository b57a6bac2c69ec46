package app

import (
	"context"
	"io"
	"log/slog"
	"sync"
	"time"
)

// Of lines with the same message, the log takes so many in so much time.
const (
	sameLines = 50
	sameTime  = 10 * time.Second
)

func newLogger(config Config, w io.Writer) *slog.Logger {
	options := &slog.HandlerOptions{Level: config.LogLevel}
	var handler slog.Handler = slog.NewTextHandler(w, options)
	if config.LogJSON {
		handler = slog.NewJSONHandler(w, options)
	}
	return slog.New(&floodgate{Handler: handler, flood: &flood{}})
}

// floodgate is a slog.Handler that leaves out lines whose message was logged very
// often just now: who can make the server log something must not be able to fill
// its disk. How many it has left out it says later, before the next line.
type floodgate struct {
	slog.Handler
	flood *flood
}

// flood counts lines by message, for a floodgate and all that were made of it.
type flood struct {
	mu      sync.Mutex
	since   time.Time
	lines   map[string]int
	leftOut int
}

// pass counts a line. It reports whether it may be logged, and how many were left
// out before, if that is to be said now.
func (f *flood) pass(message string, now time.Time) (ok bool, leftOut int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.since) >= sameTime || f.lines == nil {
		leftOut = f.leftOut
		f.since, f.lines, f.leftOut = now, map[string]int{}, 0
	}
	f.lines[message]++
	if f.lines[message] > sameLines {
		f.leftOut++
		return false, leftOut
	}
	return true, leftOut
}

// Handle implements slog.Handler.
func (g *floodgate) Handle(ctx context.Context, r slog.Record) error {
	ok, leftOut := g.flood.pass(r.Message, r.Time)
	if leftOut > 0 {
		more := slog.NewRecord(r.Time, slog.LevelWarn, "lines of the log were left out, because there were very many of them", 0)
		more.AddAttrs(slog.Int("lines", leftOut))
		if err := g.Handler.Handle(ctx, more); err != nil {
			return err
		}
	}
	if !ok {
		return nil
	}
	return g.Handler.Handle(ctx, r)
}

// WithAttrs implements slog.Handler.
func (g *floodgate) WithAttrs(attrs []slog.Attr) slog.Handler {
	return &floodgate{g.Handler.WithAttrs(attrs), g.flood}
}

// WithGroup implements slog.Handler.
func (g *floodgate) WithGroup(name string) slog.Handler {
	return &floodgate{g.Handler.WithGroup(name), g.flood}
}
