package jetstream

import (
	"slices"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

// TestGather: after Gather one of three servers leads all streams, whichever servers led them before.
func TestGather(t *testing.T) {
	p := threeServers(t).newPlace(quiet)
	defer p.remove(t)
	s := p.takeOver(t)
	c := s.own.client
	info := func(stream string) *jetstream.StreamInfo {
		for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
			info, err := c.replicas(t.Context(), stream)
			if err == nil && info != nil {
				return info
			}
			if time.Now().After(deadline) {
				t.Fatalf("stream %s has no leader with followers that are up to date: %v", stream, err)
			}
		}
	}
	leader := func(stream string) string { return info(stream).Cluster.Leader }
	gather := func() {
		for deadline := time.Now().Add(time.Minute); ; {
			moved, err := s.Gather(t.Context())
			journals := leader(c.journal)
			if !slices.ContainsFunc([]string{c.items, c.state, c.table}, func(stream string) bool { return leader(stream) != journals }) {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("several servers lead streams, after %v were moved with error %v", moved, err)
			}
		}
	}
	gather()
	for rev := uint64(1); rev <= 3; rev++ {
		was := info(c.journal).Cluster
		for deadline := time.Now().Add(time.Minute); leader(c.journal) == was.Leader; {
			if err := c.stepDown(t.Context(), c.journal, was.Replicas[0].Name); time.Now().After(deadline) {
				t.Fatalf("%s still leads the journals, error %v", was.Leader, err)
			}
		}
		gather()
		commit(t, s, commitOf("ada", rev))
	}
	if moved, err := s.Gather(t.Context()); err != nil || len(moved) > 0 {
		t.Errorf("%v were moved once more, error %v", moved, err)
	}
}
