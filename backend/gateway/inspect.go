package gateway

import (
	"math"
	"slices"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
)

// Inspector looks at the channels of a gateway, for operators. Looking changes nothing and
// stops nothing. Its methods may be called at the same time.
type Inspector struct{ g *Gateway }

// Inspect returns the inspector of a gateway.
func Inspect(g *Gateway) *Inspector { return &Inspector{g} }

// Traffic returns what the gateway has counted. It takes the same time for any number of
// sockets.
func (i *Inspector) Traffic() host.Traffic {
	c := &i.g.stats
	return host.Traffic{
		Sockets: i.g.Sockets(), Messages: c.traffic.Snapshot().MessagesOut, Calls: c.calls.Load() + i.g.calls.Calls(),
		Errors: c.errors.Snapshot(), Gaps: c.gaps.Snapshot(),
	}
}

// Channels returns the channels of attachments to an actor, as far as they are here.
func (i *Inspector) Channels(actor host.Ref, attachments []host.Attachment) map[host.Attachment]host.Channel {
	looks := map[host.Attachment]host.Channel{}
	for _, f := range i.g.fanouts.of(actor) {
		select {
		case <-f.followed:
		default:
			continue // it has no channels that an actor knows
		}
		var found []*channel
		f.mu.Lock()
		for _, a := range attachments {
			if c := f.attached[a]; c != nil {
				found = append(found, c)
			}
		}
		f.mu.Unlock()
		for _, c := range found {
			looks[c.attachment] = inspectChannel(c)
		}
	}
	return looks
}

// of returns the fanouts of an actor: its channels were opened by its key, or by its id.
func (fs *fanouts) of(actor host.Ref) (found []*fanout) {
	fs.mu.Lock()
	defer fs.mu.Unlock()
	for _, r := range []host.Ref{{ID: actor.ID}, {Name: actor.Name, Key: actor.Key}} {
		if f := fs.open[keyOf(r)]; f != nil {
			found = append(found, f)
		}
	}
	return found
}

func inspectChannel(c *channel) host.Channel {
	s := c.s
	look := host.Channel{Attachment: c.attachment, Socket: s.attachment.N >> 32, Transport: transportName(s.out), Sent: c.sent.Load()}
	if s.address.IsValid() {
		look.Address = s.address.String()
	}
	if ms := c.sentAt.Load(); ms > 0 {
		look.SentAt = time.UnixMilli(ms)
	}
	look.Blocked = s.out.Pending()
	// A channel that is not marked has nothing to look at: what is above Sent is not for it.
	if head := c.log.Head(); (c.marked.Load() || look.Blocked) && head > look.Sent {
		look.Behind = head - look.Sent
	}
	for _, sub := range *c.subs.Load() {
		after := sub.seq
		if after == math.MaxUint64 {
			after = 0
		}
		look.Subscriptions = append(look.Subscriptions, host.Subscription{Event: sub.event, After: after})
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	look.Unanswered = slices.Clone(c.inFlight)
	return look
}
