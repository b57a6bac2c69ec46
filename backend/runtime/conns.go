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
	nextExpiry time.Time // of the one that expires next; zero if all have a socket

	// Those without a socket, in the order in which they lost it: all, and by owner.
	detached   list.List
	detachedOf map[string]*list.List
	noisiest   tally
}

func newConns(window time.Duration, onExpiry func()) conns {
	return conns{
		byID: map[string]*Conn{}, attached: map[host.Attachment]*Conn{}, next: 1,
		window: window, onExpiry: onExpiry, detachedOf: map[string]*list.List{},
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
	cs.unlist(c)
	c.attachment, c.online = a, true
	cs.attached[a] = c
}

// remove forgets a connection. It makes a new slice: a turn may be iterating over the
// old one.
func (cs *conns) remove(c *Conn) {
	cs.all = slices.DeleteFunc(slices.Clone(cs.all), func(x *Conn) bool { return x == c })
	delete(cs.byID, c.id)
	delete(cs.attached, c.attachment)
	cs.unlist(c)
}

// producers returns the producers of the connections.
func (cs *conns) producers() map[string]bool {
	ids := make(map[string]bool, len(cs.all))
	for _, c := range cs.all {
		ids[c.producer] = true
	}
	return ids
}

func (cs *conns) expiresAt(c *Conn) time.Time { return c.dropped.Add(cs.window) }

// list adds a connection to those without a socket. It lost its socket after them.
func (cs *conns) list(c *Conn) {
	owner := c.owner()
	of := cs.detachedOf[owner]
	if of == nil {
		of = list.New()
		cs.detachedOf[owner] = of
	}
	c.detached, c.detachedOf = cs.detached.PushBack(c), of.PushBack(c)
	cs.noisiest.add(owner)
}

// unlist takes a connection from those without a socket, if it is one.
func (cs *conns) unlist(c *Conn) {
	if c.detached == nil {
		return
	}
	owner := c.owner()
	cs.detached.Remove(c.detached)
	of := cs.detachedOf[owner]
	if of.Remove(c.detachedOf); of.Len() == 0 {
		delete(cs.detachedOf, owner)
	}
	cs.noisiest.remove(owner)
	c.detached, c.detachedOf = nil, nil
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

// expired returns the connections whose resume window is over.
func (cs *conns) expired(now time.Time) (over []*Conn) {
	for e := cs.detached.Front(); e != nil && !now.Before(cs.expiresAt(e.Value.(*Conn))); e = e.Next() {
		over = append(over, e.Value.(*Conn))
	}
	return over
}

// excess returns the connection to end if more than limit have no socket, else nil: of the
// owner who has most of them the one without a socket for longest.
func (cs *conns) excess(limit int) *Conn {
	if cs.detached.Len() <= limit {
		return nil
	}
	owner, _ := cs.noisiest.most()
	return cs.detachedOf[owner].Front().Value.(*Conn)
}

// armExpiry sets the timer for the connection that expires next.
func (cs *conns) armExpiry() {
	var next time.Time
	if e := cs.detached.Front(); e != nil {
		next = cs.expiresAt(e.Value.(*Conn))
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
	if cs.nextExpiry.IsZero() {
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
