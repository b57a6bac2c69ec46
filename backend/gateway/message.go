package gateway

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"
	"unicode/utf8"

	"github.com/troupe-dev/troupe/backend/gateway/limit"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

const secretBytes = 16

// A receiver handles the messages of a socket's client. Nothing in it waits for
// an actor or a store. It belongs to the socket's reader; what was postponed for OnAuth
// (auth.go) runs elsewhere, with do.
type receiver struct {
	s    *socket
	rate limit.Messages
	used numbers // channel numbers
}

// charge counts something that was read, and waits while the client sends too much: what
// it sends then stays in the network. The error is limit.ErrFlood.
func (r *receiver) charge() error {
	wait, err := r.rate.Charge()
	if wait > 0 && !r.s.deaf.Load() {
		time.Sleep(wait)
		r.s.out.Clock().Heard() // that nothing was read was not the client's doing
	}
	return err
}

// receive handles the messages of a frame. The error is wire.ErrNotJSON, wire.ErrNotUTF8
// or limit.ErrFlood; the socket has to end then.
func (r *receiver) receive(b []byte) error {
	r.s.traffic.In(len(b))
	if err := r.charge(); err != nil {
		return err
	}
	if !utf8.Valid(b) {
		return wire.ErrNotUTF8
	}
	if m, ok := wire.DecodeCall(b); ok && len(b) <= r.s.g.opts.Limits.Message {
		r.handle(&m, wire.Envelope{Type: m.Type, Channel: m.Channel, ID: m.ID}, "")
		r.awaitRoom()
		return nil
	}
	messages, err := wire.Split(b)
	if err != nil {
		return err
	}
	for i, m := range messages {
		if i > 0 { // the frame is counted
			if err := r.charge(); err != nil {
				return err
			}
		}
		if r.s.deaf.Load() {
			break
		}
		r.message(m)
		r.awaitRoom()
	}
	return nil
}

func (r *receiver) message(raw json.RawMessage) {
	if limit := r.s.g.opts.Limits.Message; len(raw) > limit {
		r.refuse(wire.DecodeEnvelope(raw), wire.CodeTooLarge,
			fmt.Sprintf("a message is at most %d bytes, this one has %d", limit, len(raw)),
			host.Limit{Size: len(raw), Limit: limit, Option: "message"}.JSON())
		return
	}
	m, err := wire.DecodeClient(raw)
	if err != nil || raw[0] != '{' {
		r.handle(nil, wire.DecodeEnvelope(raw), malformed(raw, err))
		return
	}
	r.handle(&m, wire.Envelope{Type: m.Type, Channel: m.Channel, ID: m.ID}, "")
}

// handle handles one message. problem, if there is one, is why it could
// not be decoded; then all that is known of it is in at.
func (r *receiver) handle(m *wire.ClientMessage, at wire.Envelope, problem string) {
	if at.Type == wire.TypeBeat && problem == "" && !m.Probe {
		return
	}
	if wait := r.rate.Allow(at.Type); wait > 0 {
		if (at.Type != wire.TypeCall || at.ID == 0) && at.Type != wire.TypeOpen {
			// Only calls and opens are all answered; answering everything else would be a
			// flood, too.
			if !r.rate.Report() {
				return
			}
		}
		m := host.Limit{Limit: r.s.g.opts.Limits.Rate, Option: "rate", RetryAfterMs: limit.RetryMs(wait)}
		if at.Type == wire.TypeOpen {
			m.Limit, m.Option = r.s.g.opts.OpenRate, "openRate"
		}
		r.refuse(at, wire.CodeRateLimited, "too many messages per second", m.JSON())
		return
	}
	if problem != "" {
		r.refuse(at, wire.CodeMalformed, problem, nil)
		return
	}
	if (m.Type == wire.TypeCall || m.Type == wire.TypeOpen) && r.s.g.buffers.Full() {
		e := r.s.g.buffers.Overloaded()
		r.refuse(at, e.Code, e.Message, e.Metadata)
		return
	}
	if !r.postpone(m, at) {
		r.do(m, at)
	}
}

// do handles a message that passed the limits and need not wait.
func (r *receiver) do(m *wire.ClientMessage, at wire.Envelope) {
	switch m.Type {
	case wire.TypeBeat:
		r.s.control([]byte(wire.Beat))
	case wire.TypeOpen:
		r.open(m)
	case wire.TypeCall:
		r.call(m)
	case wire.TypeSub:
		r.subscribe(m)
	case wire.TypeUnsub:
		if c := r.s.channel(m.Channel); c != nil {
			c.unsubscribe(m.Events)
		}
	case wire.TypeParams:
		r.refresh(m)
	case wire.TypeAck:
		if c := r.s.channel(m.Channel); c != nil {
			r.s.g.host.Ack(c.followed(), c.attachment, m.Ack)
		}
	case wire.TypeClose:
		if c := r.s.channel(m.Channel); c != nil {
			r.s.forget(c)
			r.s.g.host.Close(c.followed(), c.attachment)
		}
	default:
		r.refuse(at, wire.CodeUnknownType, fmt.Sprintf("there is no message type %.40q", m.Type), nil)
	}
}

// malformed says what is wrong with a message.
func malformed(raw json.RawMessage, err error) string {
	var field *json.UnmarshalTypeError
	switch {
	case raw[0] != '{':
		return "a message is a JSON object"
	case errors.As(err, &field):
		return fmt.Sprintf("field %q cannot be a %s", field.Field, field.Value)
	}
	return "a field of the message has the wrong type"
}

// refuse answers a message that cannot be handled: a call fails, an open is closed,
// anything else gets an error.
func (r *receiver) refuse(at wire.Envelope, code wire.Code, text string, metadata json.RawMessage) {
	r.s.countError(code)
	switch {
	case at.Type == wire.TypeCall && at.Channel > 0 && at.ID > 0:
		r.s.control(wire.AppendFail(wire.AppendHead(nil, at.Channel), 0, at.ID, code, text, metadata))
	case at.Type == wire.TypeOpen && at.Channel > 0:
		if r.use(at.Channel) {
			r.s.control(wire.AppendClosed(wire.AppendHead(nil, at.Channel), code, text, metadata))
		}
	default:
		r.s.control(wire.AppendError(nil, at.Channel, code, text, metadata))
	}
}

// use takes a channel number. If it was used before, the client gets an error, and the
// channel stays as it is.
func (r *receiver) use(c uint32) bool {
	if r.used.has(c) || !r.used.add(c) {
		r.s.sendError(c, wire.CodeChannelInUse,
			fmt.Sprintf("channel %d was opened before on this socket: count on from the highest", c), nil)
		return false
	}
	return true
}

func (r *receiver) open(m *wire.ClientMessage) {
	if m.Channel == 0 {
		r.refuse(wire.Envelope{}, wire.CodeMalformed, "an open needs a channel c, a number from 1", nil)
		return
	}
	if !r.use(m.Channel) {
		return
	}
	c, err := r.newChannel(m)
	if err != nil {
		r.s.refuseOpen(m.Channel, err)
		return
	}
	r.s.mu.Lock()
	r.s.channels.add(c)
	r.s.mu.Unlock()
	request := host.OpenRequest{
		Attachment: c.attachment, Create: c.fanout.ref.ID == "" && (m.Create == nil || *m.Create), Input: m.Input,
		Conn: c.conn, Try: m.N, Producer: c.caller, Params: m.Params, From: r.s.from,
		Resume: m.Log != "", Log: m.Log, Seq: m.Seq, Owner: m.Owner, Ack: m.Ack,
	}
	if m.ActorID != "" {
		request.Name = m.Actor
	}
	if c.needsApproval() {
		request.Subs = m.Subs
	}
	if c.authenticates() {
		c.authOpen(request)
		return
	}
	if err := r.s.g.host.Open(c.fanout.ref, request); err != nil {
		r.s.forget(c)
		r.s.refuseOpen(c.num, err)
	}
}

// refresh gives a connection new params.
func (r *receiver) refresh(m *wire.ClientMessage) {
	at := wire.Envelope{Channel: m.Channel}
	c := r.s.channel(m.Channel)
	if c == nil {
		r.refuse(at, wire.CodeUnknownChannel, fmt.Sprintf("channel %d is not open", m.Channel), nil)
		return
	}
	if e := r.checkParams(m.Params); e != nil {
		r.refuse(at, e.Code, e.Message, e.Metadata)
		return
	}
	request := host.RefreshRequest{Attachment: c.attachment, Params: m.Params}
	if c.needsApproval() {
		request.Subs = c.requestedEvents()
	}
	if c.authenticates() {
		c.authRefresh(request)
		return
	}
	if err := r.s.g.host.Refresh(c.followed(), request); err != nil {
		r.s.deny(c, true, err)
	}
}

// checkParams refuses params that are too large.
func (r *receiver) checkParams(params json.RawMessage) *host.Fault {
	limit := r.s.g.opts.Limits.Params
	if len(params) <= limit {
		return nil
	}
	return host.Limit{Size: len(params), Limit: limit, Option: "params"}.
		Fault(wire.CodeTooLarge, fmt.Sprintf("params are at most %d bytes, these have %d", limit, len(params)))
}

// newChannel checks an open, and joins the log of the actor that it names.
func (r *receiver) newChannel(m *wire.ClientMessage) (*channel, error) {
	limits := &r.s.g.opts.Limits
	r.s.mu.Lock()
	n := len(r.s.channels)
	r.s.mu.Unlock()
	if n >= limits.Channels {
		return nil, host.Limit{Limit: limits.Channels, Option: "channels"}.
			Fault(wire.CodeTooManyChannels, fmt.Sprintf("a socket carries at most %d channels", limits.Channels))
	}
	if e := r.checkParams(m.Params); e != nil {
		return nil, e
	}
	if !isSecret(m.Secret) || !isSecret(m.Caller) {
		return nil, host.Faultf(wire.CodeBadSecret, "k and caller are 128 random bits each, in base64url without padding")
	}
	c := &channel{
		s: r.s, num: m.Channel,
		attachment: r.s.attachment.Plus(m.Channel), conn: connectionID(m.Secret), caller: m.Caller, ack: m.Ack,
	}
	ref := host.Ref{ID: m.ActorID}
	if m.ActorID == "" {
		key, err := host.ParseKey(m.Key)
		if err != nil {
			return nil, err
		}
		ref = host.Ref{Name: m.Actor, Key: key}
	}
	if err := r.s.g.fanouts.join(ref, c); err != nil {
		return nil, err
	}
	c.name = c.fanout.ref.Name // empty if the actor is not known before it answers
	// From where the connection starts, which is not m.Seq if that is of another log.
	subs := subscriptions{}.with(c.knownEvents(m.Subs), subscription{})
	c.subs.Store(&subs)
	return c, nil
}

func (r *receiver) subscribe(m *wire.ClientMessage) {
	c := r.s.channel(m.Channel)
	if c == nil {
		r.refuse(wire.Envelope{Channel: m.Channel}, wire.CodeUnknownChannel, fmt.Sprintf("channel %d is not open", m.Channel), nil)
		return
	}
	events := c.knownEvents(m.Events)
	if c.needsApproval() {
		c.requestApproval(events)
		return
	}
	c.subscribe(events)
}

func (r *receiver) call(m *wire.ClientMessage) {
	at := wire.Envelope{Type: m.Type, Channel: m.Channel, ID: m.ID}
	if m.Channel == 0 || m.ID == 0 {
		r.refuse(at, wire.CodeMalformed, "a call needs a channel c and an id, numbers from 1", nil)
		return
	}
	r.s.mu.Lock()
	c := r.s.channels.get(m.Channel)
	pending, full := false, false
	if c != nil {
		if pending = slices.Contains(c.inFlight, m.ID); !pending {
			if full = len(c.inFlight) >= r.s.g.opts.Limits.InFlight; !full {
				c.inFlight = append(c.inFlight, m.ID)
			}
		}
	}
	r.s.mu.Unlock()
	switch {
	case pending: // it is answered once
	case c == nil:
		r.refuse(at, wire.CodeUnknownChannel, fmt.Sprintf("channel %d is not open", m.Channel), nil)
	case full:
		r.refuse(at, wire.CodeOverloaded, fmt.Sprintf("%d calls wait for an answer", r.s.g.opts.Limits.InFlight),
			host.Limit{Limit: r.s.g.opts.Limits.InFlight, Option: "inFlight"}.JSON())
	default:
		r.s.g.stats.calls.Add(1)
		err := r.s.g.host.Call(c.followed(), host.CallRequest{
			Attachment: c.attachment, Conn: c.conn, ID: m.ID, Action: m.Action, Args: m.Args, Ack: m.Ack,
		})
		if err != nil {
			r.s.mu.Lock()
			c.answerLocked(m.ID)
			r.s.mu.Unlock()
			e := asError(r.s.logger, err)
			if e.Code == wire.CodeShutdown || e.Code == wire.CodeMoved {
				return // without an answer the client sends it again when it has opened again
			}
			r.refuse(at, e.Code, e.Message, e.Metadata)
		}
	}
}

// isSecret reports whether s is 128 bits in base64url without padding.
func isSecret(s string) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(b) == secretBytes
}

// connectionID is the id of the connection whose client has the secret k. The id is no
// secret: only k opens the connection.
func connectionID(k string) string {
	sum := sha256.Sum256([]byte(k))
	return base64.RawURLEncoding.EncodeToString(sum[:secretBytes])
}

// awaitRoom makes the reader wait while the client does not take the answers to what it
// sends.
func (r *receiver) awaitRoom() {
	if r.s.outbox.awaitRoom() {
		r.s.out.Clock().Heard() // that nothing was read was not the client's doing
	}
}
