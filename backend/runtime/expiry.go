package runtime

import (
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

var errEnded = host.Faultf(wire.CodeDisconnected, "the connection has ended")

// expire ends the connections whose resume window is over, and has clients authenticated
// again whose identity is no longer valid. It reports false if
// the instance was abandoned meanwhile.
func (in *instance) expire(now time.Time) bool {
	if in.conns.nextExpiry.IsZero() || now.Before(in.conns.nextExpiry) {
		return true
	}
	for _, c := range in.conns.expired(now) {
		if in.conns.byID[c.id] != c { // the end of another one may have ended it
			continue
		}
		if in.actor.gate.room() != nil {
			return true // the pending reset expires them again
		}
		end := in.reauthenticate
		if !c.online {
			var why *host.Fault
			if c.over {
				why = errEnded // it may have a socket, whose client does not know
			}
			end = func(c *Conn) bool { return in.endConn(c, why) }
		}
		if !end(c) {
			return false
		}
	}
	in.conns.armExpiry()
	return true
}

// endConn ends a connection in a separate turn. why is sent to its client, unless it is
// nil.
func (in *instance) endConn(c *Conn, why *host.Fault) bool {
	t := in.watchdog.watch(&Turn{
		in: in, span: span{what: "OnDisconnect"}, conn: c, ending: c, ended: []*Conn{c},
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

// limitDetached ends a connection if too many have no socket, see conns.excess.
func (in *instance) limitDetached() bool {
	if c := in.conns.excess(in.def.Options.MaxDetached); c != nil {
		return in.endConn(c, nil)
	}
	return true
}

// expiryEnvelope wakes an actor, so that it ends its expired connections, and calls done
// then.
type expiryEnvelope struct{ done func(*host.Fault) }

func (m *expiryEnvelope) deliver(*instance) bool           { m.done(nil); return true }
func (m *expiryEnvelope) size() int                        { return 0 }
func (m *expiryEnvelope) refuse(_ *Actor, err *host.Fault) { m.done(err) }
