package cluster

import (
	"cmp"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/troupe-dev/troupe/backend/store/jetstream"
)

// visitTimeout is for how long a visitor tries what the servers do not answer: its own embedded
// server may have to find the others first.
const visitTimeout = 30 * time.Second

// Backup writes all actors of a cluster to an empty store, as they were at one moment, while its
// nodes run. See jetstream.Backup. If the servers are embedded in nodes, most of them must run.
func Backup(ctx context.Context, o Options, to jetstream.Target) error {
	return visit(ctx, o, func(nc *nats.Conn, o jetstream.Options) error {
		return jetstream.Backup(ctx, nc, o, to)
	})
}

// Restore fills a cluster that has no actors with those of another store, and returns how many
// there are. See jetstream.Restore. If the servers are embedded in nodes, these run, and must be
// restarted after it.
func Restore(ctx context.Context, o Options, from jetstream.Source) (actors int, err error) {
	err = visit(ctx, o, func(nc *nats.Conn, o jetstream.Options) (err error) {
		actors, err = jetstream.Restore(ctx, nc, o, from)
		return err
	})
	return actors, err
}

// visit connects to the servers of a cluster without being a node of it.
func visit(ctx context.Context, o Options, f func(*nats.Conn, jetstream.Options) error) (err error) {
	o.Logger = cmp.Or(o.Logger, slog.Default())
	o.Node += "-" + rand.Text()[:8] // a node of this name may run
	var nc *nats.Conn
	switch of := o.Embed; {
	case of == nil:
		nc, err = connect(o, nats.RetryOnFailedConnect(false))
	case of.alone():
		o.URL, o.TLS = "nats://"+strings.Join(of.Peers, ","), of.TLS
		nc, err = connect(o, nats.RetryOnFailedConnect(false), nats.UserInfo(user, of.Secret))
	default:
		dir, dirErr := os.MkdirTemp("", "troupe")
		if dirErr != nil {
			return dirErr
		}
		defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
		embed := *o.Embed
		embed.Name, embed.Dir, embed.Logger = o.Node, dir, o.Logger
		embed.Listen, embed.Voter, embed.Guest = "127.0.0.1:0", false, true
		server, embedErr := Embed(embed)
		if embedErr != nil {
			return embedErr
		}
		defer server.Stop()
		nc, err = server.Connect()
	}
	if err != nil {
		return fmt.Errorf("cluster: connect to NATS: %w", err)
	}
	defer nc.Close()
	return f(nc, jetstream.Options{Replicas: o.Replicas, Timeout: visitTimeout, Logger: o.Logger})
}
