package gateway

import (
	"encoding/json"
	"fmt"
	"slices"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

const maxSubs = 256 // event names in one message

var subsMetadata = host.Limit{Limit: maxSubs, Option: "subs"}.JSON()

// An actor's CanSubscribe, if it has one, approves the events that a connection
// subscribes to. For the events of an open, its answer comes in time: nothing is
// delivered before it. A later subscription is requested, and starts at the position of
// the answer in the log, so that nothing before it gets out.

// approvals are the events about which CanSubscribe has not answered; guarded by the
// socket's mu.
type approvals struct {
	last   uint64 // request
	events []approval
}

type approval struct {
	name    string
	request uint64
}

// needsApproval reports whether the actor approves the channel's subscriptions. It is true for
// an actor that is known by its id only, if any actor has a CanSubscribe.
func (c *channel) needsApproval() bool {
	return c.s.g.approves && c.s.g.definitions.Guards(c.fanout.ref.Name)
}

// requestApproval asks the actor whether the client may have more events.
func (c *channel) requestApproval(events []string) {
	s := c.s
	s.mu.Lock()
	if c.approvals == nil {
		c.approvals = &approvals{}
	}
	w := c.approvals
	w.last++
	request := host.SubscribeRequest{Attachment: c.attachment, ID: w.last}
	for _, e := range events {
		_, has := c.subs.Load().find(e)
		if has || len(w.events) >= maxSubs || slices.ContainsFunc(w.events, func(other approval) bool { return other.name == e }) {
			continue
		}
		w.events = append(w.events, approval{e, w.last})
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

// requestedEvents returns the events that the client has, or has requested.
func (c *channel) requestedEvents() []string {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	var events []string
	for _, sub := range *c.subs.Load() {
		events = append(events, sub.event)
	}
	if c.approvals != nil {
		for _, e := range c.approvals.events {
			events = append(events, e.name)
		}
	}
	return events
}

// approved takes what CanSubscribe has answered: to an open, to what was asked for,
// or, after a refresh, about everything.
func (c *channel) approved(o *host.Output, pos host.Pos) {
	var granted, refused []string
	for _, r := range o.Opened.Refused {
		refused = append(refused, r.Event)
	}
	c.s.mu.Lock()
	c.unsubscribeLocked(refused)
	if w := c.approvals; w != nil && o.Kind == host.OutputSubscribed {
		w.events = slices.DeleteFunc(w.events, func(e approval) bool {
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
		c.s.sendError(c.num, r.Err.Code, r.Err.Message, r.Err.Metadata)
	}
	for _, e := range granted {
		c.refuseUnknown(name, e)
	}
}

// refuseUnknown ends a subscription to an event that the actor does not have, and says so once:
// the actor's answers to an open and to a subscription may be taken at the same time.
func (c *channel) refuseUnknown(name, event string) {
	if c.fanout.ref.ID == "" || c.s.g.definitions.Emits(name, event) {
		return // with the name of the actor, what it does not have was not asked for
	}
	if c.unsubscribe([]string{event}) {
		c.unknownEvent(name, event)
	}
}

// knownEvents returns those of the events that the channel's actor has, and refuses the
// others. While the actor is not known, it returns all.
func (c *channel) knownEvents(events []string) []string {
	c.s.mu.Lock()
	name := c.name
	c.s.mu.Unlock()
	if len(events) > maxSubs {
		c.s.sendError(c.num, wire.CodeMalformed, fmt.Sprintf("at most %d event names in one message", maxSubs), subsMetadata)
		return nil
	}
	if name == "" {
		if subs := c.subs.Load(); subs != nil && len(*subs)+len(events) > maxSubs {
			c.s.sendError(c.num, wire.CodeMalformed, fmt.Sprintf("at most %d event names before the actor answers", maxSubs), subsMetadata)
			return nil
		}
		return events
	}
	known := make([]string, 0, len(events))
	for _, e := range events {
		if c.s.g.definitions.Emits(name, e) {
			known = append(known, e)
		} else {
			c.unknownEvent(name, e)
		}
	}
	return known
}

func (c *channel) unknownEvent(name, event string) {
	c.s.sendError(c.num, wire.CodeUnknownEvent, fmt.Sprintf("%s has no event %.64q", name, event), eventMetadata(event))
}

func eventMetadata(event string) json.RawMessage {
	b, err := json.Marshal(struct {
		Event string `json:"event"`
	}{event})
	if err != nil {
		panic("gateway: encode metadata: " + err.Error()) // strings always encode
	}
	return b
}
