package cluster

import (
	"context"
	"errors"
	"net/http"

	"github.com/troupe-dev/troupe/backend/cluster/link"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

var _ host.Peers = (*Cluster)(nil)

// Nodes implements host.Peers.
func (c *Cluster) Nodes() host.ClusterInfo {
	info := host.ClusterInfo{}
	if port := c.port.Load(); port != nil {
		s := port.stats()
		info.Links = host.LinkInfo{
			In: s.ReceivedBytes.Load(), Out: s.SentBytes.Load(), Unacked: s.UnackedBytes.Load(),
			Gaps: s.Gaps.Load(), Repeated: s.Repeated.Load(), Ended: s.Ended.Load(),
		}
	}
	t, self := c.member.table()
	if t == nil {
		return info
	}
	info.Self, info.Version = self, t.Version
	for _, n := range t.Nodes {
		info.Nodes = append(info.Nodes, host.NodeInfo{Slot: n.Slot, Name: n.Name, State: string(n.State), Partitions: len(t.owned(n.Slot))})
	}
	return info
}

// Owner implements host.Peers.
func (c *Cluster) Owner(part int) (owner, self uint32) { return c.member.Owner(part) }

// Inspect implements host.Peers.
func (c *Cluster) Inspect(ctx context.Context, slot uint32, q host.InspectRequest, part func([]byte)) error {
	port := c.port.Load()
	if port == nil {
		return errNotJoined
	}
	return port.Inspect(ctx, slot, q, part)
}

// ServeInspector implements host.Peers.
func (c *Cluster) ServeInspector(s host.InspectServer) { c.port.Load().inspector = s }

// Inspect takes a request to another node's inspector. See host.Peers.
func (p *Port) Inspect(ctx context.Context, slot uint32, q host.InspectRequest, part func([]byte)) error {
	i := &item{Kind: itemInspect, Inspect: &q, part: part}
	answer, err := p.ask(ctx, slot, i)
	switch {
	case err == nil && answer.Err != nil:
		return answer.Err
	case err == nil:
		return nil
	case errors.Is(err, link.ErrFull):
		return faultOf(err)
	case ctx.Err() != nil:
		_ = p.send(slot, &item{Kind: itemCancel, Number: i.Number}, true) // else the session has ended, and the request with it
		return ctx.Err()
	case q.Method == http.MethodGet || !errors.Is(err, errSessionEnded):
		return host.Faultf(wire.CodeUnavailable, "the node cannot be reached at the moment")
	}
	return host.Faultf(wire.CodeMaybeRan, "the node was lost before its answer: look whether it was done")
}

var errNoInspector = host.Faultf(wire.CodeUnavailable, "the node of this actor has no inspector: start it with -inspect, too")

// inspect answers a request for this node's inspector.
func (s *served) inspect(i *item) {
	of := s.port.inspector
	if of == nil {
		s.done(i.Number, &item{}, errNoInspector)
		return
	}
	s.answer(i.Number, errNoInspector, func(ctx context.Context, write func(context.Context, []byte) error) error {
		return of.ServeInspect(ctx, *i.Inspect, write)
	})
}
