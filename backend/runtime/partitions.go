package runtime

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

// Partitions are the partitions of actors (store.Partition) that a node of a cluster owns, as
// Options.Owns says. What it owns may change at any time: requests that have not begun by then
// fail with moved, so that they may go to the next owner. All methods may be called at the
// same time.
//
// A partition changes hands as in Orleans or Akka's sharding, but its actors end one by one:
// Release when its node gives it away, Reset when it has lost it.
type Partitions struct {
	n    *Node
	owns func(part int) (since time.Time, ok bool) // nil: all

	loads chan struct{} // permits of actors that are loaded to end their connections
}

// PartitionsOf returns the partitions of a node.
func PartitionsOf(n *Node) *Partitions { return &n.partitions }

var (
	errMoved   = host.Faultf(wire.CodeMoved, "another server runs the actor now")
	errUnclear = host.Faultf(wire.CodeMaybeRan, "another server runs the actor now: it is unknown whether the call had an effect")
)

// since returns since when the node owns an actor.
func (p *Partitions) since(id string) (since time.Time, ok bool) {
	if p.owns == nil {
		return p.n.started, true
	}
	return p.owns(store.Partition(id))
}

// has reports whether the node still owns an actor that is in memory, without having lost it
// meanwhile.
func (p *Partitions) has(a *Actor) bool {
	if p.owns == nil {
		return true
	}
	since, ok := p.owns(a.part)
	return ok && since.Equal(a.since)
}

// Adopt says that the node owns a partition from now on. It wakes those of its actors that
// are due, and ends the stored connections that are not resumed within their resume
// window, counted from now. An owner before did not give the partition away if doubted is not zero:
// a message that was to run or be sent up to then may be why. Adopt does not wait.
func (p *Partitions) Adopt(part int, doubted time.Time) {
	since, ok := p.owns(part)
	if !ok {
		return // lost already
	}
	p.n.doubts.adopt(part, since, doubted)
	p.n.parked.countAgain()
	p.n.waker.readAgain()
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	if !p.n.closed {
		p.n.wait.Go(func() { p.endConnected(part, since) })
	}
}

// Release ends the actors of partitions that the node is giving away: Options.Owns says
// already that it does not own them. What waits for turns is refused; OnStop runs, and
// connections are told that they have moved. It returns when everything is durable, or with
// an error when ctx ends.
func (p *Partitions) Release(ctx context.Context, parts []int) error {
	var wait sync.WaitGroup
	for _, a := range p.take(parts) {
		wait.Add(1)
		if !a.box.postLast(stopEnvelope{why: errMoved, done: wait.Done}) {
			wait.Done()
		}
	}
	done := make(chan struct{})
	go func() { wait.Wait(); close(done) }()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("runtime: some turns have not ended: %w", ctx.Err())
	}
}

// Reset drops the actors of partitions that the node has lost: Options.Owns says so already.
// It does not wait. Commits that are on their way to the store finish, and are answered if
// they succeed; everything else is dropped. Connections are told that they have moved.
func (p *Partitions) Reset(parts []int) {
	for _, a := range p.take(parts) {
		a.gate.depose()
		a.box.postLast(stopEnvelope{why: errMoved, lost: true})
	}
}

// take takes the actors of partitions out of the node. They end on their own.
func (p *Partitions) take(parts []int) (actors []*Actor) {
	var taken [store.Partitions]bool
	for _, part := range parts {
		taken[part] = true
	}
	p.n.parked.forget(&taken)
	p.n.mu.Lock()
	defer p.n.mu.Unlock()
	for id, a := range p.n.actors {
		if taken[a.part] {
			actors = append(actors, a)
			delete(p.n.actors, id)
		}
	}
	return actors
}

// DetachNode says that the node of a cluster with a number is gone, with its gateways: the
// connections whose attachments have the number have no sockets any more.
func (p *Partitions) DetachNode(slot uint32) {
	for _, a := range p.n.awake() {
		if _, _, running := a.box.seen(); running { // else it has no instance
			a.box.post(&detachNodeEnvelope{slot})
		}
	}
}

// Moment returns a moment of this process, after that of each OnAuth that has begun.
func (p *Partitions) Moment() host.Moment { return p.n.disconnected.moment() }

// Joined says that the node joins its cluster, perhaps again, and returns Moment. Identities of
// this process whose OnAuth began before are refused: the node does not know who was
// disconnected while it was away.
func (p *Partitions) Joined() host.Moment {
	m := p.n.disconnected.moment()
	p.n.disconnected.joined.Store(m.N)
	return m
}

// Disconnect is that of the node, for one that began at a moment of each process of the cluster.
func (p *Partitions) Disconnect(ctx context.Context, subject, reason string, began []host.Moment) error {
	return p.n.disconnect(ctx, subject, reason, began)
}

// detachNodeEnvelope reports that the sockets of all attachments of a node are gone.
type detachNodeEnvelope struct{ slot uint32 }

func (m *detachNodeEnvelope) size() int { return 0 }

func (m *detachNodeEnvelope) refuse(a *Actor, _ *host.Fault) {
	if a.previous == nil {
		return
	}
	for attachment := range a.previous.conns.attached {
		if attachment.Node == m.slot {
			a.gone(attachment, time.Now())
		}
	}
}

func (m *detachNodeEnvelope) deliver(in *instance) bool {
	for _, c := range in.conns.all {
		if in.actor.gate.room() != nil { // a commit has failed: again, after the reset
			in.actor.box.post(m)
			return true
		}
		if c.attachment.Node == m.slot && c.online && in.conns.byID[c.id] == c && !in.drop(c) {
			return false
		}
	}
	return true
}

// moveAttachments returns outputs that tell the clients of an instance's connections to open
// them again.
func moveAttachments(in *instance) (outputs []*host.Output) {
	if in == nil {
		return nil
	}
	for _, c := range in.conns.all {
		if c.online && !c.attachment.IsZero() {
			outputs = append(outputs, &host.Output{Kind: host.OutputClosed, To: c.attachment, Err: errMoved})
		}
	}
	return outputs
}

// endConnected ends the stored connections of a partition, or of all, that were not resumed in
// their window, of actors that had no request since the node has them. At the end of the
// shortest window it also wakes the actors with longer ones; these wait in memory.
func (p *Partitions) endConnected(part int, since time.Time) {
	for _, window := range p.n.defs.ResumeWindows() {
		if !p.n.pause(time.Until(since.Add(window))) {
			return
		}
		// Failures of the store are retried until it works.
		for wait := time.Second; p.keeps(part, since) && !p.wakeConnected(part); wait = min(2*wait, time.Minute) {
			if !p.n.pause(wait) {
				return
			}
		}
	}
}

// keeps reports whether the node has had a partition since then.
func (p *Partitions) keeps(part int, since time.Time) bool {
	if p.owns == nil {
		return true
	}
	now, ok := p.owns(part)
	return ok && now.Equal(since)
}

// wakers is how many actors are loaded at the same time because they are due, and how many to
// end their connections.
const wakers = 16

// wakeConnected wakes the actors that have stored connections. It reports false if some
// could not be loaded.
func (p *Partitions) wakeConnected(part int) (ok bool) {
	var failed atomic.Bool
	var waking sync.WaitGroup
	err := p.n.store.Connected(context.Background(), part, func(id string) bool {
		select {
		case p.loads <- struct{}{}:
		case <-p.n.closing:
			return false
		}
		waking.Add(1)
		answered := func() {
			<-p.loads
			waking.Done()
		}
		err := p.n.post(host.Ref{ID: id}, &expiryEnvelope{func(err *host.Fault) {
			if err != nil && err.Code == wire.CodeUnavailable {
				failed.Store(true)
			}
			answered()
		}})
		if err != nil {
			answered()
		}
		return err == nil
	})
	waking.Wait()
	if err != nil {
		p.n.log.Error("ending connections that were not resumed failed; retrying", "error", err)
		return false
	}
	return !failed.Load()
}
