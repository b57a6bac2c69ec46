package host

import "context"

// Peers is what an inspector sees of the other nodes of a cluster. All methods may be called at
// the same time.
type Peers interface {
	// Nodes returns the cluster as this node knows it.
	Nodes() ClusterInfo

	// Owner returns the slot of the owner of a partition, and that of this node; zeros if it is
	// not known.
	Owner(part int) (owner, self uint32)

	// Inspect takes a request to the inspector of the node with a slot, and calls part with the
	// bytes of its answer, in order, which it does not keep. part does not wait. The end of ctx
	// ends the request there, too. The error is a *Fault, or that of ctx.
	Inspect(ctx context.Context, slot uint32, q InspectRequest, part func([]byte)) error

	// ServeInspector sets what answers the requests of other nodes. Call it once, after Attach
	// and before Join.
	ServeInspector(s InspectServer)
}

// InspectServer answers the requests of inspectors of other nodes.
type InspectServer interface {
	// ServeInspect gives the answer to write, in pieces. write keeps no piece. It waits until
	// there is room for it, or its context ends.
	ServeInspect(ctx context.Context, q InspectRequest, write func(context.Context, []byte) error) error
}

// InspectRequest is a request to the API of an inspector.
type InspectRequest struct {
	Method string
	Target string // path and query, below the API
	From   string // address of who has made it
	Body   []byte
}

// ClusterInfo is a cluster as one of its nodes knows it.
type ClusterInfo struct {
	Self    uint32 // the slot of this node; 0: it is in no cluster at the moment
	Version uint64 // of the table of nodes and partitions
	Nodes   []NodeInfo
	Links   LinkInfo
}

// NodeInfo is a node of a cluster.
type NodeInfo struct {
	Slot       uint32
	Name       string
	State      string // up, leaving, or sealed: others have its actors
	Partitions int    // that it owns
}

// LinkInfo is what a node counts of its links to other nodes, since it has joined.
type LinkInfo struct {
	In, Out  int64 // bytes
	Unacked  int64 // bytes that are under way or wait
	Gaps     int64 // in what has arrived
	Repeated int64 // frames that were sent again
	Ended    int64 // sessions
}
