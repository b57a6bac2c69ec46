package server

import (
	"cmp"
	"context"
	"log/slog"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
)

// Limits of the steps of a shutdown that only a node of a cluster has.
const (
	leaveTimeout   = 10 * time.Second // giving actors to other nodes
	clusterTimeout = 3 * time.Second  // leaving the cluster, with what is left of the actors
)

// makeActors makes the node, and returns where the gateway reaches all actors.
func makeActors(s *Server, registry *actor.Registry) host.Host {
	o := s.opts
	options := runtime.Options{
		Logger: o.Logger, Check: o.Check, MaxActors: o.MaxActors, MaxActorBytes: o.MaxActorBytes, MaxQueuedBytes: o.MaxBuffers, TableCacheBytes: o.TableCache,
		NewActor: func(from string) error { return s.gateway.NewActor(from) },
	}
	if o.Cluster == nil {
		s.node = runtime.New(registry, s.store, options)
		return s.node
	}
	options.Owns, options.Courier = o.Cluster.Owns, o.Cluster
	s.node = runtime.New(registry, s.store, options)
	versions := map[string]int{}
	for name, d := range registry.Definitions() {
		versions[name] = d.Version()
	}
	return o.Cluster.Attach(host.ClusterNode{
		Host: s.node, Courier: runtime.CourierOf(s.node), Partitions: runtime.PartitionsOf(s.node),
		Contract: registry.Contract().Fingerprint, Versions: versions, Retention: registry.Retention(), JournalBytes: o.JournalBytes,
	})
}

// peersOf returns the other nodes of the options' cluster; nil if there is none.
func peersOf(o Options) host.Peers {
	if o.Cluster == nil {
		return nil
	}
	return o.Cluster
}

// joinCluster waits until the server is a node of its cluster, if it has one.
func joinCluster(ctx context.Context, o Options) error {
	if o.Cluster == nil {
		return nil
	}
	return wrap("join the cluster", o.Cluster.Join(ctx))
}

// leaveCluster gives the server's actors to other nodes, if it has any.
func leaveCluster(ctx context.Context, o Options) {
	if o.Cluster == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, leaveTimeout)
	defer cancel()
	if err := o.Cluster.Leave(ctx); err != nil {
		o.Logger.Warn("actors move to other nodes later, when this one has left its cluster", "error", err)
	}
}

// closeCluster leaves the options' cluster, if there is one. Nothing is lost if that fails.
func closeCluster(ctx context.Context, o Options) {
	if o.Cluster == nil {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, clusterTimeout)
	defer cancel()
	if err := o.Cluster.Close(ctx); err != nil {
		cmp.Or(o.Logger, slog.Default()).Warn("the server ends without having left its cluster", "error", err)
	}
}

// clusterEnded is closed when the server can no longer be a node of its cluster.
func clusterEnded(o Options) <-chan struct{} {
	if o.Cluster == nil {
		return nil
	}
	return o.Cluster.Ended()
}
