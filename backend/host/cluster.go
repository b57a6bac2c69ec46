package host

import (
	"context"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// Cluster makes a server one of several nodes that run the actors of the same application.
// Package cluster has one; it is also a prometheus.Collector. A server calls Attach once, before Join, and all methods but these
// three at any time:
//
//   - Attach, when it has made its actors on Store, with Owns and the Cluster as their courier;
//   - Join, when it is ready for requests;
//   - Leave and then Close, when it ends.
type Cluster interface {
	Courier
	Forwarder
	Peers

	// Store returns the store of the node, which has nothing before Join and keeps no actors
	// but those that the node owns. Close closes it.
	Store() store.Store

	// Owns returns since when the node owns a partition of actors (store.Partition). It does
	// not block.
	Owns(part int) (since time.Time, ok bool)

	// Attach says what the node is, and returns the Host of its gateway: requests to it go to
	// the owners of their actors.
	Attach(n ClusterNode) Host

	// ServeSockets sets what handles requests for sockets over HTTP that came to other nodes: the
	// server's gateway. Call it before Join.
	ServeSockets(s SocketServer)

	// Join enters the cluster. It waits for most of the other nodes, as long as it takes; an
	// error says why the node cannot be one of them, or is that of ctx. The node takes its
	// actors after that: see Ready.
	Join(ctx context.Context) error

	// Ended is closed when the node can no longer be one of the cluster. Err says why.
	Ended() <-chan struct{}
	Err() error

	// Health returns why the node does not work, and Ready why it should get no clients yet;
	// nil if it does and should. The texts have no secrets.
	Health() error
	Ready() error

	// Disconnect ends all connections of a subject, to the actors of all nodes. After an error some
	// may be left. It goes on while actors move between nodes: give ctx a deadline.
	Disconnect(ctx context.Context, subject, reason string) error

	// Leave gives the node's actors away, and returns when other nodes have them, or with an
	// error when ctx ends. Requests are still passed on to them.
	Leave(ctx context.Context) error

	// Close leaves the cluster and releases everything. If ctx ends first, other nodes notice
	// after a while that this one is gone.
	Close(ctx context.Context) error
}

// ClusterNode is what a server tells its Cluster.
type ClusterNode struct {
	Host       Host       // its own actors
	Courier    Courier    // to them
	Partitions Partitions // of them

	Contract  string         // a fingerprint of what clients rely on
	Versions  map[string]int // of the actors' definitions
	Retention time.Duration  // for how long the store keeps entries

	JournalBytes int64 // limits the store's journal; 0: the store's default
}

// Partitions are the actors of a server, by partition. All methods may be called at the same
// time. runtime.PartitionsOf has them.
type Partitions interface {
	// Adopt says that the server owns a partition from now on. doubted is the time up to which messages
	// of its actors may be why an owner before has died; zero: none are. It does not wait.
	Adopt(part int, doubted time.Time)

	// Release ends the actors of partitions that the server is giving away, whose requests are
	// refused already. It returns when their commits are durable, or with an error when ctx ends.
	Release(ctx context.Context, parts []int) error

	// Reset drops the actors of partitions that the server has lost. It does not wait.
	Reset(parts []int)

	// DetachNode detaches the connections of all gateways of a node, whose slot their
	// attachments have.
	DetachNode(slot uint32)

	// Moment returns a moment of this process, after that of each OnAuth that has begun.
	Moment() Moment

	// Joined says that the server joins the cluster, perhaps again, and returns Moment. From then
	// on identities are refused whose OnAuth began in this process before: a Disconnect may have
	// passed the server over while it was not in the cluster.
	Joined() Moment

	// Disconnect ends all connections of a subject to the server's actors, and returns when that
	// is durable. From then on identities are refused whose OnAuth began before it did: before the
	// moment of its process in began.
	Disconnect(ctx context.Context, subject, reason string, began []Moment) error
}
