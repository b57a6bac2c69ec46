package limit

import (
	"errors"
	"time"

	"golang.org/x/time/rate"

	"github.com/troupe-dev/troupe/backend/wire"
)

// overFor is how long a client may send more than is read from it.
const overFor = 10 * time.Second

// ErrFlood is the error of a client that has sent too much for too long.
var ErrFlood = errors.New("limit: too many messages for too long")

// Messages limits the rate of messages on one socket. It may not be used by two
// goroutines at the same time.
type Messages struct {
	messages *rate.Limiter
	opens    *rate.Limiter
	work     *rate.Limiter // of everything that is read, whatever its effect
	over     time.Time     // since when work is short; the zero Time: it is not
	reported time.Time     // when Report last returned true
}

// NewMessages makes the limits of a socket: perSecond messages with bursts of burst,
// and, counted apart from them, opensPerSecond opens with bursts of openBurst.
func NewMessages(perSecond float64, burst int, opensPerSecond float64, openBurst int) Messages {
	return Messages{
		messages: rate.NewLimiter(rate.Limit(perSecond), burst),
		opens:    rate.NewLimiter(rate.Limit(opensPerSecond), openBurst),
		// Twice what is allowed: a client within the limits is never slowed down, and one
		// beyond them learns of it, for a while.
		work: rate.NewLimiter(rate.Limit(2*(perSecond+opensPerSecond)), 2*(burst+openBurst)),
	}
}

// Charge counts something that was read: a message, a control frame, a fragment. It
// returns how long to read nothing more, or ErrFlood if the client has sent more than is
// read from it for 10 s.
func (m *Messages) Charge() (wait time.Duration, err error) {
	now := time.Now()
	wait = m.work.ReserveN(now, 1).DelayFrom(now)
	switch {
	case wait > 0 && m.over.IsZero():
		m.over = now
	case wait > 0 && now.Sub(m.over) > overFor:
		return 0, ErrFlood
	case wait == 0 && !m.over.IsZero() && m.work.TokensAt(now) > float64(m.work.Burst())/2:
		m.over = time.Time{}
	}
	return wait, nil
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
