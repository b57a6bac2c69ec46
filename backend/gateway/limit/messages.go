package limit

import (
	"time"

	"golang.org/x/time/rate"

	"github.com/troupe-dev/troupe/backend/wire"
)

// Messages limits the rate of messages on one socket. It may not be used by two
// goroutines at the same time.
type Messages struct {
	messages *rate.Limiter
	opens    *rate.Limiter
	reported time.Time // when Report last returned true
}

// NewMessages makes the limits of a socket: perSecond messages with bursts of burst,
// and, counted apart from them, opensPerSecond opens with bursts of openBurst.
func NewMessages(perSecond float64, burst int, opensPerSecond float64, openBurst int) Messages {
	return Messages{
		messages: rate.NewLimiter(rate.Limit(perSecond), burst),
		opens:    rate.NewLimiter(rate.Limit(opensPerSecond), openBurst),
	}
}

// Allow takes a token for a message of a type. If there is none, it returns how long
// to wait for one.
func (m *Messages) Allow(typ string) (wait time.Duration) {
	l := m.messages
	if typ == wire.TypeOpen {
		l = m.opens
	}
	return take(l)
}

// Report reports whether the client may be sent another error about the limit: at
// most one per second.
func (m *Messages) Report() bool {
	if time.Since(m.reported) < time.Second {
		return false
	}
	m.reported = time.Now()
	return true
}
