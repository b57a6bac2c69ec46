package server

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// How many lines with the same message the log takes, and in what time.
const (
	sameLines = 50
	sameTime  = 10 * time.Second
)

// LogHandler returns a handler that passes lines on to h, but leaves out those whose
// message was logged more than 50 times within 10 seconds: clients that make the
// server log something cannot fill its disk. It says later how many it has left out.
// A Server puts it around its logger; use it for a logger of your own routes. A
// handler that LogHandler made is returned as it is.
func LogHandler(h slog.Handler) slog.Handler {
	if _, ok := h.(*floodgate); ok {
		return h
	}
	return &floodgate{Handler: h, flood: &flood{}}
}

// floodgate is the slog.Handler of LogHandler.
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
