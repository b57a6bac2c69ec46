package runtime

import (
	"encoding/json"

	"github.com/troupe-dev/troupe/backend/host"
)

// Door is the kind of a request that OnAccess guards. Package actor documents the doors.
type Door string

// The doors.
const (
	DoorConnect   Door = "connect"
	DoorResume    Door = "resume"
	DoorRefresh   Door = "refresh"
	DoorSubscribe Door = "subscribe"
	DoorCall      Door = "call"
	DoorCreate    Door = "create"
	DoorResolve   Door = "resolve"
)

// Access is what OnAccess decides about.
type Access struct {
	Door   Door
	Action string          // of a call
	Event  string          // of a subscription
	Input  json.RawMessage // of a creation
}

// admit runs OnAccess in the turn, read-only. Its error is that of the turn. A definition
// without OnAccess admits everybody.
func (t *Turn) admit(a Access) error {
	h := t.in.def.Hooks["OnAccess"]
	if h == nil {
		return nil
	}
	what, readOnly := t.what, t.readOnly
	t.setLabel("OnAccess") // stays if the hook fails: the log and the client get it
	access := a            // so that only turns with the hook allocate it
	t.access, t.readOnly = &access, true
	t.in.state.allow(false)
	_, err := h.Call(t.in.state.value, t, nil)
	t.in.state.allow(!readOnly)
	t.readOnly = readOnly
	if err == nil {
		err = t.failure
	}
	if err == nil {
		t.setLabel(what)
	}
	return err
}

// guard runs OnAccess in a turn of its own, for a request that has none yet. err is the
// refusal. ok is false if the instance was abandoned.
func (in *instance) guard(a Access, request *host.OpenRequest) (err *host.Fault, ok bool) {
	if in.def.Hooks["OnAccess"] == nil {
		return nil, true
	}
	t := in.begin("OnAccess", in.def.Options.ConnectTimeout, nil)
	t.opening, t.readOnly = request, true
	o, ok := t.execute(func() (any, error) { return nil, t.admit(a) })
	return o.err, ok
}

// enter makes sure that the actor exists, for a client's request. Of an actor that does not
// exist, OnAccess is asked here, so that a client whom it refuses does not learn that.
func (in *instance) enter(create bool, a Access, request *host.OpenRequest) (err *host.Fault, ok bool) {
	if in.stored {
		return nil, true
	}
	if create {
		a = Access{Door: DoorCreate, Input: request.Input}
	}
	if err, ok := in.guard(a, request); !ok || err != nil {
		return err, ok
	}
	if err := in.admitNew(create, request.From); err != nil {
		return err, true
	}
	return in.create(create, request.Input, request.Identity)
}

// warnOfOpenDoors logs the definitions that check who connects, and nothing else.
func (n *Node) warnOfOpenDoors() {
	for _, name := range n.defs.Names() {
		if h := n.defs[name].Hooks; h["OnBeforeConnect"] != nil && h["OnAccess"] == nil {
			n.log.Warn("OnBeforeConnect runs for connections only: over HTTP everyone may call the actions of this actor, create it and look it up; guard all doors with OnAccess", "actor", name)
		}
	}
}

// Access returns what OnAccess decides about in this turn.
func (t *Turn) Access() Access {
	t.Use()
	if t.access == nil {
		return Access{}
	}
	return *t.access
}

// Exists reports whether the actor exists: it is stored, or OnCreate has run.
func (t *Turn) Exists() bool {
	return t.Use() && (t.in.stored || t.in.created)
}

// ClientParams returns the params of the turn's client, nil if there are none.
func (t *Turn) ClientParams() json.RawMessage { return t.ParamsOf(t.conn) }
