package runtime

import (
	"encoding/json"
	"errors"
	"reflect"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/definition"
)

// subscribeEnvelope asks whether a connection may subscribe to events.
type subscribeEnvelope struct{ host.SubscribeRequest }

func (m *subscribeEnvelope) refuse(a *Actor, err *host.Fault) {
	a.gone(m.Attachment, time.Now()) // its client comes back, and asks with its open
	a.put(&host.Output{Kind: host.OutputClosed, To: m.Attachment, Err: err})
}

func (m *subscribeEnvelope) size() int {
	n := envelopeBytes
	for _, e := range m.Events {
		n += len(e)
	}
	return n
}

func (m *subscribeEnvelope) deliver(in *instance) bool {
	in.actor.used()
	c := in.attached[m.Attachment]
	if c == nil {
		return true // of a connection that is over, or of a socket that was replaced
	}
	t := in.begin("CanSubscribe", in.def.Options.ConnectTimeout, c)
	t.readOnly = true
	var refused []host.Refusal
	o, ok := t.execute(func() (any, error) {
		refused = t.refusals(m.Events)
		return nil, nil
	})
	if !ok {
		return false
	}
	if o.err != nil {
		refused = nil
		for _, e := range m.Events {
			refused = append(refused, host.Refusal{Event: e, Err: faultAbout(e, o.err)})
		}
	}
	t.outputs = append(t.outputs, subscribed(m.Attachment, m.ID, refused))
	in.apply(t, o, reply{})
	return true
}

func subscribed(attachment host.Attachment, id uint64, refused []host.Refusal) *host.Output {
	return &host.Output{Kind: host.OutputSubscribed, To: attachment, Call: id, Opened: &host.OpenedInfo{Refused: refused}}
}

// refusals asks CanSubscribe, in the turn, whether its connection may subscribe to
// events, and returns those to which it may not. Events that the actor does not have
// are for the gateway to refuse.
func (t *Turn) refusals(events []string) (refused []host.Refusal) {
	h := t.in.def.Hooks["CanSubscribe"]
	if h == nil || len(events) == 0 {
		return nil
	}
	what, readOnly, failure := t.what, t.readOnly, t.failure
	t.setLabel("CanSubscribe")
	t.readOnly = true
	t.in.allow(false)
	for _, e := range events {
		if _, ok := t.in.def.EventNames[e]; !ok {
			continue
		}
		t.failure = nil
		_, err := protect(func() (any, error) {
			return h.Call(t.in.state, t, definition.Argument(reflect.ValueOf(e)))
		})
		if err = errors.Join(err, t.failure); err != nil {
			refused = append(refused, host.Refusal{Event: e, Err: faultAbout(e, t.public(err))})
		}
	}
	t.in.allow(!readOnly)
	t.readOnly, t.failure = readOnly, failure
	t.setLabel(what)
	return refused
}

// faultAbout returns a fault as it is for an event, which it names.
func faultAbout(event string, f *host.Fault) *host.Fault {
	m, _ := json.Marshal(map[string]string{"event": event}) // of strings: it does not fail
	return &host.Fault{Code: f.Code, Message: event + ": " + f.Message, Metadata: m}
}
