package runtime

import (
	"container/list"
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
	nextExpiry time.Time // when the next one expires, or is to be authenticated again; zero for none

	// Those without a socket, in the order in which they lost it, and how many of them each
	// address has, and each subject of it.
	detached list.List
	noisiest tally
	within   map[string]*tally
}

func newConns(window time.Duration, onExpiry func()) conns {
	return conns{
		byID: map[string]*Conn{}, attached: map[host.Attachment]*Conn{}, next: 1,
		window: window, onExpiry: onExpiry, within: map[string]*tally{},
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
	cs.armAt(c.who.Until)
}

// attach gives a connection the socket of an attachment.
func (cs *conns) attach(c *Conn, a host.Attachment) {
	delete(cs.attached, c.attachment)
	cs.unlist(c)
	c.attachment, c.online = a, true
	cs.attached[a] = c
}

// detach forgets the socket of a connection. What still comes from it is dropped.
func (cs *conns) detach(c *Conn) {
	delete(cs.attached, c.attachment)
	c.attachment = host.Attachment{}
}

// remove forgets a connection. It makes a new slice: a turn may be iterating over the
// old one.
func (cs *conns) remove(c *Conn) {
	cs.all = slices.DeleteFunc(slices.Clone(cs.all), func(x *Conn) bool { return x == c })
	delete(cs.byID, c.id)
	delete(cs.attached, c.attachment)
	cs.unlist(c)
}

// clear forgets all connections.
func (cs *conns) clear() {
	cs.stop()
	next := cs.next
	*cs = newConns(cs.window, cs.onExpiry)
	cs.next = next
}

// producers returns the producers of the connections.
func (cs *conns) producers() map[string]bool {
	ids := make(map[string]bool, len(cs.all))
	for _, c := range cs.all {
		ids[c.producer] = true
	}
	return ids
}

// expiresAt returns when a connection without a socket ends, or when the client of one with
// a socket has to be authenticated again; zero for never.
func (cs *conns) expiresAt(c *Conn) time.Time {
	if c.online {
		return c.who.Until
	}
	return c.dropped.Add(cs.window)
}

// armAt sets the timer to a time, if that is before the one it is set to. Zero is never.
func (cs *conns) armAt(at time.Time) {
	if !at.IsZero() && (cs.nextExpiry.IsZero() || at.Before(cs.nextExpiry)) {
		cs.armExpiry()
	}
}

// list adds a connection to those without a socket. It lost its socket after them.
func (cs *conns) list(c *Conn) {
	c.detached, c.share = cs.detached.PushBack(c), ownerOf(c.from, c.owner, c.id)
	cs.noisiest.add(c.share.from)
	if cs.within[c.share.from] == nil {
		cs.within[c.share.from] = &tally{}
	}
	cs.within[c.share.from].add(c.share.subject)
}

// unlist takes a connection from those without a socket, if it is one.
func (cs *conns) unlist(c *Conn) {
	if c.detached == nil {
		return
	}
	cs.detached.Remove(c.detached)
	c.detached = nil
	cs.noisiest.remove(c.share.from)
	within := cs.within[c.share.from]
	if within.remove(c.share.subject); len(within.of) == 0 {
		delete(cs.within, c.share.from)
	}
}

// started lists the connections without a socket when all are restored.
func (cs *conns) started() {
	without := slices.DeleteFunc(slices.Clone(cs.all), func(c *Conn) bool { return c.online || c.detached != nil })
	slices.SortStableFunc(without, func(a, b *Conn) int { return a.dropped.Compare(b.dropped) })
	for _, c := range without {
		cs.list(c)
	}
	cs.armExpiry()
}

// expired returns the connections whose resume window is over, and those whose clients have
// to be authenticated again.
func (cs *conns) expired(now time.Time) (over []*Conn) {
	for e := cs.detached.Front(); e != nil && !now.Before(cs.expiresAt(e.Value.(*Conn))); e = e.Next() {
		over = append(over, e.Value.(*Conn))
	}
	for _, c := range cs.all {
		if at := c.who.Until; c.online && !at.IsZero() && !now.Before(at) {
			over = append(over, c)
		}
	}
	return over
}

// excess returns the connection to end if more than limit have no socket, else nil: of the
// address that has most of them, of its subject that has most, the one without a socket for longest.
func (cs *conns) excess(limit int) *Conn {
	if cs.detached.Len() <= limit {
		return nil
	}
	_, most := cs.noisiest.most()
	for e := cs.detached.Front(); e != nil; e = e.Next() {
		c := e.Value.(*Conn)
		if cs.noisiest.of[c.share.from] != most {
			continue
		}
		within := cs.within[c.share.from]
		if _, most := within.most(); within.of[c.share.subject] == most {
			return c
		}
	}
	return nil
}

// armExpiry sets the timer for the connection that expires next.
func (cs *conns) armExpiry() {
	var next time.Time
	if e := cs.detached.Front(); e != nil {
		next = cs.expiresAt(e.Value.(*Conn))
	}
	for _, c := range cs.all {
		if at := c.who.Until; c.online && !at.IsZero() && (next.IsZero() || at.Before(next)) {
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
	cs.list(c)
	cs.armAt(cs.expiresAt(c))
}

// stop stops the timer.
func (cs *conns) stop() {
	if cs.timer != nil {
		cs.timer.Stop()
		cs.timer = nil
	}
}
