package runtime

import (
	"fmt"
	"slices"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

// instance is one loaded state of an actor: what turns run on. It belongs to
// one goroutine. When what it did cannot be made durable, or a turn of it does
// not return, it is discarded and another one is loaded (reset).
type instance struct {
	actor      *Actor
	def        *definition.Definition
	generation uint64 // of the goroutine that it belongs to
	watchdog   watchdog

	state state

	stored    bool // the store knows the actor
	created   bool // OnCreate has run, or the store knows the actor
	rev       uint64
	head      uint64
	log       string
	nextConn  uint32
	conns     []*Conn // by number, ascending
	byID      map[string]*Conn
	attached  map[host.Attachment]*Conn // by attachment
	producers map[string]*producer

	producersChecked time.Time // when forgetProducers last looked at all of them
	goneProducers    []string  // stored ones that were forgotten since the last commit

	buffer *commitBuffer // of every commit, if the store is immediate

	timers     map[*timer]struct{}
	timersKept int         // how many there were when those that were stopped were last forgotten
	expiry     *time.Timer // for the connection that expires next
	nextExpiry time.Time   // when that is; zero if no connection is without a socket
}

// newInstance makes an instance from what the store has, or of an actor that
// was never stored (snap is nil).
func newInstance(a *Actor, def *definition.Definition, snap *store.Snapshot) (*instance, error) {
	in := &instance{
		actor: a, def: def, generation: a.generation.Load(), state: newState(a, def), nextConn: 1,
		byID: map[string]*Conn{}, attached: map[host.Attachment]*Conn{}, producers: map[string]*producer{}, timers: map[*timer]struct{}{},
	}
	in.watchdog.abandon = a.abandon
	if snap == nil {
		in.log = randomID()
		in.state.keep()
		var err error
		in.state.base, err = in.state.encode()
		return in, err
	}
	plain, exact, err := in.state.load(snap.State)
	if err != nil {
		a.logger().Error("the stored state of an actor cannot be read", "error", err)
		return nil, &host.Fault{Code: wire.CodeStateIncompatible, Message: fmt.Sprintf("the stored state of this %s does not fit this version of it", def.Name)}
	}
	in.created, in.stored = true, true
	if exact {
		in.state.saved = plain
	}
	in.rev, in.head, in.log, in.nextConn = snap.Rev, snap.Head, snap.Log, snap.NextConn
	for _, r := range snap.Conns {
		value, err := def.DecodeConnState(r.State)
		if err != nil {
			return nil, &host.Fault{Code: wire.CodeStateIncompatible, Message: fmt.Sprintf("a stored connection state of this %s does not fit this version of it", def.Name)}
		}
		c := &Conn{num: r.Num, alone: [1]uint32{r.Num}, id: r.ID, start: r.Start, value: value, raw: r.State, attached: attached{dropped: a.node.started}}
		in.conns = append(in.conns, c)
		in.byID[c.id] = c
	}
	slices.SortFunc(in.conns, func(a, b *Conn) int { return int(a.num) - int(b.num) })
	for _, r := range snap.Callers {
		in.producers[r.ID] = &producer{record: r, stored: true}
	}
	in.state.keep()
	if err := in.state.restored(); err != nil {
		return nil, err
	}
	// Not the stored bytes: a field may have come or gone since they were written.
	in.state.base, err = in.state.encode()
	return in, err
}

func (in *instance) connByNum(num uint32) *Conn {
	i, ok := slices.BinarySearchFunc(in.conns, num, func(c *Conn, n uint32) int { return int(c.num) - int(n) })
	if !ok {
		return nil
	}
	return in.conns[i]
}

// removeConn forgets a connection. It makes a new slice: somebody may be
// iterating over the old one.
func (in *instance) removeConn(c *Conn) {
	in.conns = slices.DeleteFunc(slices.Clone(in.conns), func(x *Conn) bool { return x == c })
	delete(in.byID, c.id)
	delete(in.attached, c.attachment)
}

// discard frees what the instance holds outside of itself.
func (in *instance) discard() {
	in.stopTimers()
	if in.expiry != nil {
		in.expiry.Stop()
	}
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

// applyUnseen applies a turn of an actor that may not be stored yet. What such
// an actor emits nobody can be meant to see, and its state goes into its first
// commit.
func (in *instance) applyUnseen(t *Turn, o outcome) {
	if in.stored {
		in.apply(t, o, reply{})
		return
	}
	in.state.accept(o.plain)
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

// adopt takes over what is not stored of the connections that are.
func (in *instance) adopt(from *instance) {
	for _, c := range in.conns {
		old := from.byID[c.id]
		if old == nil {
			c.dropped = time.Now() // its end was not durable
			continue
		}
		c.attached = old.attached
		if c.over {
			c.online, c.dropped = false, time.Time{}
		}
		in.attached[c.attachment] = c
	}
}
