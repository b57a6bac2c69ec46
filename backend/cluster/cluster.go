package cluster

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	natsjs "github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/troupe-dev/troupe/backend/cluster/link"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/jetstream"
	"github.com/troupe-dev/troupe/backend/wire"
)

// Options are the options of a Cluster.
type Options struct {
	// Node is the name of this node: unique, and the same at each start.
	Node string

	// Embed starts a nats-server in this process; its name is Node. nil: the servers at URL.
	Embed *EmbedOptions

	// URL are the addresses of NATS servers with JetStream, separated by commas
	// ("nats://user:password@host:4222"). Their sync_interval must be always: with NATS's
	// default a power cut of all of them loses what was acknowledged.
	URL string
	TLS *tls.Config // of connections to URL: with it all use TLS, also those to nats://

	// Replicas is how many servers keep each message [3]. What most of them have on their
	// disks is acknowledged. It is used when the streams are made, at the very first start.
	Replicas int

	// Lease is for how long a node may answer without asking the servers, and how long others
	// wait until they take over the actors of one that is silent [3 s]. All nodes have the same.
	Lease time.Duration

	// ProveReads asks the servers before each answer that no commit vouches for. With it a
	// machine whose clock stands still gives no stale answers either; reads wait for the servers.
	ProveReads bool

	Logger *slog.Logger // [slog.Default()]
}

// DefaultLease is Options.Lease by default.
const DefaultLease = 3 * time.Second

// Cluster is a node of a cluster, as a server needs it. Make one with New. The server that gets
// it closes it.
type Cluster struct {
	log      *slog.Logger
	embedded *Embedded // nil: external servers
	nc       *nats.Conn
	store    *jetStore
	member   *member
	prove    bool

	partitions host.Partitions // set by Attach
	port       atomic.Pointer[Port]

	stop    context.CancelFunc // kills the member
	running context.Context
	ended   chan struct{}
	begun   sync.Once
	closing sync.Once
	ready   atomic.Uint32 // the slot with which the node was ready once

	mu  sync.Mutex
	err error // why it has ended
}

var (
	_ host.Cluster         = (*Cluster)(nil)
	_ prometheus.Collector = (*Cluster)(nil)
)

// New starts the embedded server, or begins to connect to others. It does not wait for other
// nodes: Join does.
func New(o Options) (*Cluster, error) {
	o.Logger = cmp.Or(o.Logger, slog.Default())
	c := &Cluster{log: o.Logger, prove: o.ProveReads, ended: make(chan struct{})}
	var err error
	if o.Embed != nil {
		embed := *o.Embed
		embed.Name, embed.Logger = o.Node, o.Logger
		if c.embedded, err = Embed(embed); err != nil {
			return nil, err
		}
		c.nc, err = c.embedded.Connect()
	} else {
		c.nc, err = connect(o)
	}
	if err != nil {
		c.release()
		return nil, fmt.Errorf("cluster: connect to NATS: %w", err)
	}
	js, err := natsjs.New(c.nc)
	if err != nil {
		c.release()
		return nil, fmt.Errorf("cluster: %w", err)
	}
	c.store = &jetStore{nc: c.nc, options: jetstream.Options{Replicas: o.Replicas, Logger: o.Logger}}
	self := node{Name: o.Node, Proto: [2]int{link.MinFormat, link.MaxFormat}}
	c.member = newMember(options{Node: self, Lease: cmp.Or(o.Lease, DefaultLease), Logger: o.Logger},
		c.store, c, &natsRegister{js: js, stream: "TROUPE_T", subject: "t.t.table"}, &natsBus{c.nc, "t", o.Logger})
	c.running, c.stop = context.WithCancel(context.Background())
	return c, nil
}

// connect makes a client of external servers. It does not wait for them.
func connect(o Options, more ...nats.Option) (*nats.Conn, error) {
	log := o.Logger
	options := append([]nats.Option{
		nats.Name("troupe " + o.Node),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("cluster: the connection to NATS is lost, and made again", "error", err)
			}
		}),
		nats.ReconnectErrHandler(failures(log)),
		nats.ReconnectHandler(func(nc *nats.Conn) { log.Info("cluster: connected to NATS", "server", nc.ConnectedUrlRedacted()) }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) {
			log.Warn("cluster: NATS", "error", err)
		}),
	}, more...)
	if o.TLS != nil {
		options = append(options, nats.Secure(o.TLS))
	}
	return jetstream.Connect(o.URL, options...)
}

// failures returns a function that logs why a connection fails: each reason when it is new, and then
// once a minute, whichever local port it names. The client calls it several times a second.
func failures(log *slog.Logger) func(*nats.Conn, error) {
	reasons := newServerLog(log)
	return func(_ *nats.Conn, err error) {
		if reasons.isNew(err.Error()) {
			log.Warn("cluster: cannot connect to NATS, and tries again: check -cluster with its password or token, and -cluster-tls-ca, -cert and -key", "error", err)
		}
	}
}

// release gives the connection and the server up.
func (c *Cluster) release() {
	if c.nc != nil {
		c.nc.Close()
	}
	if c.embedded != nil {
		c.embedded.Stop()
	}
}

// Store implements host.Cluster. It is a store.Owner.
func (c *Cluster) Store() store.Store { return provenStore{actorStore{c.store}, c.prove} }

// provenStore is an actorStore that may have to prove each read.
type provenStore struct {
	actorStore
	always bool
}

// Valid implements store.Owner.
func (s provenStore) Valid() bool { return !s.always && s.actorStore.Valid() }

// Owns implements host.Cluster.
func (c *Cluster) Owns(part int) (since time.Time, ok bool) { return c.member.owns(part) }

// Attach implements host.Cluster.
func (c *Cluster) Attach(n host.ClusterNode) host.Host {
	c.partitions = n.Partitions
	self := &c.member.Node
	self.Contract, self.Versions = n.Contract, n.Versions
	c.member.Window = n.Retention
	c.store.options.Retention, c.store.options.MaxBytes = n.Retention, n.JournalBytes
	local := struct {
		host.Host
		host.Partitions
	}{n.Host, n.Partitions}
	port := NewPort(local, n.Courier, c.member, PortOptions{Logger: c.log})
	c.member.speaker = port
	c.port.Store(port)
	return port
}

// Adopt implements actors.
func (c *Cluster) Adopt(part int, doubted time.Time) { c.partitions.Adopt(part, doubted) }

// Release implements actors.
func (c *Cluster) Release(ctx context.Context, parts []int) error {
	return c.partitions.Release(ctx, parts)
}

// Reset implements actors.
func (c *Cluster) Reset(parts []int) { c.partitions.Reset(parts) }

// Deliver implements host.Courier.
func (c *Cluster) Deliver(d *host.Delivery, answered func([]host.DeliveryAnswer, error)) {
	if port := c.port.Load(); port != nil {
		port.Deliver(d, answered)
		return
	}
	answered(nil, errNotJoined)
}

// Inquire implements host.Courier.
func (c *Cluster) Inquire(q host.Inquiry, answered func(uint64, error)) {
	if port := c.port.Load(); port != nil {
		port.Inquire(q, answered)
		return
	}
	answered(0, errNotJoined)
}

// Slot implements host.Forwarder.
func (c *Cluster) Slot() uint32 {
	if port := c.port.Load(); port != nil {
		return port.Slot()
	}
	return 0
}

// Forward implements host.Forwarder.
func (c *Cluster) Forward(ctx context.Context, slot uint32, q host.SocketRequest) ([]byte, error) {
	if port := c.port.Load(); port != nil {
		return port.Forward(ctx, slot, q)
	}
	return nil, errUnknownSocket
}

// ServeSockets implements host.Cluster.
func (c *Cluster) ServeSockets(s host.SocketServer) {
	if port := c.port.Load(); port != nil {
		port.ServeSockets(s)
	}
}

var errNotJoined = host.Faultf(wire.CodeUnavailable, "the node has not joined its cluster yet")

// Join implements host.Cluster.
func (c *Cluster) Join(ctx context.Context) error {
	c.begun.Do(func() {
		go c.run()
		if c.embedded != nil {
			go c.watchServer()
		}
	})
	select {
	case <-c.member.joined:
		return nil
	case <-c.ended:
		return c.Err()
	case <-ctx.Done():
		return ctx.Err()
	}
}

// run is the member's life. An error of it is the end of the node.
func (c *Cluster) run() {
	if err := c.member.run(c.running); err != nil && c.running.Err() == nil {
		c.fail(err)
	}
}

// watchServer ends the node when its embedded server can no longer store anything: that does
// not mend itself, and a supervisor may start the process again. Others get its actors soon
// after. It also ends a node that finds another one with its name before it has joined: servers
// vote under their names. Who was there first stays.
func (c *Cluster) watchServer() {
	twin := c.embedded.twin
	check := time.NewTicker(time.Second)
	defer check.Stop()
	for {
		select {
		case <-c.running.Done():
			return
		case <-check.C:
		case <-twin:
			twin = nil
			if !c.hasJoined() {
				c.fail(fmt.Errorf("cluster: another server of the cluster has the name %q, too: give each one its own (-node)", c.member.Node.Name))
				return
			}
		}
		if err := c.embedded.Check(); err != nil {
			c.fail(err)
			return
		}
	}
}

// fail ends the node for a reason.
func (c *Cluster) fail(err error) {
	c.mu.Lock()
	first := c.err == nil
	if first {
		c.err = err
	}
	c.mu.Unlock()
	if first {
		c.log.Error("cluster: the node ends", "node", c.member.Node.Name, "error", err)
		close(c.ended)
		c.stop()
	}
}

// Ended implements host.Cluster.
func (c *Cluster) Ended() <-chan struct{} { return c.ended }

// Err implements host.Cluster.
func (c *Cluster) Err() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Errors of Health and Ready.
var (
	errNoLease    = errors.New("cluster: most of the NATS servers have not answered for longer than the lease")
	errJoining    = errors.New("cluster: joining")
	errAdopting   = errors.New("cluster: taking actors")
	errNotCurrent = errors.New("cluster: the embedded server is catching up with the others")
)

// Health implements host.Cluster.
func (c *Cluster) Health() error {
	if err := c.Err(); err != nil {
		return errors.New("cluster: the node has ended: see the server log")
	}
	if table, _ := c.member.table(); table == nil {
		return errJoining
	}
	if err := c.store.Health(); err != nil {
		return err
	}
	if !c.store.Valid() {
		return errNoLease
	}
	return nil
}

// Ready implements host.Cluster. An incarnation is ready when it has all partitions that are meant
// for it, and when its embedded server was up to date once. From then on only Health counts: it
// works while it takes over those of others, and while others are down.
func (c *Cluster) Ready() error {
	if err := c.Health(); err != nil {
		return err
	}
	table, self := c.member.table()
	if table == nil {
		return errJoining
	}
	if c.ready.Load() == self {
		return nil
	}
	for part, want := range table.Want {
		if _, ok := c.member.owns(part); want == self && !ok {
			return errAdopting
		}
	}
	if c.embedded != nil && !c.embedded.current() {
		return errNotCurrent
	}
	c.ready.Store(self)
	return nil
}

// Leave implements host.Cluster.
func (c *Cluster) Leave(ctx context.Context) error {
	if !c.hasJoined() {
		return nil
	}
	if err := c.member.give(ctx); err != nil {
		return fmt.Errorf("cluster: not all actors were given away, and other nodes take them over: %w", err)
	}
	return nil
}

// hasJoined reports whether the node was in the cluster.
func (c *Cluster) hasJoined() bool {
	select {
	case <-c.member.joined:
		return true
	default:
		return false
	}
}

// Close implements host.Cluster.
func (c *Cluster) Close(ctx context.Context) (err error) {
	c.closing.Do(func() {
		if c.hasJoined() {
			if err = c.member.finish(ctx); err != nil {
				err = fmt.Errorf("cluster: the node has not left, and other nodes take over: %w", err)
			}
		}
		c.stop()
		never := false
		if c.begun.Do(func() { never = true }); !never {
			<-c.member.left
		}
		c.release()
	})
	return err
}

// Describe implements prometheus.Collector.
func (c *Cluster) Describe(to chan<- *prometheus.Desc) { collector{}.Describe(to) }

// Collect implements prometheus.Collector: it has the metrics of the node, of its links and of
// its store. Call it after Attach.
func (c *Cluster) Collect(to chan<- prometheus.Metric) {
	collector{c.member, c.port.Load(), c.store}.Collect(to)
}
