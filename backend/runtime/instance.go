package runtime

import (
	"fmt"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

// instance is the loaded form of an actor, on which turns run. It belongs to one
// goroutine. If a commit fails or a turn does not return, it is discarded and the actor
// is loaded again (Actor.reset).
type instance struct {
	actor      *Actor
	def        *definition.Definition
	generation uint64 // of its goroutine
	watchdog   watchdog

	state state

	stored    bool // the store knows the actor
	created   bool // OnCreate has run, or the store knows the actor
	rev       uint64
	head      uint64
	log       string
	conns     conns
	producers producers

	buffer *commitBuffer // of every commit, if the store is immediate

	timers     map[*timer]struct{}
	timersKept int // how many there were after stopped ones were last dropped
}

// newInstance makes an instance from a snapshot, or of an actor that was never stored
// (snap is nil).
func newInstance(a *Actor, def *definition.Definition, snap *store.Snapshot) (*instance, error) {
	in := &instance{
		actor: a, def: def, generation: a.generation.Load(), state: newState(a, def),
		conns:  newConns(def.Options.ResumeWindow, func() { a.box.post(wakeEnvelope{}) }),
		timers: map[*timer]struct{}{},
	}
	in.watchdog.abandon = a.abandon
	if snap == nil {
		in.log = randomID()
		in.producers = newProducers(&def.Options, nil)
		in.state.keep()
		var err error
		in.state.base, err = in.state.encode()
		return in, err
	}
	scalars, exact, err := in.state.load(snap.State)
	if err != nil {
		a.logger().Error("decode stored state failed", "error", err)
		return nil, &host.Fault{Code: wire.CodeStateIncompatible, Message: fmt.Sprintf("the stored state of this %s does not fit this version of it", def.Name)}
	}
	in.created, in.stored = true, true
	if exact {
		in.state.saved = scalars
	}
	in.rev, in.head, in.log, in.conns.next = snap.Rev, snap.Head, snap.Log, snap.NextConn
	for _, r := range snap.Conns {
		value, err := def.DecodeConnState(r.State)
		if err != nil {
			return nil, &host.Fault{Code: wire.CodeStateIncompatible, Message: fmt.Sprintf("a stored connection state of this %s does not fit this version of it", def.Name)}
		}
		c := &Conn{num: r.Num, alone: [1]uint32{r.Num}, id: r.ID, start: r.Start, value: value, raw: r.State, attached: attached{dropped: a.node.started}}
		in.conns.restore(c)
	}
	in.conns.sort()
	in.producers = newProducers(&def.Options, snap.Callers)
	in.state.keep()
	if err := in.state.restored(); err != nil {
		return nil, err
	}
	// Not the stored bytes: fields may have been added or removed since.
	in.state.base, err = in.state.encode()
	return in, err
}

// discard stops the instance's timers.
func (in *instance) discard() {
	in.stopTimers()
	in.conns.stop()
	in.watchdog.stop()
}

func (in *instance) stopTimers() {
	for t := range in.timers {
		t.stop()
	}
}

// start runs OnStart. It reports false if the goroutine was superseded meanwhile.
func (in *instance) start() bool {
	if in.def.Hooks["OnStart"] == nil {
		return true
	}
	t := in.begin("OnStart", in.def.Options.ActionTimeout, nil)
	o, ok := t.execute(func() (any, error) { return nil, t.hook("OnStart") })
	if !ok {
		return false
	}
	if o.err != nil {
		in.state.broken = o.err
		return true
	}
	in.applyUnseen(t, o)
	return true
}

// applyUnseen applies a turn of an actor that may not be stored yet. Such an actor has no
// readers, so its outputs are dropped; its state goes into its first commit.
func (in *instance) applyUnseen(t *Turn, o outcome) {
	if in.stored {
		in.apply(t, o, reply{})
		return
	}
	in.state.accept(o.scalars)
	in.startTimers(t)
}

// stopHook runs OnStop. It reports false if the goroutine was superseded meanwhile.
func (in *instance) stopHook() bool {
	if in.def.Hooks["OnStop"] == nil || !in.created {
		return true
	}
	t := in.begin("OnStop", in.def.Options.ActionTimeout, nil)
	o, ok := t.execute(func() (any, error) { return nil, t.hook("OnStop") })
	if !ok {
		return false
	}
	in.applyUnseen(t, o)
	return true
}

// adopt takes over the attachments of the connections, which are not stored.
func (in *instance) adopt(from *instance) {
	for _, c := range in.conns.all {
		old := from.conns.byID[c.id]
		if old == nil {
			c.dropped = time.Now() // its end was not durable
			continue
		}
		c.attached = old.attached
		if c.over {
			c.online, c.dropped = false, time.Time{}
		}
		in.conns.attached[c.attachment] = c
	}
}
