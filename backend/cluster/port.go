package cluster

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/troupe-dev/troupe/backend/cluster/link"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

// Local is the node's own actors.
type Local interface {
	host.Host

	// DetachNode detaches the connections of all gateways of a node, whose slot their
	// attachments have.
	DetachNode(slot uint32)

	// Moment, Joined and Disconnect are as in host.Partitions.
	Moment() host.Moment
	Joined() host.Moment
	Disconnect(ctx context.Context, subject, reason string, began []host.Moment) error
}

// Placement says which node owns which actor. All methods may be called at the same time.
type Placement interface {
	// Owner returns the slot of the owner of a partition, and that of this node; zeros if it is
	// not known. It may be out of date.
	Owner(part int) (owner, self uint32)

	// Await waits until a partition has another owner than was, or ctx ends.
	Await(ctx context.Context, part int, was uint32)

	// Alive reports whether a slot is that of a node that has not ended.
	Alive(slot uint32) bool

	// Version changes whenever an owner does; 0 while the node is in no cluster.
	Version() uint64
}

// Port is the host of a gateway and the courier of actors on a node of a cluster. Requests to
// actors of this node go to them at once, others over a link to their owner, whose node
// handles them in the same way (owner.go). Of the logs of actors of other nodes it has copies
// (copy.go).
//
// A gateway follows an actor at one place. If the actor moves, that place ends all its
// connections with the code moved, and clients open them again; until the gateway has given
// up the old place, opens are refused with the same code.
type Port struct {
	local     Local
	courier   host.Courier // of the local actors
	places    Placement
	sockets   host.SocketServer
	inspector host.InspectServer
	log       *slog.Logger
	number    atomic.Uint64 // of follows and requests

	copyBytes int

	mu       sync.Mutex // guards the fields below; taken before a copy's
	self     uint32     // the node's slot; 0 while it is not in the cluster
	joined   host.Moment
	endpoint *link.Endpoint
	followed map[string]*followed // by actor
	copies   map[uint64]*logCopy  // those of followed, by number
	pending  map[uint64]*pending
	served   map[uint32]*served
	sent     map[way]int     // deliveries without an answer
	unsure   map[int]int     // those in lostWith, by the sender's partition
	running  context.Context // of what runs for other nodes
	stop     context.CancelFunc
	wait     sync.WaitGroup
}

// followed is the place where this node's gateway follows an actor.
type followed struct {
	copy  *logCopy // nil: here
	count int
}

var (
	_ host.Host    = (*Port)(nil)
	_ host.Courier = (*Port)(nil)
	_ link.Handler = (*Port)(nil)
)

// PortOptions are the options of a Port.
type PortOptions struct {
	Logger    *slog.Logger // [slog.Default()]
	CopyBytes int          // that a copy of a log keeps in memory, about [1 MiB]
}

// NewPort makes the port of a node: courier carries messages to the local actors. Until Join it
// serves local actors only.
func NewPort(local Local, courier host.Courier, places Placement, o PortOptions) *Port {
	return &Port{
		local: local, courier: courier, places: places, log: cmp.Or(o.Logger, slog.Default()),
		copyBytes: cmp.Or(o.CopyBytes, 1<<20),
		followed:  map[string]*followed{}, copies: map[uint64]*logCopy{},
		pending: map[uint64]*pending{}, served: map[uint32]*served{}, sent: map[way]int{}, unsure: map[int]int{},
	}
}

// Join begins to speak to other nodes as the one with a slot, which it has until Leave.
func (p *Port) Join(bus link.Bus, slot uint32) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	// The endpoint must not call back before it is known: its frames wait in serving for mu.
	endpoint, err := link.Listen(bus, slot, p.Subject(slot), p, p.log)
	if err != nil {
		return err
	}
	p.self, p.joined, p.endpoint = slot, p.local.Joined(), endpoint
	p.running, p.stop = context.WithCancel(context.Background())
	return nil
}

// Leave ends what other nodes do here and what this node does there, and waits for it.
func (p *Port) Leave() {
	p.mu.Lock()
	endpoint, stop := p.endpoint, p.stop
	p.self, p.endpoint = 0, nil
	var slots []uint32
	for slot := range p.served {
		slots = append(slots, slot)
	}
	p.mu.Unlock()
	if endpoint == nil {
		return
	}
	stop()
	endpoint.Close()
	for _, slot := range slots {
		p.unserve(slot)
	}
	p.lose(func(uint32) bool { return true })
	p.wait.Wait()
}

// Changed says that Placement has changed: what has moved ends here.
func (p *Port) Changed() {
	p.mu.Lock()
	var moved []*logCopy
	for _, c := range p.copies {
		if owner, _ := p.places.Owner(c.part); owner != c.slot {
			moved = append(moved, c)
		}
	}
	endpoint := p.endpoint
	p.mu.Unlock()
	for _, c := range moved {
		c.end()
	}
	if endpoint != nil {
		endpoint.Retain(p.places.Alive)
	}
}

// Unacked returns how many bytes are under way to other nodes, or wait.
func (p *Port) Unacked() int64 { return p.stats().UnackedBytes.Load() }

// Subject implements link.Handler.
func (p *Port) Subject(slot uint32) string {
	if !p.places.Alive(slot) {
		return ""
	}
	return subjectOf(slot)
}

func subjectOf(slot uint32) string { return "t.n." + strconv.FormatUint(uint64(slot), 10) }

// Ended implements link.Handler.
func (p *Port) Ended(slot uint32) {
	p.unserve(slot)
	p.lose(func(of uint32) bool { return of == slot })
}

// lose ends what this node does on other nodes.
func (p *Port) lose(on func(slot uint32) bool) {
	p.mu.Lock()
	var copies []*logCopy
	for _, c := range p.copies {
		if on(c.slot) {
			copies = append(copies, c)
		}
	}
	var lost []*pending
	for number, w := range p.pending {
		if on(w.slot) {
			lost = append(lost, w)
			delete(p.pending, number)
		}
	}
	p.mu.Unlock()
	for _, c := range copies {
		c.end()
	}
	for _, w := range lost {
		w.answered(nil, errSessionEnded)
	}
}

// peer returns the session with a node.
func (p *Port) peer(slot uint32) *link.Peer {
	p.mu.Lock()
	endpoint := p.endpoint
	p.mu.Unlock()
	if endpoint == nil {
		return nil
	}
	return endpoint.Peer(slot)
}

// send sends an item to a node. surely items end the session if they can not be sent.
func (p *Port) send(slot uint32, i *item, surely bool) error {
	peer := p.peer(slot)
	if peer == nil {
		return link.ErrGone
	}
	if surely {
		return peer.Answer(i.encode())
	}
	return peer.Send(i.encode())
}

// idOf returns the id of a ref's actor.
func idOf(r host.Ref) (string, error) {
	if r.ID != "" {
		return r.ID, nil
	}
	if fault := r.Key.Check(); fault != nil {
		return "", fault
	}
	return host.ActorID(r.Name, r.Key), nil
}

// faultOf is the fault of a request that was not sent.
func faultOf(err error) *host.Fault {
	if errors.Is(err, link.ErrFull) {
		return host.Faultf(wire.CodeOverloaded, "too much waits for another node")
	}
	return movedFault()
}

func movedFault() *host.Fault {
	return host.Faultf(wire.CodeMoved, "the actor is on another node now")
}

// Follow implements host.Host.
func (p *Port) Follow(r host.Ref, f host.Follower) (*host.Log, error) {
	id, err := idOf(r)
	if err != nil {
		return nil, err
	}
	part := store.Partition(id)
	p.mu.Lock()
	at := p.followed[id]
	if at == nil {
		at = &followed{}
		if owner, self := p.places.Owner(part); owner != self {
			at.copy = newCopy(p, id, part, owner, p.number.Add(1))
			p.copies[at.copy.number] = at.copy
		}
		p.followed[id] = at
	}
	at.count++
	first := at.count == 1
	p.mu.Unlock()

	var log *host.Log
	if at.copy == nil {
		log, err = p.local.Follow(r, f)
	} else {
		log, err = at.copy.follow(r, f, first)
	}
	if err != nil {
		p.release(id, at)
	}
	return log, err
}

// Unfollow implements host.Host.
func (p *Port) Unfollow(r host.Ref, f host.Follower) {
	id, err := idOf(r)
	if err != nil {
		return // as Follow has returned
	}
	p.mu.Lock()
	at := p.followed[id]
	p.mu.Unlock()
	if at == nil {
		return
	}
	if at.copy == nil {
		p.local.Unfollow(r, f)
	} else {
		at.copy.writer.Unfollow(f)
	}
	p.release(id, at)
}

// release gives up a follow.
func (p *Port) release(id string, at *followed) {
	p.mu.Lock()
	if at.count--; at.count > 0 {
		p.mu.Unlock()
		return
	}
	delete(p.followed, id)
	if at.copy != nil {
		delete(p.copies, at.copy.number)
	}
	p.mu.Unlock()
	if at.copy != nil {
		at.copy.unfollow()
	}
}

// at returns the copy through which a gateway speaks to an actor; nil if it is here. The error
// says that the actor has moved.
func (p *Port) at(r host.Ref) (*logCopy, error) {
	id, err := idOf(r)
	if err != nil {
		return nil, err
	}
	owner, self := p.places.Owner(store.Partition(id))
	p.mu.Lock()
	at := p.followed[id]
	p.mu.Unlock()
	switch {
	case at == nil && owner == self, at != nil && at.copy == nil && owner == self:
		return nil, nil
	case at == nil || at.copy == nil || at.copy.slot != owner:
		return nil, movedFault()
	}
	return at.copy, nil
}

// vouch returns why another node must not get an identity: OnAuth began before this node joined,
// and a Disconnect has passed it over since. An actor here refuses it by itself. Ask after at: a
// copy from before the join has ended.
func (p *Port) vouch(who host.Identity) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if who.Subject != "" && who.Asked.Process == p.joined.Process && who.Asked.N < p.joined.N {
		return host.Faultf(wire.CodeIdentity, "the client has to be authenticated again")
	}
	return nil
}

// Open implements host.Host.
func (p *Port) Open(r host.Ref, q host.OpenRequest) error {
	c, err := p.at(r)
	if err != nil {
		return err
	}
	if c == nil {
		return p.local.Open(r, q)
	}
	if err := p.vouch(q.Identity); err != nil {
		return err
	}
	return c.open(r, q)
}

// Refresh implements host.Host.
func (p *Port) Refresh(r host.Ref, q host.RefreshRequest) error {
	c, err := p.at(r)
	if err != nil {
		return err
	}
	if c == nil {
		return p.local.Refresh(r, q)
	}
	if err := p.vouch(q.Identity); err != nil {
		return err
	}
	q.Attachment = c.remote(q.Attachment)
	return c.request(&item{Kind: itemRefresh, Ref: r, Refresh: &q})
}

// Subscribe implements host.Host.
func (p *Port) Subscribe(r host.Ref, q host.SubscribeRequest) error {
	c, err := p.at(r)
	if err != nil {
		return err
	}
	if c == nil {
		return p.local.Subscribe(r, q)
	}
	q.Attachment = c.remote(q.Attachment)
	return c.request(&item{Kind: itemSubscribe, Ref: r, Subscribe: &q})
}

// Call implements host.Host.
func (p *Port) Call(r host.Ref, q host.CallRequest) error {
	c, err := p.at(r)
	if err != nil {
		return err
	}
	if c == nil {
		return p.local.Call(r, q)
	}
	q.Attachment = c.remote(q.Attachment)
	return c.request(&item{Kind: itemCall, Ref: r, Call: &q})
}

// Ack implements host.Host.
func (p *Port) Ack(r host.Ref, attachment host.Attachment, ack uint64) {
	c, err := p.at(r)
	if err != nil {
		return
	}
	if c == nil {
		p.local.Ack(r, attachment, ack)
		return
	}
	_ = c.request(&item{Kind: itemAck, Ref: r, Attachment: c.remote(attachment), Seq: ack}) // it may be dropped
}

// Detach implements host.Host.
func (p *Port) Detach(r host.Ref, attachment host.Attachment) {
	p.tell(r, attachment, itemDetach, p.local.Detach)
}

// Close implements host.Host.
func (p *Port) Close(r host.Ref, attachment host.Attachment) {
	p.tell(r, attachment, itemClose, p.local.Close)
}

// tell detaches or closes an attachment, also if the gateway no longer follows the actor: it does
// that when the client is gone.
func (p *Port) tell(r host.Ref, attachment host.Attachment, k kind, local func(host.Ref, host.Attachment)) {
	id, err := idOf(r)
	if err != nil {
		return
	}
	owner, self := p.places.Owner(store.Partition(id))
	if owner == self {
		local(r, attachment)
		return
	}
	p.mu.Lock()
	at := p.followed[id]
	p.mu.Unlock()
	if at != nil && at.copy != nil {
		at.copy.forget(attachment)
	}
	if owner != 0 { // if it is not sent, the session has ended, and all attachments with it
		_ = p.send(owner, &item{Kind: k, Ref: r, Attachment: host.Attachment{Node: self, N: attachment.N}}, true)
	}
}

// stats returns the figures of the links since the node has joined.
func (p *Port) stats() *link.Stats {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.endpoint == nil {
		return &link.Stats{}
	}
	return p.endpoint.Stats()
}
