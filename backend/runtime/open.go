package runtime

import (
	"errors"
	"reflect"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
	"github.com/troupe-dev/troupe/backend/wire"
)

// openEnvelope makes a connection, or attaches an existing one.
type openEnvelope struct{ host.OpenRequest }

func (m *openEnvelope) size() int {
	return envelopeBytes + len(m.Params) + len(m.Input) + len(m.Identity.Auth)
}

func (m *openEnvelope) refuse(a *Actor, err *host.Fault) {
	a.gone(m.Attachment, time.Now()) // if its OnResume did not return
	a.put(&host.Output{Kind: host.OutputClosed, To: m.Attachment, Err: err})
}

func (m *openEnvelope) deliver(in *instance) bool {
	in.actor.used()
	if m.Name != "" && m.Name != in.def.Name {
		m.refuse(in.actor, host.Faultf(wire.CodeNotFound, "there is no actor %.64q with this id", m.Name))
		return true
	}
	if m.Resume && in.life.hasEnded(m.Log) {
		if in.actor.node.disconnected.since(m.Identity) {
			m.refuse(in.actor, errReauthenticate)
			return true
		}
		m.hearEnd(in)
		return true
	}
	if err, ok := in.enter(m.Create, Access{Door: DoorConnect}, &m.OpenRequest); !ok || err != nil {
		if ok {
			m.refuse(in.actor, err)
		}
		return ok
	}
	if in.actor.node.disconnected.since(m.Identity) {
		m.refuse(in.actor, errReauthenticate)
		return true
	}
	c := in.conns.byID[m.Conn]
	m.Producer = in.producers.idOf(m.Producer, in.numbers(c, m.Identity), false)
	in.producers.acknowledge(m.Producer, m.Ack)
	switch {
	case c == nil:
		return m.join(in, in.wasAnothers(&m.OpenRequest))
	case !m.Attachment.Replaces(c.attachment, m.Try, c.try): // a newer open arrived first
		m.refuse(in.actor, errReplaced)
		return true
	case in.isAnothers(c, m.Identity):
		return m.succeed(in, c, true)
	}
	joining, ok := m.missing(in, c)
	if !ok {
		return m.succeed(in, c, m.unaware(in, c))
	}
	return m.resume(in, c, joining)
}

var errReplaced = host.Faultf(wire.CodeReplaced, "the connection was opened again elsewhere")

// opened makes the output that answers the open.
func (m *openEnvelope) opened(in *instance, c *Conn, start uint64) *host.Output {
	replies, unknown := in.producers.replies(m.Producer, m.Ack, in.def.Options.Retention())
	return &host.Output{Kind: host.OutputOpened, To: m.Attachment, Opened: &host.OpenedInfo{
		Actor: in.actor.id, Name: in.def.Name, Log: in.log, Conn: c.id, Num: c.num,
		Owner: in.ownerToken(&m.OpenRequest), Start: start, Producer: m.Producer, Replies: replies, KnownProducer: unknown,
	}}
}

// follows reports whether the client's position is in this log.
func (m *openEnvelope) follows(in *instance) bool {
	return m.Resume && m.Log == in.log && m.Seq <= in.head
}

// missing returns what the joining of the connection has sent to it alone and the client has
// not received, because the answer of its first open was lost. If the client has a gap there
// anyway, it is nothing. ok is false if not all of it is in memory.
func (m *openEnvelope) missing(in *instance, c *Conn) (joining []*host.Output, ok bool) {
	after := c.start
	switch {
	case c.joined == 0 || m.Resume && !m.follows(in) && !m.repeats(c):
		return nil, true
	case m.follows(in):
		after = max(after, m.Seq)
	}
	if after >= c.joined {
		return nil, true
	}
	return in.actor.log.Unstored(after, c.num)
}

// repeats reports whether the client opens from the position of another log from which it
// opened when the connection joined.
func (m *openEnvelope) repeats(c *Conn) bool {
	return m.Log == c.askedLog && m.Seq == c.askedSeq
}

// unaware reports whether the connection took the place of another subject's, and the client
// did not get the answer that said so.
func (m *openEnvelope) unaware(in *instance, c *Conn) bool {
	return in.wasAnothers(&m.OpenRequest) || c.succeeds && m.Resume && m.repeats(c)
}

// succeed makes a new connection in place of one, which ends. Either the client has the
// secret of one of another subject, and must get nothing that was meant for that one; or
// the client misses what the old one was sent when it joined, and OnConnect sends that again.
// anothers is as in join.
func (m *openEnvelope) succeed(in *instance, c *Conn, anothers bool) bool {
	err, ok := in.guard(Access{Door: DoorConnect}, &m.OpenRequest)
	if !ok {
		return false
	}
	if err != nil {
		in.actor.gate.put(in.closes(time.Now(), m.Attachment, err), nil)
		return true
	}
	if !in.endConn(c, errReplaced) {
		return false
	}
	if in.life.over {
		in.life.again = true
		return true
	}
	return m.join(in, anothers)
}

// join makes a new connection: one turn, one commit. anothers: as far as the client knows,
// its connection is that of another subject.
func (m *openEnvelope) join(in *instance, anothers bool) bool {
	c := &Conn{num: in.conns.next, alone: [1]uint32{in.conns.next}, id: m.Conn, owner: m.Identity.Subject, start: in.head, attached: attached{
		attachment: m.Attachment, try: m.Try, online: true, params: m.Params, who: m.Identity, producer: m.Producer, from: m.From,
		askedLog: m.Log, askedSeq: m.Seq,
	}}
	opened := m.opened(in, c, in.head)
	switch {
	case anothers && (m.Resume || m.Owner != ""):
		c.succeeds = true
		opened.Opened.Reason = wire.ReasonIdentity
	case m.follows(in):
		opened.Opened.Reason, opened.Opened.AskedAfter = wire.ReasonExpired, m.Seq
	case m.Resume:
		opened.Opened.Reason = wire.ReasonRestart
	}

	t := in.begin("OnBeforeConnect", in.def.Options.ConnectTimeout, nil)
	t.opening = &m.OpenRequest
	o, ok := t.execute(func() (any, error) {
		if err := t.admit(Access{Door: DoorConnect}); err != nil {
			return nil, err
		}
		if err := t.beforeConnect(); err != nil {
			return nil, err
		}
		t.setLabel("CreateConnState")
		var err error
		if c.value, c.raw, err = m.connState(t); err != nil {
			return nil, err
		}
		t.setLabel("OnConnect")
		t.joining, t.conn = c, c
		if err := t.hook("OnConnect"); err != nil {
			return nil, err
		}
		opened.Opened.Refused = t.refusals(m.Subs)
		return nil, nil
	})
	if !ok {
		return false
	}
	if o.err != nil {
		why := *o.err
		// A hook that fails unexpectedly fails again, most likely. A client that was
		// connected before has something to lose, so it tries again.
		why.Final = why.Code == wire.CodeInternal && !m.Resume
		in.actor.gate.put(in.closes(t.now, m.Attachment, &why), nil)
		return true
	}
	in.apply(t, o, reply{opened: opened})
	return true
}

// beforeConnect checks the params of t.opening and runs OnBeforeConnect with them.
func (t *Turn) beforeConnect() error {
	if jsonshape.Depth(t.opening.Params) > jsonshape.MaxDepth {
		return definition.TooDeepFault("params")
	}
	h := t.in.def.Hooks["OnBeforeConnect"]
	if h == nil {
		return nil
	}
	args, bad := h.DecodeOptional(t.opening.Params, wire.CodeInvalidParams, "params")
	if bad != nil {
		return bad
	}
	what := t.what
	t.setLabel("OnBeforeConnect") // stays if the hook fails: the log and the client get it
	_, err := h.Call(t.in.state.value, t, args)
	if err == nil {
		err = t.failure
	}
	if err == nil {
		t.setLabel(what)
	}
	return err
}

// connState runs CreateConnState.
func (m *openEnvelope) connState(t *Turn) (value any, raw []byte, err error) {
	h := t.in.def.Hooks["CreateConnState"]
	if h == nil {
		value, err = t.in.def.DecodeConnState(nil)
		return value, []byte("{}"), err
	}
	args, bad := h.DecodeOptional(m.Params, wire.CodeInvalidParams, "params")
	if bad != nil {
		return nil, nil, bad
	}
	if value, err = h.Call(t.in.state.value, t, args); err != nil {
		return nil, nil, err
	}
	if raw, err = jsonshape.Marshal(value); err != nil {
		return nil, nil, err
	}
	if err := checkConnState(t.in.def, "the result of CreateConnState", raw, nil); err != nil {
		return nil, nil, err
	}
	if copier := t.in.def.ConnCopier; !copier.FromJSON() {
		value, err = copier.Copy(value)
	}
	return value, raw, err
}

// resume attaches an existing connection. joining is what the client still misses of its
// joining.
func (m *openEnvelope) resume(in *instance, c *Conn, joining []*host.Output) bool {
	head, follows := in.head, m.follows(in)
	t := in.begin("OnResume", in.def.Options.ConnectTimeout, c)
	o, refused, ok := t.refresh(DoorResume, &m.OpenRequest)
	if !ok {
		return false
	}
	for _, end := range t.closes {
		if end.To == c.attachment {
			end.To = m.Attachment // OnRefresh has ended the connection
		}
	}
	if c.online {
		in.actor.gate.put(in.closes(t.now, c.attachment, errReplaced), nil)
	}
	returns := !c.online
	in.conns.attach(c, m.Attachment)
	c.producer, c.from, c.try = m.Producer, m.From, m.Try
	if o.err != nil {
		return in.endConn(c, o.err)
	}
	c.params = m.Params
	in.identify(c, m.Identity)
	in.apply(t, o, reply{})
	if in.conns.byID[c.id] != c {
		return true
	}

	start := c.start
	opened := m.opened(in, c, start)
	opened.Opened.Resumed, opened.Opened.Refused, opened.Opened.Joining = true, refused, joining
	switch {
	case m.unaware(in, c): // the client did not get the answer to its first open
		opened.Opened.Resumed, opened.Opened.Reason = false, wire.ReasonIdentity
	case follows && m.Seq >= c.start:
		opened.Opened.Start = m.Seq
	case follows: // likewise
		opened.Opened.Reason, opened.Opened.AskedAfter = wire.ReasonExpired, m.Seq
	case m.Resume && m.repeats(c): // likewise, from another log
		opened.Opened.Reason = wire.ReasonRestart
	case m.Resume:
		opened.Opened.Start, opened.Opened.Reason = head, wire.ReasonRestart
	}
	t = in.begin("OnResume", in.def.Options.ConnectTimeout, c)
	t.readOnly = !returns || in.def.Hooks["OnResume"] == nil
	o, ok = t.execute(func() (any, error) {
		if returns {
			t.hookApart("OnResume", c, in.state.base)
		}
		return nil, nil
	})
	if ok {
		in.apply(t, o, reply{opened: opened})
	}
	return ok
}

// refreshEnvelope gives a connection new params.
type refreshEnvelope struct{ host.RefreshRequest }

func (m *refreshEnvelope) size() int { return envelopeBytes + len(m.Params) + len(m.Identity.Auth) }

func (m *refreshEnvelope) refuse(a *Actor, err *host.Fault) {
	a.gone(m.Attachment, time.Now()) // its client repeats it when it resumes
	a.put(&host.Output{Kind: host.OutputClosed, To: m.Attachment, Err: err})
}

func (m *refreshEnvelope) deliver(in *instance) bool {
	in.actor.used()
	c := in.conns.attached[m.Attachment]
	if c == nil {
		return true // the connection is over, or the socket was replaced
	}
	if in.isAnothers(c, m.Identity) || in.actor.node.disconnected.since(m.Identity) {
		return in.reauthenticate(c)
	}
	t := in.begin("OnRefresh", in.def.Options.ConnectTimeout, c)
	o, refused, ok := t.refresh(DoorRefresh, &host.OpenRequest{Conn: c.id, Params: m.Params, Identity: m.Identity, Subs: m.Subs})
	if !ok {
		return false
	}
	if o.err != nil {
		return in.endConn(c, o.err)
	}
	c.params = m.Params
	in.identify(c, m.Identity)
	if len(refused) > 0 {
		t.out.add(subscribed(m.Attachment, 0, refused))
	}
	in.apply(t, o, reply{})
	return true
}

// refresh runs the turn in which an existing connection gets new params. They apply when
// the turn has succeeded. refused are the subscriptions that are now refused.
func (t *Turn) refresh(door Door, r *host.OpenRequest) (o outcome, refused []host.Refusal, ok bool) {
	t.opening, t.resuming = r, true
	t.readOnly = t.in.def.Hooks["OnBeforeConnect"] == nil && t.in.def.Hooks["OnRefresh"] == nil
	o, ok = t.execute(func() (any, error) {
		if err := t.admit(Access{Door: door}); err != nil {
			return nil, err
		}
		if err := t.beforeConnect(); err != nil {
			return nil, err
		}
		if err := t.hook("OnRefresh"); err != nil {
			return nil, err
		}
		refused = t.refusals(r.Subs)
		return nil, nil
	})
	return o, refused, ok
}

// refusals runs OnAccess and CanSubscribe in the turn and returns the events that one of
// them refuses to the connection. The gateway refuses events that the actor does not have.
func (t *Turn) refusals(events []string) (refused []host.Refusal) {
	h := t.in.def.Hooks["CanSubscribe"]
	if len(events) == 0 || !t.in.def.Guards() {
		return nil
	}
	what, readOnly, failure := t.what, t.readOnly, t.failure
	t.readOnly = true
	t.in.state.allow(false)
	for _, e := range events {
		if _, ok := t.in.def.EventNames[e]; !ok {
			continue
		}
		t.failure = nil
		t.setLabel("CanSubscribe")
		_, err := protect(func() (any, error) {
			if err := t.admit(Access{Door: DoorSubscribe, Event: e}); err != nil || h == nil {
				return nil, err
			}
			return h.Call(t.in.state.value, t, definition.Argument(reflect.ValueOf(e)))
		})
		if err = errors.Join(err, t.failure); err != nil {
			refused = append(refused, host.Refusal{Event: e, Err: faultAbout(e, t.public(err))})
		}
	}
	t.in.state.allow(!readOnly)
	t.readOnly, t.failure = readOnly, failure
	t.setLabel(what)
	return refused
}
