package runtime

import (
	"encoding/json"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
)

// subscribeEnvelope runs OnAccess and CanSubscribe for a connection.
type subscribeEnvelope struct{ host.SubscribeRequest }

func (m *subscribeEnvelope) refuse(a *Actor, err *host.Fault) {
	a.gone(m.Attachment, time.Now()) // its client resumes, and subscribes with its open
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
	c := in.conns.attached[m.Attachment]
	if c == nil {
		return true // the connection is over, or the socket was replaced
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
	t.out.add(subscribed(m.Attachment, m.ID, refused))
	in.apply(t, o, reply{})
	return true
}

func subscribed(attachment host.Attachment, id uint64, refused []host.Refusal) *host.Output {
	return &host.Output{Kind: host.OutputSubscribed, To: attachment, Call: id, Opened: &host.OpenedInfo{Refused: refused}}
}

// faultAbout returns a fault that names the event it is about.
func faultAbout(event string, f *host.Fault) *host.Fault {
	m, _ := json.Marshal(map[string]string{"event": event}) // of strings: it does not fail
	return &host.Fault{Code: f.Code, Message: event + ": " + f.Message, Metadata: m}
}
