package runtime

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

// disconnectedFor is how long a node remembers a Disconnect: longer than a request lasts
// between its OnAuth and its turn.
const disconnectedFor = 10 * time.Minute

// disconnected are the subjects that were disconnected lately. An identity that OnAuth
// returned before that is not valid any more. All its methods may be called at the same time.
//
// OnAuth runs in the process that a client has reached, which may be another one of a cluster. So
// each process counts moments, and a Disconnect has one of each process: a node that gets an
// identity compares two moments of the process in which OnAuth ran.
type disconnected struct {
	process uint64
	last    atomic.Uint64 // moment
	joined  atomic.Uint64 // see Partitions.Joined; 0: never

	mu       sync.Mutex
	subjects map[string]*parting
}

// parting is the newest Disconnect of a subject.
type parting struct {
	heard time.Time
	began map[uint64]uint64 // moments by process
}

// moment returns a moment of this process.
func (d *disconnected) moment() host.Moment { return host.Moment{Process: d.process, N: d.last.Add(1)} }

func (d *disconnected) add(subject string, began []host.Moment, now time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for s, p := range d.subjects {
		if now.Sub(p.heard) > disconnectedFor {
			delete(d.subjects, s)
		}
	}
	if d.subjects == nil {
		d.subjects = map[string]*parting{}
	}
	p := d.subjects[subject]
	if p == nil {
		p = &parting{began: map[uint64]uint64{}}
		d.subjects[subject] = p
	}
	p.heard = now
	for _, m := range began {
		p.began[m.Process] = max(p.began[m.Process], m.N)
	}
}

// since reports whether the subject of an identity was disconnected since OnAuth began, as far as
// the node can know.
func (d *disconnected) since(who host.Identity) bool {
	if who.Subject == "" {
		return false
	}
	if who.Asked.Process == d.process && who.Asked.N < d.joined.Load() {
		return true
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	p := d.subjects[who.Subject]
	return p != nil && who.Asked.N < p.began[who.Asked.Process]
}

// Disconnect ends all connections of a subject (see SubjectOf), of all actors, also those
// without a socket. Their clients get the reason. It returns when the actors have done so. The
// error is that of ctx or the store; the connections of some actors may be left then.
func (n *Node) Disconnect(ctx context.Context, subject, reason string) error {
	return n.disconnect(ctx, subject, reason, []host.Moment{n.disconnected.moment()})
}

func (n *Node) disconnect(ctx context.Context, subject, reason string, began []host.Moment) error {
	n.disconnected.add(subject, began, time.Now())
	var pending sync.WaitGroup
	var failed atomic.Pointer[host.Fault]
	end := func(r host.Ref) {
		pending.Add(1)
		m := &disconnectEnvelope{subject: subject, reason: reason, done: func(err *host.Fault) {
			if err != nil && err.Code != wire.CodeNotFound && err.Code != wire.CodeUnknownActor {
				failed.Store(err)
			}
			pending.Done()
		}}
		if err := n.post(r, m); err != nil {
			fault := errShutdown
			errors.As(err, &fault)
			m.done(fault)
		}
	}
	n.mu.Lock()
	awake := make(map[string]bool, len(n.actors))
	for id := range n.actors {
		awake[id] = true
	}
	n.mu.Unlock()
	for id := range awake {
		end(host.Ref{ID: id})
	}
	err := n.store.Connected(ctx, -1, func(id string) bool {
		if !awake[id] {
			end(host.Ref{ID: id})
		}
		return ctx.Err() == nil
	})
	done := make(chan struct{})
	go func() { pending.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
		return ctx.Err()
	}
	if f := failed.Load(); f != nil && err == nil {
		return f
	}
	return err
}

// disconnectEnvelope ends the connections of a subject.
type disconnectEnvelope struct {
	subject, reason string
	done            func(*host.Fault)
}

func (m *disconnectEnvelope) size() int { return 0 }

func (m *disconnectEnvelope) refuse(_ *Actor, err *host.Fault) { m.done(err) }

func (m *disconnectEnvelope) deliver(in *instance) bool {
	for _, c := range in.conns.all {
		if c.owner != m.subject || in.conns.byID[c.id] != c {
			continue
		}
		if in.actor.gate.room() != nil {
			m.done(host.Faultf(wire.CodeUnavailable, "an actor cannot save the end of its connections"))
			return true
		}
		if !in.endConn(c, host.Faultf(wire.CodeDisconnected, "%s", m.reason)) {
			return false // the goroutine that takes over refuses m
		}
	}
	m.done(nil)
	return true
}
