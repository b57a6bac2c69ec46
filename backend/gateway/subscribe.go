package gateway

import (
	"slices"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

// Which events a connection may subscribe to is for the actor's CanSubscribe to say,
// if it has one. Of the events that come with an open the answer to that tells, in
// time: before it nothing is delivered. What comes later is asked for, and starts at
// the place of the answer in the log, so that nothing before it gets out.

// wishes are the events about which CanSubscribe has not answered; guarded by the
// socket's mu.
type wishes struct {
	last   uint64 // request
	events []wish
}

type wish struct {
	name    string
	request uint64
}

// guarded reports whether the actor approves the channel's subscriptions. It is true for
// an actor that is known by its id only, if any actor has a CanSubscribe.
func (c *channel) guarded() bool {
	return c.s.g.guards && c.s.g.definitions.Guards(c.feed.ref.Name)
}

// askFor asks the actor whether the client may have more events.
func (c *channel) askFor(events []string) {
	s := c.s
	s.mu.Lock()
	if c.wishes == nil {
		c.wishes = &wishes{}
	}
	w := c.wishes
	w.last++
	request := host.SubscribeRequest{Attachment: c.attachment, ID: w.last}
	for _, e := range events {
		_, has := c.subs.Load().find(e)
		if has || len(w.events) >= maxSubs || slices.ContainsFunc(w.events, func(other wish) bool { return other.name == e }) {
			continue
		}
		w.events = append(w.events, wish{e, w.last})
		request.Events = append(request.Events, e)
	}
	s.mu.Unlock()
	if len(request.Events) == 0 {
		return
	}
	if err := s.g.host.Subscribe(c.followed(), request); err != nil {
		s.deny(c, true, err)
	}
}

// wanted returns the events that the client of a channel has, or has asked for.
func (c *channel) wanted() []string {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	var events []string
	for _, sub := range *c.subs.Load() {
		events = append(events, sub.event)
	}
	if c.wishes != nil {
		for _, e := range c.wishes.events {
			events = append(events, e.name)
		}
	}
	return events
}

// permitted takes what CanSubscribe has answered: to an open, to what was asked for,
// or, after a refresh, about everything.
func (c *channel) permitted(o *host.Output, pos host.Pos) {
	var granted, refused []string
	for _, r := range o.Opened.Refused {
		refused = append(refused, r.Event)
	}
	c.s.mu.Lock()
	c.unsubscribeLocked(refused)
	if w := c.wishes; w != nil && o.Kind == host.OutputSubscribed {
		w.events = slices.DeleteFunc(w.events, func(e wish) bool {
			if e.request == o.Call && !slices.Contains(refused, e.name) {
				granted = append(granted, e.name)
			}
			return e.request == o.Call
		})
		subs := c.subs.Load().with(granted, subscription{seq: o.Seq, pos: pos})
		c.subs.Store(&subs)
	}
	name := c.name
	c.s.mu.Unlock()
	for _, r := range o.Opened.Refused {
		c.s.refuse(wire.Envelope{Channel: c.num}, r.Err.Code, r.Err.Message, r.Err.Metadata)
	}
	if c.feed.ref.ID == "" {
		return // what it does not have was not asked for
	}
	for _, e := range granted {
		if !c.s.g.definitions.Emits(name, e) {
			c.unsubscribe([]string{e})
			c.s.unknownEvent(c.num, name, e)
		}
	}
}
