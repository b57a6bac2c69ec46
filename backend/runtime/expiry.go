package runtime

import (
	"time"

	"github.com/troupe-dev/troupe/backend/host"
)

// expire ends the connections whose resume window is over. It reports false if
// the instance was abandoned meanwhile.
func (in *instance) expire(now time.Time) bool {
	if in.nextExpiry.IsZero() || now.Before(in.nextExpiry) {
		return true
	}
	for _, c := range in.conns {
		if in.byID[c.id] == c && !c.online && !now.Before(in.expiresAt(c)) {
			if in.actor.gate.room() != nil {
				return true // the reset is on its way, and expires them again
			}
			if !in.endConn(c, nil) {
				return false
			}
		}
	}
	in.armExpiry()
	return true
}

func (in *instance) expiresAt(c *Conn) time.Time { return c.dropped.Add(in.def.Options.ResumeWindow) }

// armExpiry sets the timer for the connection that expires next.
func (in *instance) armExpiry() {
	var next time.Time
	for _, c := range in.conns {
		if at := in.expiresAt(c); !c.online && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	in.nextExpiry = next
	if in.expiry != nil {
		in.expiry.Stop()
		in.expiry = nil
	}
	if !next.IsZero() {
		in.expiry = time.AfterFunc(time.Until(next), func() { in.actor.box.post(wakeEnvelope{}) })
	}
}

// dropped notes that a connection has lost its socket.
func (in *instance) dropped(c *Conn, now time.Time) {
	c.online, c.dropped = false, now
	if at := in.expiresAt(c); in.nextExpiry.IsZero() || at.Before(in.nextExpiry) {
		in.armExpiry()
	}
}

// endConn ends a connection in a turn of its own. why is what its client is
// told; nil if there is nobody to tell.
func (in *instance) endConn(c *Conn, why *host.Fault) bool {
	t := in.watchdog.watch(&Turn{
		in: in, what: "OnDisconnect", conn: c, ending: c, ended: []*Conn{c},
		readOnly: in.def.Hooks["OnDisconnect"] == nil,
	}, in.def.Options.ActionTimeout)
	if why != nil && !c.attachment.IsZero() {
		t.closes = append(t.closes, &host.Output{Kind: host.OutputClosed, To: c.attachment, Err: why})
	}
	o, ok := t.execute(func() (any, error) { return nil, nil })
	if ok {
		in.apply(t, o, reply{})
	}
	return ok
}

// limitDetached ends the connections that are gone longest, if there are too
// many without a socket.
func (in *instance) limitDetached() bool {
	if len(in.conns) <= in.def.Options.MaxDetached {
		return true
	}
	var oldest *Conn
	detached := 0
	for _, c := range in.conns {
		if c.online {
			continue
		}
		detached++
		if oldest == nil || c.dropped.Before(oldest.dropped) {
			oldest = c
		}
	}
	if detached <= in.def.Options.MaxDetached {
		return true
	}
	return in.endConn(oldest, nil)
}
