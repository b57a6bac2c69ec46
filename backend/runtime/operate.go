package runtime

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

// What an operator does to an actor happens between its turns. It loads an actor that sleeps.
// The errors of these methods are a *host.Fault, or that of ctx.

// Codes that clients do not get.
const (
	codeChanged  wire.Code = "changed"   // an edit was made from an older state
	codeUnderWay wire.Code = "under_way" // a message cannot be changed now
)

// CallAs runs an action without a connection, as CallOnce does. as is what OnAuth would have
// returned, as JSON; nil if the actor has no OnAuth.
func (i *Inspector) CallAs(ctx context.Context, r host.Ref, as json.RawMessage, c host.DirectCall) (json.RawMessage, error) {
	def := i.n.defs[r.Name]
	if def == nil {
		return nil, host.Faultf(wire.CodeUnknownActor, "there is no actor named %q", r.Name)
	}
	if def.Auth != nil {
		who, err := identityAs(def, as)
		who.Asked = i.n.disconnected.moment()
		if err != nil {
			return nil, host.Faultf(wire.CodeInvalidParams, "as: %v", err)
		}
		c.Identity = who
	}
	result, err := i.n.CallOnce(ctx, r, c)
	if err != nil {
		return nil, err
	}
	if a := def.Actions[c.Action]; a != nil && a.Result != nil && len(result) > 0 {
		result = jsonshape.Masked(a.Result, result)
	}
	return result, nil
}

// identityAs returns the identity that a result of OnAuth stands for, from its JSON.
func identityAs(def *definition.Definition, as json.RawMessage) (who host.Identity, err error) {
	result := reflect.New(def.Auth.Result)
	if len(as) == 0 {
		return who, fmt.Errorf("the actor has an OnAuth: say as whom, by the JSON of what that returns (a %s)", def.Auth.Result)
	}
	_, err = protect(func() (any, error) {
		text := json.NewDecoder(strings.NewReader(string(as)))
		text.DisallowUnknownFields()
		if err := text.Decode(result.Interface()); err != nil {
			return nil, err
		}
		who, err = IdentityOf(result.Elem().Interface())
		return nil, err
	})
	return who, err
}

// operateEnvelope runs f on the actor's goroutine, between two turns. It answers with an
// error at once, and without one when what f has put into the gate is durable.
type operateEnvelope struct {
	run func(in *instance) (err *host.Fault, ok bool) // ok is as in envelope.deliver
	*waiter
	claimed *atomic.Bool // by the actor, which runs it, or by the operator, who has gone
}

func (m *operateEnvelope) size() int { return 0 }

func (m *operateEnvelope) refuse(a *Actor, err *host.Fault) { m.waiter.refuse(a, err) }

func (m *operateEnvelope) deliver(in *instance) bool {
	if !m.claimed.CompareAndSwap(false, true) {
		return true // its operator has heard that nothing was done
	}
	if !in.stored {
		m.refuse(in.actor, host.Faultf(wire.CodeNotFound, "this %s does not exist", in.def.Name))
		return true
	}
	err, ok := m.run(in)
	switch {
	case !ok:
		return false // the goroutine that takes over refuses m
	case err != nil:
		m.done(nil, err)
	default:
		in.actor.put(&host.Output{Kind: host.OutputReply, Done: m.whenVisible()})
	}
	return true
}

// operate runs f on the actor's goroutine. If ctx ends before the actor has begun with it, f
// does not run any more.
func (i *Inspector) operate(ctx context.Context, id string, run func(*instance) (*host.Fault, bool)) error {
	var claimed atomic.Bool
	_, err := roundTrip(ctx, func(w *waiter) error {
		return i.n.post(host.Ref{ID: id}, &operateEnvelope{run, w, &claimed})
	})
	if err == nil || ctx.Err() == nil || !errors.Is(err, ctx.Err()) {
		return err
	}
	if claimed.CompareAndSwap(false, true) {
		return host.Faultf(wire.CodeTimeout, "the actor is busy; nothing was done")
	}
	return host.Faultf(wire.CodeMaybeRan, "the actor has begun with it and has not answered in time; look at it before you try again")
}

// Disconnect ends a connection of an actor. Its client gets the reason and does not reconnect
// by itself. OnDisconnect runs.
func (i *Inspector) Disconnect(ctx context.Context, id, conn, reason string) error {
	return i.operate(ctx, id, func(in *instance) (*host.Fault, bool) {
		c := in.conns.byID[conn]
		if c == nil {
			return host.Faultf(wire.CodeNotFound, "the actor has no connection with this id"), true
		}
		return nil, in.endConn(c, host.Faultf(wire.CodeDisconnected, "%s", reason))
	})
}

// errOperatorReset is the cause of a reset that is nobody's fault.
var errOperatorReset = errors.New("an operator has reset it")

// Reset discards what the actor has in memory beside its durable state: timers, and fields
// that are not stored. It is then loaded again. Connections stay.
func (i *Inspector) Reset(ctx context.Context, id string) error {
	return i.operate(ctx, id, func(in *instance) (*host.Fault, bool) {
		in.actor.reset(errOperatorReset)
		in.actor.box.post(wakeEnvelope{}) // loads it, for its connections
		return nil, true
	})
}

// Edit replaces the state of an actor between two turns, in one commit, if rev is the
// revision of the newest turn. The state must be one that the actor can load. Each mask of a
// secret in it stands for the secret at its place. The actor is then loaded again, as by
// Reset; if it cannot be, a second commit returns it to the state before. Clients are not told. It returns the state before, masked.
func (i *Inspector) Edit(ctx context.Context, id string, rev uint64, state json.RawMessage) (before json.RawMessage, err error) {
	err = i.operate(ctx, id, func(in *instance) (*host.Fault, bool) {
		if rev != in.rev {
			return host.Faultf(codeChanged, "the actor has changed since: it is at revision %d", in.rev), true
		}
		old := wholeState(&in.state)
		text, err := editedState(in, old, state)
		if err != nil {
			return err, true
		}
		before = maskState(in.def, old)
		if ok, failed := commitState(in, text); !ok || failed != nil {
			return failed, ok
		}
		why, ok := reload(in.actor)
		if !ok || why == nil {
			return nil, ok
		}
		// It has all other changes in the commit before.
		in.rev++
		in.actor.gate.put(nil, &store.Commit{
			Actor: in.actor.id, Name: in.def.Name, Key: in.actor.ref().Key, Log: in.log, Time: time.Now(),
			Rev: in.rev, State: old, NextConn: in.conns.next,
		})
		refused := host.Faultf(wire.CodeInvalidInput, "the actor does not start from it: %v", why)
		if why, ok = reload(in.actor); why != nil {
			refused = why
		}
		return refused, ok
	})
	return before, err
}

// commitState commits a state that no turn has made. ok is as in envelope.deliver.
func commitState(in *instance, text []byte) (ok bool, failed *host.Fault) {
	t := in.begin("edit", in.def.Options.ActionTimeout, nil)
	t.readOnly = true
	o, ok := t.execute(func() (any, error) { return nil, nil })
	if !ok {
		return false, nil
	}
	if o.err != nil {
		return true, o.err
	}
	in.apply(t, o, reply{store: true, state: text})
	return true, nil
}

// reload loads an actor again from what its commits have made. It returns why the actor
// cannot be used; ok is as in envelope.deliver.
func reload(a *Actor) (why *host.Fault, ok bool) {
	if err := a.gate.await(); err != nil {
		a.reset(err)
		return host.Faultf(wire.CodeUnavailable, "the store has not taken the state"), true
	}
	if a.in != nil {
		a.in.discard()
		a.previous, a.in = a.in, nil
	}
	a.loadErr = nil
	if !a.load() {
		return nil, false
	}
	if a.in == nil {
		return a.loadErr, true
	}
	return nil, true
}

// editedState returns the text of an edited state as this binary stores it. It fails if the
// actor could not be loaded from it.
func editedState(in *instance, old, edited []byte) (text []byte, fault *host.Fault) {
	refuse := func(err error) ([]byte, *host.Fault) {
		return nil, host.Faultf(wire.CodeInvalidInput, "%v", err)
	}
	if !json.Valid(edited) || jsonshape.Members(edited) == nil {
		return refuse(errors.New("the state is not a JSON object"))
	}
	known := map[string]bool{}
	for _, m := range jsonshape.Members(old) {
		known[m.Name] = true
	}
	for _, m := range jsonshape.Members(edited) {
		if !known[m.Name] && !in.def.HasField(m.Name) {
			return refuse(fmt.Errorf("a %s has no field %q", in.def.Name, m.Name))
		}
	}
	edited, err := unmaskState(in.def, edited, old)
	if err != nil {
		return refuse(err)
	}
	s := newState(in.actor, in.def)
	_, err = protect(func() (any, error) {
		scalars, exact, err := s.loadVersion(in.def.Version(), &edited)
		if err != nil {
			return nil, err
		}
		s.keep()
		if err := s.restored(); err != nil {
			return nil, fmt.Errorf("OnRestore: %w", err)
		}
		if s.base, err = s.encode(); err != nil {
			return nil, err
		}
		s.settle(edited, scalars, exact, false)
		text = wholeState(&s)
		return nil, nil
	})
	if err != nil {
		return refuse(err)
	}
	if limit := in.def.Options.MaxState; len(text) > limit && len(text) > len(old) {
		return nil, host.Limit{Size: len(text), Limit: limit, Option: "actor.Options.MaxState"}.
			Fault(wire.CodeTooLarge, fmt.Sprintf("the state would have %d bytes, the limit is %d", len(text), limit))
	}
	if depth := jsonshape.Depth(text); depth > jsonshape.MaxDepth && depth > jsonshape.Depth(old) {
		return nil, definition.TooDeepFault("the state of " + in.def.Name)
	}
	return text, nil
}

// Destroy ends an actor's life, as Context.Destroy does.
func (i *Inspector) Destroy(ctx context.Context, id string) error {
	return i.operate(ctx, id, func(in *instance) (*host.Fault, bool) {
		t := in.begin("destroy", in.def.Options.ActionTimeout, nil)
		o, ok := t.execute(func() (any, error) {
			t.Destroy()
			return nil, nil
		})
		if ok {
			in.apply(t, o, reply{})
		}
		return o.err, ok
	})
}

// MessageChange is what an operator does to a message.
type MessageChange string

// Changes of messages.
const (
	RunMessage    MessageChange = "run"    // it is due now; one that is parked is tried again, from the first try on; one that repeats runs once more
	CancelMessage MessageChange = "cancel" // it is finished: it does not run, and its sender does not hear of it
)

// ChangeMessage changes a message of an actor that is not finished, by its number.
func (i *Inspector) ChangeMessage(ctx context.Context, id string, number uint64, change MessageChange) error {
	return i.operate(ctx, id, func(in *instance) (*host.Fault, bool) {
		m := in.messages.byID[number]
		switch {
		case m == nil:
			return host.Faultf(wire.CodeNotFound, "the actor has no message with this id: it is finished"), true
		case m.To != "" && m.Parked == "":
			return host.Faultf(codeUnderWay, "the message is on its way to its receiver, which may have it"), true
		case change == CancelMessage:
			return nil, in.messages.record(m, func() { in.messages.edit(m, nil) })
		}
		before, next := m, *m
		next.Parked, next.Tries, next.Fatal, next.Retry = "", 0, 0, time.Time{}
		now := dueTime(in.actor.node.now())
		switch {
		case m.To != "":
			next.Order = in.messages.nextNumber()
		case m.Spec == "" || !m.Due.After(now):
			next.Due = earlier(m.Due, now)
		default: // the times at which it repeats stay as they are
			before, next = nil, *in.messages.occurrence(m, now)
			next.Label, next.Spec = "", ""
		}
		ok := in.messages.record(m, func() { in.messages.edit(before, &next) })
		in.actor.box.post(wakeEnvelope{}) // runs it
		return nil, ok
	})
}
