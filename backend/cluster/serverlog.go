package cluster

import (
	"context"
	"fmt"
	"log/slog"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// serverLog writes the log of an embedded server to a logger. The server repeats itself: it
// tries each second to reach a server that is down.
type serverLog struct {
	to   *slog.Logger
	twin chan struct{} // closed when another server has this one's name

	mu    sync.Mutex
	said  map[string]time.Time // by text without its numbers
	fatal string               // why the server does not start
}

var _ server.Logger = (*serverLog)(nil)

func newServerLog(to *slog.Logger) *serverLog {
	return &serverLog{to: to, twin: make(chan struct{}), said: map[string]time.Time{}}
}

const (
	sayAgain = time.Minute // lines that differ only in numbers
	maxSaid  = 1_000
)

var numbers = regexp.MustCompile(`\(attempt \d+\)|\[[^\]]*\]|rid:\d+|:\d{5}\b`)

// unsaid are lines about what is as it should be: clients of this process and servers with the
// secret are the only ones. And about what still comes over a link that the line before refused.
var unsaid = []string{"Plaintext passwords detected", "Waiting for routing to be established", "processRemoteSub Parse Error"}

func (l *serverLog) log(level slog.Level, format string, v []any) {
	line := strings.TrimSpace(fmt.Sprintf(format, v...))
	if strings.Contains(line, "Authorization Violation") || strings.Contains(line, "authentication error") {
		line += ": want the same secret on all servers (-cluster-secret)"
	}
	if strings.Contains(line, "Remote server has a duplicate name") {
		line += ": want another one on each server (-node)"
		l.mu.Lock()
		select {
		case <-l.twin:
		default:
			close(l.twin)
		}
		l.mu.Unlock()
	}
	if level > slog.LevelDebug && !l.isNew(line) {
		level = slog.LevelDebug
	}
	l.to.Log(context.Background(), level, "nats: "+line)
}

// isNew reports whether a line was not said for a while.
func (l *serverLog) isNew(line string) bool {
	for _, part := range unsaid {
		if strings.Contains(line, part) {
			return false
		}
	}
	key := numbers.ReplaceAllString(line, "")
	l.mu.Lock()
	defer l.mu.Unlock()
	if at, ok := l.said[key]; ok && time.Since(at) < sayAgain {
		return false
	}
	if len(l.said) >= maxSaid {
		clear(l.said)
	}
	l.said[key] = time.Now()
	return true
}

// Noticef implements server.Logger. Notices are many, and about what is normal.
func (l *serverLog) Noticef(format string, v ...any) { l.log(slog.LevelDebug, format, v) }

// Debugf implements server.Logger.
func (l *serverLog) Debugf(format string, v ...any) { l.log(slog.LevelDebug, format, v) }

// Tracef implements server.Logger.
func (l *serverLog) Tracef(format string, v ...any) { l.log(slog.LevelDebug, format, v) }

// Warnf implements server.Logger.
func (l *serverLog) Warnf(format string, v ...any) { l.log(slog.LevelWarn, format, v) }

// Errorf implements server.Logger. What an operator has to mend is said by the node, too.
func (l *serverLog) Errorf(format string, v ...any) { l.log(slog.LevelError, format, v) }

// Fatalf implements server.Logger.
func (l *serverLog) Fatalf(format string, v ...any) {
	l.log(slog.LevelError, format, v)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fatal = strings.TrimSpace(fmt.Sprintf(format, v...))
}

// whyNot returns why the server does not start; empty: it has not said so.
func (l *serverLog) whyNot() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.fatal
}
