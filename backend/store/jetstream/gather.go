package jetstream

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"github.com/nats-io/nats.go/jetstream"
)

// Gather has the server that leads the stream of journals lead the other streams, too, if there are
// several servers and all replicas are up to date: then the death of any other one elects no
// leader, which takes NATS seconds. It returns the streams that it has moved, for which
// writes wait for a moment. Call it now and then; not at the same time.
func (s *Store) Gather(ctx context.Context) (moved []string, err error) {
	c := s.own.client
	journal, err := c.replicas(ctx, c.journal)
	if err != nil || journal == nil {
		return nil, err
	}
	var others []*jetstream.StreamInfo
	for _, stream := range []string{c.state, c.items, c.table} {
		of, err := c.replicas(ctx, stream)
		if err != nil || of == nil {
			return nil, err
		}
		if of.Cluster.Leader != journal.Cluster.Leader {
			others = append(others, of)
		}
	}
	for _, of := range others {
		if !slices.ContainsFunc(of.Cluster.Replicas, func(p *jetstream.PeerInfo) bool { return p.Name == journal.Cluster.Leader }) {
			continue
		}
		if err := c.stepDown(ctx, of.Config.Name, journal.Cluster.Leader); err != nil {
			return moved, err
		}
		moved = append(moved, of.Config.Name)
	}
	return moved, nil
}

// replicas returns what is known of a stream that has a leader and followers which are all up to
// date, and nil of any other one.
func (c *client) replicas(ctx context.Context, stream string) (*jetstream.StreamInfo, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	s, err := c.js.Stream(ctx, stream)
	if err != nil {
		return nil, err
	}
	info := s.CachedInfo()
	if info.Cluster == nil || info.Cluster.Leader == "" || len(info.Cluster.Replicas) == 0 ||
		slices.ContainsFunc(info.Cluster.Replicas, func(p *jetstream.PeerInfo) bool { return !p.Current || p.Offline }) {
		return nil, nil
	}
	return info, nil
}

// stepDown has another server lead a stream.
func (c *client) stepDown(ctx context.Context, stream, to string) error {
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	m, err := c.nc.RequestWithContext(ctx, jetstream.DefaultAPIPrefix+"STREAM.LEADER.STEPDOWN."+stream, fmt.Appendf(nil, `{"placement":{"preferred":%q}}`, to))
	if err != nil {
		return err
	}
	var answer struct {
		Error *jetstream.APIError `json:"error"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return fmt.Errorf("the answer of stream %s: %w", stream, err)
	}
	if answer.Error != nil {
		return answer.Error
	}
	return nil
}
