package gateway

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"unicode/utf8"

	"github.com/troupe-dev/troupe/backend/gateway/limit"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

// What the reader of a socket does with the messages of its client. Nothing in
// here waits for an actor or a store.

const (
	secretBytes = 16
	maxSubs     = 256 // event names in one message
)

var subsMetadata = host.Limit{Limit: maxSubs, Option: "subs"}.JSON()

// receive handles the messages of a frame. The error is wire.ErrNotJSON or
// wire.ErrNotUTF8; the socket cannot go on after it.
func (s *socket) receive(b []byte) error {
	s.traffic.In(len(b))
	if !utf8.Valid(b) {
		return wire.ErrNotUTF8
	}
	if m, ok := wire.DecodeCall(b); ok && len(b) <= s.g.opts.Limits.Message {
		s.handle(&m, wire.Envelope{Type: m.Type, Channel: m.Channel, ID: m.ID}, "")
		s.awaitRoom()
		return nil
	}
	messages, err := wire.Split(b)
	if err != nil {
		return err
	}
	for _, m := range messages {
		if s.deaf.Load() {
			break
		}
		s.message(m)
		s.awaitRoom()
	}
	return nil
}

func (s *socket) message(raw json.RawMessage) {
	if limit := s.g.opts.Limits.Message; len(raw) > limit {
		s.refuse(wire.DecodeEnvelope(raw), wire.CodeTooLarge,
			fmt.Sprintf("a message is at most %d bytes, this one has %d", limit, len(raw)),
			host.Limit{Size: len(raw), Limit: limit, Option: "message"}.JSON())
		return
	}
	m, err := wire.DecodeClient(raw)
	if err != nil || raw[0] != '{' {
		s.handle(nil, wire.DecodeEnvelope(raw), malformed(raw, err))
		return
	}
	s.handle(&m, wire.Envelope{Type: m.Type, Channel: m.Channel, ID: m.ID}, "")
}

// handle does what a message asks for. problem, if there is one, is why it could
// not be decoded; then all that is known of it is in at.
func (s *socket) handle(m *wire.ClientMessage, at wire.Envelope, problem string) {
	if at.Type == wire.TypeBeat && problem == "" && !m.Probe {
		return
	}
	if wait := s.rate.Allow(at.Type); wait > 0 {
		if (at.Type != wire.TypeCall || at.ID == 0) && at.Type != wire.TypeOpen {
			// Who sends no calls gets no answer to each: it would be a flood of ours.
			if !s.rate.Report() {
				return
			}
		}
		m := host.Limit{Limit: s.g.opts.Limits.Rate, Option: "rate", RetryAfterMs: limit.RetryMs(wait)}
		if at.Type == wire.TypeOpen {
			m.Limit, m.Option = s.g.opts.OpenRate, "openRate"
		}
		s.refuse(at, wire.CodeRateLimited, "too many messages per second", m.JSON())
		return
	}
	if problem != "" {
		s.refuse(at, wire.CodeMalformed, problem, nil)
		return
	}
	if (m.Type == wire.TypeCall || m.Type == wire.TypeOpen) && s.g.buffers.Full() {
		e := s.g.buffers.Overloaded()
		s.refuse(at, e.Code, e.Message, e.Metadata)
		return
	}
	if !s.postpone(m, at) {
		s.do(m, at)
	}
}

// do is handle for a message whose turn has come.
func (s *socket) do(m *wire.ClientMessage, at wire.Envelope) {
	switch m.Type {
	case wire.TypeBeat:
		s.control([]byte(wire.Beat))
	case wire.TypeOpen:
		s.open(m)
	case wire.TypeCall:
		s.call(m)
	case wire.TypeSub:
		s.subscribe(m)
	case wire.TypeUnsub:
		if c := s.channel(m.Channel); c != nil {
			c.unsubscribe(m.Events)
		}
	case wire.TypeParams:
		s.refresh(m)
	case wire.TypeAck:
		if c := s.channel(m.Channel); c != nil {
			s.g.host.Ack(c.followed(), c.attachment, m.Ack)
		}
	case wire.TypeClose:
		if c := s.channel(m.Channel); c != nil {
			s.forget(c)
			s.g.host.Close(c.followed(), c.attachment)
		}
	default:
		s.refuse(at, wire.CodeUnknownType, fmt.Sprintf("there is no message type %.40q", m.Type), nil)
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
	return "a field of the message is not what it should be"
}

// refuse answers a message that cannot be dealt with: a call fails, an open is
// closed, for anything else there is an error.
func (s *socket) refuse(at wire.Envelope, code wire.Code, text string, metadata json.RawMessage) {
	s.g.stats.errors.Add(code)
	switch code {
	case wire.CodeMalformed, wire.CodeUnknownType, wire.CodeTooLarge, wire.CodeRateLimited:
		s.complain(code)
	}
	switch {
	case at.Type == wire.TypeCall && at.Channel > 0 && at.ID > 0:
		s.control(wire.AppendFail(wire.AppendHead(nil, at.Channel), 0, at.ID, code, text, metadata))
	case at.Type == wire.TypeOpen && at.Channel > 0:
		if s.use(at.Channel) {
			s.control(wire.AppendClosed(wire.AppendHead(nil, at.Channel), code, text, metadata))
		}
	default:
		s.control(wire.AppendError(nil, at.Channel, code, text, metadata))
	}
}

// use takes a channel number. If it was used before, the client is told and what
// is there stays as it is.
func (s *socket) use(c uint32) bool {
	if s.used.has(c) || !s.used.add(c) {
		s.g.stats.errors.Add(wire.CodeChannelInUse)
		s.control(wire.AppendError(nil, c, wire.CodeChannelInUse,
			fmt.Sprintf("channel %d was opened before on this socket: count on from the highest", c), nil))
		return false
	}
	return true
}

func (s *socket) channel(c uint32) *channel {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.channels.get(c)
}

func (s *socket) open(m *wire.ClientMessage) {
	if m.Channel == 0 {
		s.refuse(wire.Envelope{}, wire.CodeMalformed, "an open needs a channel c, a number from 1", nil)
		return
	}
	if !s.use(m.Channel) {
		return
	}
	c, err := s.newChannel(m)
	if err != nil {
		s.refuseOpen(m.Channel, err)
		return
	}
	s.mu.Lock()
	s.channels.add(c)
	s.mu.Unlock()
	request := host.OpenRequest{
		Attachment: c.attachment, Create: c.fanout.ref.ID == "" && (m.Create == nil || *m.Create), Input: m.Input,
		Conn: c.conn, Producer: c.caller, Params: m.Params,
		Resume: m.Log != "", Log: m.Log, Seq: m.Seq, Ack: m.Ack,
	}
	if c.needsApproval() {
		request.Subs = m.Subs
	}
	if c.authenticates() {
		s.authOpen(c, request)
		return
	}
	if err := s.g.host.Open(c.fanout.ref, request); err != nil {
		s.forget(c)
		s.refuseOpen(c.num, err)
	}
}

// refresh gives a connection new params.
func (s *socket) refresh(m *wire.ClientMessage) {
	at := wire.Envelope{Channel: m.Channel}
	c := s.channel(m.Channel)
	if c == nil {
		s.refuse(at, wire.CodeUnknownChannel, fmt.Sprintf("channel %d is not open", m.Channel), nil)
		return
	}
	if e := s.checkParams(m.Params); e != nil {
		s.refuse(at, e.Code, e.Message, e.Metadata)
		return
	}
	request := host.RefreshRequest{Attachment: c.attachment, Params: m.Params}
	if c.needsApproval() {
		request.Subs = c.requestedEvents()
	}
	if c.authenticates() {
		s.authRefresh(c, request)
		return
	}
	if err := s.g.host.Refresh(c.followed(), request); err != nil {
		s.deny(c, true, err)
	}
}

// checkParams refuses params that are too large.
func (s *socket) checkParams(params json.RawMessage) *host.Fault {
	limit := s.g.opts.Limits.Params
	if len(params) <= limit {
		return nil
	}
	return host.Limit{Size: len(params), Limit: limit, Option: "params"}.
		Fault(wire.CodeTooLarge, fmt.Sprintf("params are at most %d bytes, these have %d", limit, len(params)))
}

// refuseOpen refuses an open, or ends a channel.
func (s *socket) refuseOpen(c uint32, err error) {
	e := asError(s.logger, err)
	s.g.stats.errors.Add(e.Code)
	s.control(wire.AppendClosed(wire.AppendHead(nil, c), e.Code, e.Message, e.Metadata))
}

// newChannel checks an open, and joins the log of the actor that it names.
func (s *socket) newChannel(m *wire.ClientMessage) (*channel, error) {
	limits := &s.g.opts.Limits
	s.mu.Lock()
	n := len(s.channels)
	s.mu.Unlock()
	if n >= limits.Channels {
		return nil, host.Limit{Limit: limits.Channels, Option: "channels"}.
			Fault(wire.CodeTooManyChannels, fmt.Sprintf("a socket carries at most %d channels", limits.Channels))
	}
	if e := s.checkParams(m.Params); e != nil {
		return nil, e
	}
	if !isSecret(m.Secret) || !isSecret(m.Caller) {
		return nil, host.Faultf(wire.CodeBadSecret, "k and caller are 128 random bits each, in base64url without padding")
	}
	c := &channel{
		s: s, num: m.Channel,
		attachment: s.attachment.Plus(m.Channel), conn: connectionID(m.Secret), caller: m.Caller, ack: m.Ack,
	}
	ref := host.Ref{ID: m.ActorID}
	if m.ActorID == "" {
		key, err := host.ParseKey(m.Key)
		if err != nil {
			return nil, err
		}
		ref = host.Ref{Name: m.Actor, Key: key}
	}
	if err := s.g.fanouts.join(ref, c); err != nil {
		return nil, err
	}
	c.name = c.fanout.ref.Name // empty if the actor is not known before it answers
	// From where the connection starts, which is not m.Seq if that is of another log.
	subs := subscriptions{}.with(s.knownEvents(c, m.Subs), subscription{})
	c.subs.Store(&subs)
	return c, nil
}

// knownEvents returns those of the events that the actor of a channel has, and
// tells the client about the others. While the actor is not known, it knows all.
func (s *socket) knownEvents(c *channel, events []string) []string {
	s.mu.Lock()
	name := c.name
	s.mu.Unlock()
	if len(events) > maxSubs {
		s.refuse(wire.Envelope{Channel: c.num}, wire.CodeMalformed, fmt.Sprintf("at most %d event names in one message", maxSubs), subsMetadata)
		return nil
	}
	if name == "" {
		if subs := c.subs.Load(); subs != nil && len(*subs)+len(events) > maxSubs {
			s.refuse(wire.Envelope{Channel: c.num}, wire.CodeMalformed, fmt.Sprintf("at most %d event names before the actor answers", maxSubs), subsMetadata)
			return nil
		}
		return events
	}
	known := make([]string, 0, len(events))
	for _, e := range events {
		if s.g.definitions.Emits(name, e) {
			known = append(known, e)
		} else {
			s.unknownEvent(c.num, name, e)
		}
	}
	return known
}

func (s *socket) unknownEvent(c uint32, name, event string) {
	s.g.stats.errors.Add(wire.CodeUnknownEvent)
	s.control(wire.AppendError(nil, c, wire.CodeUnknownEvent,
		fmt.Sprintf("%s has no event %.64q", name, event), eventMetadata(event)))
}

func eventMetadata(event string) json.RawMessage {
	b, err := json.Marshal(struct {
		Event string `json:"event"`
	}{event})
	if err != nil {
		panic("gateway: encode metadata: " + err.Error()) // strings always encode
	}
	return b
}

func (s *socket) subscribe(m *wire.ClientMessage) {
	c := s.channel(m.Channel)
	if c == nil {
		s.refuse(wire.Envelope{Channel: m.Channel}, wire.CodeUnknownChannel, fmt.Sprintf("channel %d is not open", m.Channel), nil)
		return
	}
	events := s.knownEvents(c, m.Events)
	if c.needsApproval() {
		c.requestApproval(events)
		return
	}
	c.subscribe(events)
}

func (s *socket) call(m *wire.ClientMessage) {
	at := wire.Envelope{Type: m.Type, Channel: m.Channel, ID: m.ID}
	if m.Channel == 0 || m.ID == 0 {
		s.refuse(at, wire.CodeMalformed, "a call needs a channel c and an id, numbers from 1", nil)
		return
	}
	s.mu.Lock()
	c := s.channels.get(m.Channel)
	pending, full := false, false
	if c != nil {
		if pending = slices.Contains(c.inFlight, m.ID); !pending {
			if full = len(c.inFlight) >= s.g.opts.Limits.InFlight; !full {
				c.inFlight = append(c.inFlight, m.ID)
			}
		}
	}
	s.mu.Unlock()
	switch {
	case pending: // it is answered once
	case c == nil:
		s.refuse(at, wire.CodeUnknownChannel, fmt.Sprintf("channel %d is not open", m.Channel), nil)
	case full:
		s.refuse(at, wire.CodeOverloaded, fmt.Sprintf("%d calls wait for an answer", s.g.opts.Limits.InFlight),
			host.Limit{Limit: s.g.opts.Limits.InFlight, Option: "inFlight"}.JSON())
	default:
		s.g.stats.calls.Add(1)
		err := s.g.host.Call(c.followed(), host.CallRequest{
			Attachment: c.attachment, Conn: c.conn, ID: m.ID, Action: m.Action, Args: m.Args, Ack: m.Ack,
		})
		if err != nil {
			s.mu.Lock()
			c.answerLocked(m.ID)
			s.mu.Unlock()
			e := asError(s.logger, err)
			if e.Code == wire.CodeShutdown {
				return // without an answer its client sends it again, to whoever comes next
			}
			s.refuse(at, e.Code, e.Message, e.Metadata)
		}
	}
}

// asError is err as a client may see it. What it may not see goes to the log.
func asError(log func() *slog.Logger, err error) *host.Fault {
	var e *host.Fault
	if errors.As(err, &e) {
		return e
	}
	log().Error("gateway: internal error", "error", err)
	return &host.Fault{Code: wire.CodeInternal, Message: "the server failed; its log has the cause"}
}

// isSecret reports whether s is 128 bits in base64url without padding.
func isSecret(s string) bool {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	return err == nil && len(b) == secretBytes
}

// connectionID is the id of the connection whose client has the secret k. Others
// may learn the id; only k opens the connection.
func connectionID(k string) string {
	sum := sha256.Sum256([]byte(k))
	return base64.RawURLEncoding.EncodeToString(sum[:secretBytes])
}
