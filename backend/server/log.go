package server

import (
	"context"
	"log/slog"
	"sync"
	"time"
)

// The limit of log lines with the same message, and its period.
const (
	sameLines = 50
	sameTime  = 10 * time.Second
)

// LogHandler returns a handler that passes lines on to h, and suppresses a message that
// was logged more than 50 times within 10 seconds, so that clients cannot fill the disk
// by making the server log. A later line has the number of suppressed ones. A Server
// wraps its own logger; use LogHandler for the logger of your own routes. A handler that
// LogHandler made is returned unchanged.
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

// flood counts lines by message, for a floodgate and all that derive from it.
type flood struct {
	mu         sync.Mutex
	since      time.Time
	lines      map[string]int
	suppressed int
}

// pass counts a line. It reports whether to log it, and how many were suppressed before,
// if a line should say so now.
func (f *flood) pass(message string, now time.Time) (ok bool, suppressed int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if now.Sub(f.since) >= sameTime || f.lines == nil {
		suppressed = f.suppressed
		f.since, f.lines, f.suppressed = now, map[string]int{}, 0
	}
	f.lines[message]++
	if f.lines[message] > sameLines {
		f.suppressed++
		return false, suppressed
	}
	return true, suppressed
}

// Handle implements slog.Handler.
func (g *floodgate) Handle(ctx context.Context, r slog.Record) error {
	ok, suppressed := g.flood.pass(r.Message, r.Time)
	if suppressed > 0 {
		more := slog.NewRecord(r.Time, slog.LevelWarn, "repeated log lines were suppressed", 0)
		more.AddAttrs(slog.Int("lines", suppressed))
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
