package runtime

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

// The envelopes of an actor: requests of a gateway, a timer or other code of the process.
// deliver runs on the actor's goroutine.

// wakeEnvelope makes the actor's goroutine check for expired connections and failed
// commits.
type wakeEnvelope struct{}

func (wakeEnvelope) deliver(*instance) bool     { return true }
func (wakeEnvelope) refuse(*Actor, *host.Fault) {}
func (wakeEnvelope) size() int                  { return 0 }

// idleEnvelope makes the actor leave memory if it is not in use. early: also if it was a
// moment ago, because memory is short.
type idleEnvelope struct {
	wakeEnvelope
	early bool
}

// stopEnvelope ends the actor after the envelopes before it.
type stopEnvelope struct {
	wakeEnvelope
	why  *host.Fault // errShutdown, or errMoved
	lost bool        // another node has taken over: nothing can be saved
	done func()      // may be nil
}

func (m stopEnvelope) refuse(*Actor, *host.Fault) {
	if m.done != nil {
		m.done() // the actor has ended already
	}
}

// create makes sure that the actor exists; it runs OnCreate and OnStart if the actor is
// new. ok is false if the instance was abandoned.
func (in *instance) create(create bool, input json.RawMessage, who host.Identity) (err *host.Fault, ok bool) {
	if in.stored || create && in.created {
		return nil, true
	}
	if !create {
		return host.Faultf(wire.CodeNotFound, "this %s does not exist", in.def.Name), true
	}
	if h := in.def.Hooks["OnCreate"]; h != nil {
		args, err := h.DecodeOptional(input, wire.CodeInvalidInput, "input")
		if err != nil {
			return err, true
		}
		t := in.begin("OnCreate", in.def.Options.ActionTimeout, nil)
		t.setIdentity(who)
		o, ok := t.execute(func() (any, error) { return h.Call(in.state.value, t, args) })
		if !ok || o.err != nil {
			return o.err, ok
		}
		in.applyUnseen(t, o)
		if in.life.over {
			return in.life.fault(""), true
		}
	}
	in.created = true
	in.actor.node.stats.created.Add(1)
	if !in.start() {
		return nil, false
	}
	if in.life.over {
		return in.life.fault(""), true
	}
	return in.state.broken, true
}

// fail answers a request without a connection with an error.
func (in *instance) fail(w *waiter, err *host.Fault) {
	out := []*host.Output{{Kind: host.OutputFail, Err: err, Done: w.whenVisible()}}
	in.number(out, time.Now())
	in.actor.gate.put(out, nil)
}

// admitNew checks whether a client may make the actor, if that does not exist.
func (in *instance) admitNew(create bool, from string) *host.Fault {
	if !create || in.stored || in.created || in.actor.node.newActor == nil {
		return nil
	}
	var fault *host.Fault
	errors.As(in.actor.node.newActor(from), &fault)
	return fault
}

// callEnvelope runs an action for a connection.
type callEnvelope struct{ host.CallRequest }

func (m *callEnvelope) size() int { return sizeOfCall(m.Action, m.Args) }

func sizeOfCall(action string, args []json.RawMessage) int {
	const slice = 24 // bytes
	size := envelopeBytes + len(action)
	for _, a := range args {
		size += slice + len(a)
	}
	return size
}

func (m *callEnvelope) refuse(a *Actor, err *host.Fault) {
	if err == errShutdown || err == errMoved {
		return // without an answer its client sends it again, to the next server
	}
	a.put(&host.Output{Kind: host.OutputFail, To: m.Attachment, Call: m.ID, Err: err})
}

func (m *callEnvelope) deliver(in *instance) bool {
	in.actor.used()
	c := in.conns.byID[m.Conn]
	if c == nil || c.attachment != m.Attachment {
		return true // the connection is over, or the socket was replaced
	}
	c.succeeds = false
	r := reply{conn: c, call: m.ID}
	in.producers.acknowledge(c.producer, m.Ack)
	if in.def.Changes(m.Action) {
		r.producer = in.producers.get(c.producer, in.numbers(c, host.Identity{}), c.from, "", in.actor.lastUsed)
		if m.ID <= r.producer.record.Highest || r.producer.oneCall {
			m.repeat(in, r.producer)
			return true
		}
	}
	return in.runAction(m.Action, m.Args, host.Identity{}, r)
}

var errRan = host.Faultf(wire.CodeRan, "the call ran earlier; its result is no longer kept")

// repeat answers a call that was accepted before. If its reply is an entry of the log,
// the client gets it from there. The answer of a single call is for no connection, whatever
// id its client gives itself.
func (m *callEnvelope) repeat(in *instance, cl *producer) {
	a, ok := in.actor.storedAnswer(cl, m.ID)
	if !ok || cl.oneCall {
		a = answerOf(m.ID, nil, errRan)
	}
	out := []*host.Output{answerOutput(a, m.Attachment)}
	in.number(out, time.Now())
	in.actor.gate.put(out, nil)
}

// runAction runs an action as a turn and answers it. who is of a call without a
// connection. It returns false if the instance was abandoned.
func (in *instance) runAction(name string, raw []json.RawMessage, who host.Identity, r reply) bool {
	t := in.begin(name, in.def.Options.ActionTimeout, r.conn)
	t.setIdentity(who)
	action := in.def.Actions[name]
	t.readOnly = action == nil || action.ReadOnly
	t.bounded = !t.readOnly
	o, ok := t.execute(func() (any, error) {
		if !r.admitted {
			if err := t.admit(Access{Door: DoorCall, Action: name}); err != nil {
				return nil, err
			}
		}
		if action == nil {
			return nil, host.Faultf(wire.CodeUnknownAction, "%s has no action %q%s", in.def.Name, name, in.def.Hint(name))
		}
		args, bad := action.DecodeArgs(name, raw)
		if bad != nil {
			return nil, bad
		}
		return action.Call(in.state.value, t, args)
	})
	if ok {
		in.apply(t, o, r)
	}
	return ok
}

// directEnvelope runs an action without a connection.
type directEnvelope struct {
	host.DirectCall
	*waiter
}

func (m *directEnvelope) size() int { return sizeOfCall(m.Action, m.Args) + len(m.Identity.Auth) }

func (m *directEnvelope) refuse(a *Actor, err *host.Fault) { m.waiter.refuse(a, err) }

func (m *directEnvelope) deliver(in *instance) bool {
	in.actor.used()
	access, request := Access{Door: DoorCall, Action: m.Action}, &host.OpenRequest{Identity: m.Identity, From: m.From}
	var print, id string
	if m.IdempotencyKey != "" {
		print, id = fingerprint(m.Action, m.Args), in.producers.idOf(m.IdempotencyKey, m.Identity.Subject, true)
		if in.life.tombstone && !in.created && m.repeats(in, id, print) {
			return true // a repetition does not begin a new life
		}
	}
	if err, ok := in.enter(m.Create, access, request); !ok || err != nil {
		if ok {
			m.refuse(in.actor, err)
		}
		return ok
	}
	r := reply{waiter: m.waiter}
	if m.IdempotencyKey != "" {
		// Before anything about the key is answered or stored.
		if err, ok := in.guard(access, request); !ok || err != nil {
			if ok {
				in.fail(m.waiter, err)
			}
			return ok
		}
		r.admitted = true
		if m.repeats(in, id, print) {
			return true
		}
		if in.def.Changes(m.Action) {
			r.producer, r.call = in.producers.get(id, m.Identity.Subject, m.From, print, time.Now()), 1
		}
	}
	return in.runAction(m.Action, m.Args, m.Identity, r)
}

// repeats answers the call if one was made before with its key, whose producer is id. It
// reports whether it did.
func (m *directEnvelope) repeats(in *instance, id, print string) bool {
	p := in.producers.byID[id]
	switch {
	case p == nil || p.record.Highest == 0:
		return false
	case p.record.Subject != m.Identity.Subject: // kept when a key was nobody's
		in.fail(m.waiter, errRan)
	case p.record.Print != "" && p.record.Print != print:
		in.fail(m.waiter, host.Faultf(wire.CodeIdempotencyMismatch, "the idempotency key was used before, for another action or other arguments; use a new key for a new call"))
	case !in.def.Changes(m.Action):
		return false
	default:
		a, ok := in.actor.storedAnswer(p, 1)
		if !ok {
			a = answerOf(1, nil, errRan)
		}
		out := answerOutput(a, host.Attachment{})
		out.Done = m.whenVisible()
		in.actor.gate.put([]*host.Output{out}, nil)
	}
	return true
}

// fingerprint tells calls apart. White space between the tokens of arguments is the same.
func fingerprint(action string, args []json.RawMessage) string {
	var text bytes.Buffer
	text.WriteString(action)
	for _, a := range args {
		text.WriteByte(0)
		if json.Compact(&text, a) != nil {
			text.Write(a) // invalid arguments are the action's to refuse
		}
	}
	sum := sha256.Sum256(text.Bytes())
	return base64.RawURLEncoding.EncodeToString(sum[:16])
}

// createEnvelope makes an actor that must not exist, or finds an existing one.
type createEnvelope struct {
	*waiter
	create    bool
	unguarded bool // without OnAccess
	input     json.RawMessage
	who       host.Identity
}

func (m *createEnvelope) size() int { return envelopeBytes + len(m.input) + len(m.who.Auth) }

func (m *createEnvelope) refuse(a *Actor, err *host.Fault) { m.waiter.refuse(a, err) }

func (m *createEnvelope) deliver(in *instance) bool {
	in.actor.used()
	request := &host.OpenRequest{Identity: m.who, Input: m.input}
	if m.create && in.stored {
		err, ok := in.guard(Access{Door: DoorCreate, Input: m.input}, request)
		if !ok {
			return false
		}
		if err == nil {
			err = host.Faultf(wire.CodeExists, "this %s exists", in.def.Name)
		}
		in.fail(m.waiter, err)
		return true
	}
	var err *host.Fault
	ok := true
	if m.unguarded {
		err, ok = in.create(false, nil, host.Identity{})
	} else {
		err, ok = in.enter(m.create, Access{Door: DoorResolve}, request)
	}
	if !ok || err != nil {
		if ok {
			m.refuse(in.actor, err)
		}
		return ok
	}
	t := in.begin("create", in.def.Options.ActionTimeout, nil)
	t.readOnly = !m.create
	t.opening = request
	o, ok := t.execute(func() (any, error) {
		if m.create || m.unguarded {
			return nil, nil
		}
		return nil, t.admit(Access{Door: DoorResolve})
	})
	if ok {
		in.apply(t, o, reply{waiter: m.waiter, store: m.create})
	}
	return ok
}

// doEnvelope runs a function of the process as a turn.
type doEnvelope struct {
	run func(*Turn) error
	*waiter
}

func (m *doEnvelope) size() int { return 0 }

func (m *doEnvelope) refuse(a *Actor, err *host.Fault) { m.waiter.refuse(a, err) }

func (m *doEnvelope) deliver(in *instance) bool {
	in.actor.used()
	if err, ok := in.create(true, nil, host.Identity{}); !ok || err != nil {
		if ok {
			m.refuse(in.actor, err)
		}
		return ok
	}
	t := in.begin("Do", in.def.Options.ActionTimeout, nil)
	t.bounded = true
	o, ok := t.execute(func() (any, error) { return nil, m.run(t) })
	if ok {
		in.apply(t, o, reply{waiter: m.waiter})
	}
	return ok
}

// tickEnvelope runs a timer that is due.
type tickEnvelope struct {
	in    *instance
	timer *timer
}

func (m *tickEnvelope) size() int { return 0 }

func (m *tickEnvelope) refuse(*Actor, *host.Fault) {}

func (m *tickEnvelope) deliver(in *instance) bool {
	if m.in != in || !m.timer.begin() {
		return true
	}
	if !m.timer.every {
		in.timers.remove(m.timer)
	}
	t := in.begin("timer", in.def.Options.ActionTimeout, nil)
	t.bounded = true
	o, ok := t.execute(func() (any, error) { return nil, m.timer.run(t) })
	if ok {
		in.apply(t, o, reply{})
	}
	return ok
}

// ackEnvelope drops the kept answers that the client has received.
type ackEnvelope struct {
	attachment host.Attachment
	ack        uint64
}

func (m *ackEnvelope) size() int { return envelopeBytes }

func (m *ackEnvelope) refuse(*Actor, *host.Fault) {}

func (m *ackEnvelope) deliver(in *instance) bool {
	if c := in.conns.attached[m.attachment]; c != nil {
		in.producers.acknowledge(c.producer, m.ack)
	}
	return true
}

// detachEnvelope reports that an attachment's socket is gone. The connection may be
// resumed.
type detachEnvelope struct{ attachment host.Attachment }

func (m *detachEnvelope) size() int { return 0 }

func (m *detachEnvelope) refuse(a *Actor, _ *host.Fault) { a.gone(m.attachment, time.Now()) }

func (m *detachEnvelope) deliver(in *instance) bool {
	in.actor.used()
	if c := in.conns.attached[m.attachment]; c != nil {
		return in.drop(c)
	}
	return true
}

// drop notes that a connection has no socket. It reports false if the instance was abandoned
// meanwhile.
func (in *instance) drop(c *Conn) bool {
	if !c.online {
		return true
	}
	t := in.begin("OnDrop", in.def.Options.ActionTimeout, c)
	t.readOnly = in.def.Hooks["OnDrop"] == nil
	in.conns.dropped(c, t.now)
	o, ok := t.execute(func() (any, error) {
		t.hookApart("OnDrop", c, in.state.base)
		return nil, nil
	})
	if !ok {
		return false
	}
	in.apply(t, o, reply{})
	return in.limitDetached()
}

// closeEnvelope reports that a client has ended its connection.
type closeEnvelope struct{ attachment host.Attachment }

func (m *closeEnvelope) size() int { return 0 }

func (m *closeEnvelope) refuse(a *Actor, _ *host.Fault) { a.gone(m.attachment, time.Time{}) } // expires immediately

func (m *closeEnvelope) deliver(in *instance) bool {
	in.actor.used()
	if c := in.conns.attached[m.attachment]; c != nil {
		return in.endConn(c, nil)
	}
	return true
}
