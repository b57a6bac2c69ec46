package server

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// The number of suppressed lines is logged before the next line.
func TestFloodgate_suppressed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var out bytes.Buffer
		log := slog.New(LogHandler(slog.NewTextHandler(&out, nil)))
		for range sameLines + 7 {
			log.With("actor", "a").Error("again")
		}
		log.Error("another")
		if got := strings.Count(out.String(), "again"); got != sameLines || !strings.Contains(out.String(), "another") {
			t.Errorf("got %d lines of one message, want %d, and all of the other: %s", got, sameLines, &out)
		}
		out.Reset()
		time.Sleep(sameTime)
		log.WithGroup("g").Error("again")
		lines := strings.Split(strings.TrimSpace(out.String()), "\n")
		if len(lines) != 2 || !strings.Contains(lines[0], slog.LevelWarn.String()) || !strings.Contains(lines[0], "lines=7") || !strings.Contains(lines[1], "again") {
			t.Errorf("got %q, want that 7 lines were suppressed, and then the next", lines)
		}
	})
}
