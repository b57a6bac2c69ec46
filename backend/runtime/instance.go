package runtime

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
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

	state    state
	tables   *tables
	messages *messages
	sends    sends
	inbox    inbox

	stored    bool          // the store knows the actor
	created   bool          // OnCreate has run, or the store knows the actor
	version   int           // of the definition, as the store has it
	dropped   []store.Table // by steps from that version
	rev       uint64
	life      life
	born      int64 // the time of revision 1, in microseconds
	head      uint64
	log       string
	conns     conns
	producers producers

	undecodable []*Conn // stored connections that end because their states cannot be decoded

	buffer *commitBuffer // of every commit, if the store is immediate

	timers  timers
	stopped bool // OnStop has run; the actor is in memory for what that has sent
}

// newer returns the fault of an actor that a newer version of its definition has stored.
func (in *instance) newer(snap *store.Snapshot) *host.Fault {
	in.actor.node.newerVersions.warn(in.actor, snap.Version, in.def.Version())
	return host.Faultf(wire.CodeUnavailable, "this %s was changed by a newer version of the server", in.def.Name)
}

// newInstance makes an instance from a snapshot, or of an actor that was never stored
// (snap is nil) or was destroyed.
func newInstance(a *Actor, def *definition.Definition, snap *store.Snapshot) (*instance, error) {
	in := &instance{
		actor: a, def: def, generation: a.generation.Load(), state: newState(a, def),
		conns: newConns(def.Options.ResumeWindow, func() { a.box.post(wakeEnvelope{}) }),
	}
	in.timers = newTimers(func(tm *timer) { a.box.post(&tickEnvelope{in: in, timer: tm}) })
	in.watchdog.abandon = a.abandon
	in.life.in = in
	in.sends = sends{in: in}
	in.inbox = newInbox(in, snap)
	if snap != nil && snap.Tombstone && snap.Version > def.Version() {
		return nil, in.newer(snap)
	}
	if snap == nil || snap.Tombstone {
		in.log = randomID()
		in.producers = newProducers(&def.Options, nil, in.conns.producers, &a.node.answers)
		if snap != nil {
			in.life.revive(snap)
		}
		in.state.keep()
		in.tables, in.messages = newTables(in, nil, nil), newMessages(in, snap)
		in.sends.load(snap)
		var err error
		in.state.base, err = in.state.encode()
		return in, err
	}
	text := a.validUTF8(snap.State)
	tables := snap.Tables
	scalars, exact, err := in.state.loadVersion(snap.Version, &text)
	if err == nil {
		if snap.Version != def.Version() {
			tables = def.MigrateTables(snap.Version, snap.Tables)
		}
		err = in.state.checkTables(tables)
	}
	if errors.Is(err, definition.ErrNewer) {
		return nil, in.newer(snap)
	}
	if err != nil {
		a.logger().Error("decode stored state failed", "error", err)
		return nil, &host.Fault{Code: wire.CodeStateIncompatible, Message: fmt.Sprintf("the stored state of this %s does not fit this version of it", def.Name)}
	}
	in.version = snap.Version
	if snap.Ended != nil {
		in.life.before = snap.Ended.Log
	}
	if in.life.used = snap.Changed; snap.Changed.IsZero() {
		in.life.used = a.node.now()
	}
	in.created, in.stored = true, true
	in.born = snap.Born
	in.rev, in.head, in.log, in.conns.next = snap.Rev, snap.Head, snap.Log, snap.NextConn
	for _, r := range snap.Conns {
		c := &Conn{num: r.Num, alone: [1]uint32{r.Num}, id: r.ID, start: r.Start, joined: r.Joined, owner: r.Subject, attached: attached{dropped: a.since}}
		if c.value, c.raw, err = loadConnState(def, r.Version, a.validUTF8(r.State)); err != nil {
			a.logger().Error("a stored connection state does not fit this version of the actor; the connection ends", "conn", r.ID, "error", err)
			c.value, c.raw = reflect.Zero(def.ConnType).Interface(), nil
			in.undecodable = append(in.undecodable, c)
			continue
		}
		in.conns.restore(c)
	}
	in.conns.sort()
	in.producers = newProducers(&def.Options, snap.Callers, in.conns.producers, &a.node.answers)
	in.producers.since = snap.CallersSince
	in.state.keep()
	for i, h := range tables {
		if h.Field == "" && snap.Tables[i].Field != "" {
			in.dropped = append(in.dropped, h)
		}
		if !def.HasTable(h) {
			a.node.unknownFields.warn(a, h.Field)
		}
	}
	in.tables = newTables(in, snap.Tables, tables)
	in.messages = newMessages(in, snap)
	in.sends.load(snap)
	in.tables.move(in.state.moved)
	in.state.moved = nil
	if err = in.state.restored(); err == nil {
		// Not the stored bytes: fields may have been added or removed since.
		in.state.base, err = in.state.encode()
	}
	if err != nil {
		in.producers.answers.discard()
		return in, err
	}
	in.state.settle(text, scalars, exact, len(text) == 0 || &text[0] == &snap.State[0])
	return in, nil
}

// discard stops the instance's timers.
func (in *instance) discard() {
	in.actor.node.doubts.endOf(in.actor.id)
	in.timers.stop()
	in.conns.stop()
	in.producers.answers.discard()
	in.watchdog.stop()
	in.tables.discard()
	in.messages.alarm.stop()
	in.sends.stop()
}

// begin starts a turn that may last for limit.
func (in *instance) begin(what string, limit time.Duration, c *Conn) *Turn {
	return in.watchdog.watch(&Turn{in: in, span: span{what: what}, conn: c}, limit)
}

// beginMessage starts a turn that handles a message; from is its sender, nil if that is the
// actor itself. The watchdog may read both, so they are set before it watches the turn.
func (in *instance) beginMessage(what string, m *store.Message, from *host.Ref) *Turn {
	return in.watchdog.watch(&Turn{in: in, span: span{what: what}, message: m, from: from, bounded: true}, in.def.Options.ActionTimeout)
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
	if in.stored || t.destroyed {
		in.apply(t, o, reply{})
		return
	}
	in.state.accept(o.scalars)
	in.tables.accept()
	in.messages.keep()
	in.timers.start(t.timers)
}

// stopHook runs OnStop, once. It reports false if the goroutine was superseded meanwhile.
func (in *instance) stopHook() bool {
	if in.def.Hooks["OnStop"] == nil || !in.created || in.stopped {
		return true
	}
	t := in.begin("OnStop", in.def.Options.ActionTimeout, nil)
	o, ok := t.execute(func() (any, error) { return nil, t.hook("OnStop") })
	if !ok {
		return false
	}
	in.applyUnseen(t, o)
	in.stopped = true
	return true
}

// endUndecodable ends the stored connections whose states cannot be decoded. OnDisconnect
// sees the zero value of the state. It reports false if the goroutine was superseded
// meanwhile.
func (in *instance) endUndecodable() bool {
	for len(in.undecodable) > 0 {
		if in.actor.gate.room() != nil {
			return true // the pending reset loads them again
		}
		if !in.endConn(in.undecodable[0], nil) {
			return false
		}
		in.undecodable = in.undecodable[1:]
	}
	return true
}

// adopt takes over the attachments of the connections, which are not stored.
func (in *instance) adopt(from *instance) {
	for _, c := range in.undecodable {
		c.over = slices.ContainsFunc(from.undecodable, func(old *Conn) bool { return old.id == c.id && old.over })
	}
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
