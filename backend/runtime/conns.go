package runtime

import (
	"slices"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
)

// conns are the connections of an instance, and the timer for those without a socket.
type conns struct {
	all      []*Conn // by number, ascending
	byID     map[string]*Conn
	attached map[host.Attachment]*Conn
	next     uint32 // the number of the next one

	window     time.Duration // how long a connection without a socket may be resumed
	onExpiry   func()        // called when one may have expired
	timer      *time.Timer
	nextExpiry time.Time // of the one that expires next; zero if all have a socket
}

func newConns(window time.Duration, onExpiry func()) conns {
	return conns{
		byID: map[string]*Conn{}, attached: map[host.Attachment]*Conn{}, next: 1,
		window: window, onExpiry: onExpiry,
	}
}

// byNum returns the connection with a number, nil if there is none.
func (cs *conns) byNum(num uint32) *Conn {
	i, ok := slices.BinarySearchFunc(cs.all, num, func(c *Conn, n uint32) int { return int(c.num) - int(n) })
	if !ok {
		return nil
	}
	return cs.all[i]
}

// restore adds a connection that is stored. Call sort when all are added.
func (cs *conns) restore(c *Conn) {
	cs.all = append(cs.all, c)
	cs.byID[c.id] = c
}

func (cs *conns) sort() {
	slices.SortFunc(cs.all, func(a, b *Conn) int { return int(a.num) - int(b.num) })
}

// join adds a connection with the next number.
func (cs *conns) join(c *Conn) {
	cs.all = append(cs.all, c)
	cs.byID[c.id] = c
	cs.attached[c.attachment] = c
	cs.next++
}

// attach gives a connection the socket of an attachment.
func (cs *conns) attach(c *Conn, a host.Attachment) {
	delete(cs.attached, c.attachment)
	c.attachment, c.online = a, true
	cs.attached[a] = c
}

// remove forgets a connection. It makes a new slice: a turn may be iterating over the
// old one.
func (cs *conns) remove(c *Conn) {
	cs.all = slices.DeleteFunc(slices.Clone(cs.all), func(x *Conn) bool { return x == c })
	delete(cs.byID, c.id)
	delete(cs.attached, c.attachment)
}

func (cs *conns) expiresAt(c *Conn) time.Time { return c.dropped.Add(cs.window) }

// armExpiry sets the timer for the connection that expires next.
func (cs *conns) armExpiry() {
	var next time.Time
	for _, c := range cs.all {
		if at := cs.expiresAt(c); !c.online && (next.IsZero() || at.Before(next)) {
			next = at
		}
	}
	cs.nextExpiry = next
	cs.stop()
	if !next.IsZero() {
		cs.timer = time.AfterFunc(time.Until(next), cs.onExpiry)
	}
}

// dropped marks a connection as without a socket.
func (cs *conns) dropped(c *Conn, now time.Time) {
	c.online, c.dropped = false, now
	if at := cs.expiresAt(c); cs.nextExpiry.IsZero() || at.Before(cs.nextExpiry) {
		cs.armExpiry()
	}
}

// stop stops the timer.
func (cs *conns) stop() {
	if cs.timer != nil {
		cs.timer.Stop()
		cs.timer = nil
	}
}
