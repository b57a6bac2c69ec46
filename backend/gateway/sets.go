package gateway

import (
	"cmp"
	"slices"
	"strings"

	"github.com/troupe-dev/troupe/backend/host"
)

// Most sockets have one channel, and most channels one subscription or a few: maps
// of them would be a large part of an idle client's memory.

// channels are those of a socket, by the client's numbers for them.
type channels []*channel

func (s channels) find(num uint32) (i int, ok bool) {
	return slices.BinarySearchFunc(s, num, func(c *channel, num uint32) int { return cmp.Compare(c.num, num) })
}

// get returns the channel with a number, nil if there is none.
func (s channels) get(num uint32) *channel {
	if i, ok := s.find(num); ok {
		return s[i]
	}
	return nil
}

// add adds a channel whose number is a new one.
func (s *channels) add(c *channel) {
	i, _ := s.find(c.num)
	*s = slices.Insert(*s, i, c)
}

// remove removes a channel, if it is there.
func (s *channels) remove(c *channel) {
	if i, ok := s.find(c.num); ok && (*s)[i] == c {
		*s = slices.Delete(*s, i, i+1)
	}
}

// subscriptions are those of a channel, by event, and never changed.
type subscriptions []subscription

// A subscription says from where on an event is wanted.
type subscription struct {
	event string
	seq   uint64   // entries above it
	pos   host.Pos // events without a number, from there on
}

func (s subscriptions) find(event string) (i int, ok bool) {
	return slices.BinarySearchFunc(s, event, func(sub subscription, event string) int { return strings.Compare(sub.event, event) })
}

// with returns the subscriptions and those to more events, from at on.
func (s subscriptions) with(events []string, at subscription) subscriptions {
	all := slices.Grow(slices.Clone(s), len(events))
	for _, e := range events {
		if i, ok := all.find(e); !ok {
			at.event = e
			all = slices.Insert(all, i, at)
		}
	}
	return all
}

// without returns the subscriptions to other events.
func (s subscriptions) without(events []string) subscriptions {
	return slices.DeleteFunc(slices.Clone(s), func(sub subscription) bool { return slices.Contains(events, sub.event) })
}
