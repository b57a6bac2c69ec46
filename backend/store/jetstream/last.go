package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// lastOf calls f with the newest message of each subject of the state stream that one of the
// filters selects, as it was when the message with the sequence barrier was written, or later:
// that is one of this store's barriers. f may get a subject again, with the same message or a
// newer one.
func (h *heads) lastOf(ctx context.Context, filters []string, barrier uint64, f func(subject string, m *nats.Msg)) error {
	own := h.barrier(h.own.incarnation)
	request, err := json.Marshal(map[string]any{"multi_last": append(slices.Clone(filters), own)})
	if err != nil {
		return err
	}
	var found []*nats.Msg
	err = h.ask(ctx, h.state, string(request), true, func(all []*nats.Msg) bool {
		found = all
		// The first one says how many come after it.
		if len(all) == 0 || all[0].Header.Get("Nats-Num-Pending") != strconv.Itoa(len(all)-1) {
			return false
		}
		return slices.ContainsFunc(all, func(m *nats.Msg) bool {
			return m.Header.Get(jetstream.SubjectHeader) == own && sequence(m) >= barrier
		})
	})
	if errors.Is(err, errTooMany) {
		return h.pullLast(ctx, filters, false, barrier, f)
	}
	if err != nil {
		return err
	}
	for _, m := range found {
		if subject := m.Header.Get(jetstream.SubjectHeader); subject != own {
			f(subject, m)
		}
	}
	return nil
}

// pullLast is lastOf for any number of messages, or for their headers only. It takes a consumer
// of the stream. The client library has one for this, the ordered consumer, but that waits half a
// minute for the answer to a request that never got to the server; see puller.
func (h *heads) pullLast(ctx context.Context, filters []string, headersOnly bool, barrier uint64, f func(subject string, m *nats.Msg)) error {
	own := h.barrier(h.own.incarnation)
	return h.retry(ctx, func(short context.Context) (bool, error) {
		consumer, err := h.js.CreateConsumer(short, h.state, jetstream.ConsumerConfig{
			FilterSubjects: append(slices.Clone(filters), own), DeliverPolicy: jetstream.DeliverLastPerSubjectPolicy, HeadersOnly: headersOnly,
			AckPolicy: jetstream.AckNonePolicy, Replicas: 1, MemoryStorage: true, InactiveThreshold: consumerIdle,
		})
		if err != nil {
			return false, err
		}
		p, err := newPuller(h.nc, h.state, consumer.CachedInfo().Name)
		if err != nil {
			return false, err
		}
		defer p.close()
		for fresh, behind := false, 0; ; {
			m, err := p.next(ctx)
			switch {
			case errors.Is(err, errNoMore) && fresh:
				return true, nil
			case errors.Is(err, errNoMore) && behind < int(tryTime/consumerPause): // the replica is
				behind++
				if err := wait(ctx, consumerPause); err != nil {
					return false, err
				}
				continue
			case err != nil:
				return false, err
			}
			meta, err := m.Metadata()
			if err != nil {
				return false, err
			}
			if m.Subject == own {
				fresh = fresh || meta.Sequence.Stream >= barrier
			} else {
				f(m.Subject, m)
			}
			if fresh && meta.NumPending == 0 {
				return true, nil
			}
		}
	})
}

const (
	consumerIdle  = 30 * time.Second // the server deletes a consumer that nobody asks for so long
	consumerPause = 5 * time.Millisecond
	pullAtOnce    = 1000 // messages
)

// errNoMore says that a consumer has no further message for now.
var errNoMore = errors.New("no more messages")

// puller gets the messages of a consumer one after the other. It is for one goroutine.
//
// The server that has a new consumer may be another one than that of this connection. Then the
// answer that the consumer exists overtakes the word that this server takes requests for it (they
// come over two connections between the servers), and a request gets the answer 503: nobody is
// there. So requests are made again until they are answered.
type puller struct {
	nc       *nats.Conn
	sub      *nats.Subscription
	subject  string // of requests
	asked    bool   // a request is under way
	received uint64 // messages
}

func newPuller(nc *nats.Conn, stream, consumer string) (*puller, error) {
	sub, err := nc.SubscribeSync(nc.NewInbox())
	if err != nil {
		return nil, err
	}
	return &puller{nc: nc, sub: sub, subject: jetstream.DefaultAPIPrefix + "CONSUMER.MSG.NEXT." + stream + "." + consumer}, nil
}

func (p *puller) close() {
	_ = p.sub.Unsubscribe() // the connection may be closed already
}

// next returns the next message. It takes at most tryTime.
func (p *puller) next(ctx context.Context) (*nats.Msg, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	for patience := 100 * time.Millisecond; ; {
		if !p.asked {
			if err := p.nc.PublishRequest(p.subject, p.sub.Subject, fmt.Appendf(nil, `{"batch":%d,"no_wait":true}`, pullAtOnce)); err != nil {
				return nil, err
			}
			p.asked = true
		}
		short, cancel := context.WithTimeout(ctx, patience)
		m, err := p.sub.NextMsgWithContext(short)
		cancel()
		status := ""
		switch {
		case err == nil:
			status = m.Header.Get("Status")
		case errors.Is(err, nats.ErrNoResponders):
			status = statusNoAnswer
		case errors.Is(err, context.DeadlineExceeded) && ctx.Err() == nil:
			p.asked, patience = false, 2*patience // the request or its answer is lost
			continue
		default:
			return nil, err
		}
		switch status {
		case "":
			meta, err := m.Metadata()
			if err != nil {
				return nil, err
			}
			if p.received++; meta.Sequence.Consumer != p.received {
				return nil, fmt.Errorf("message %d of a consumer comes after %d", meta.Sequence.Consumer, p.received-1)
			}
			p.asked = p.received%pullAtOnce != 0
			return m, nil
		case "404":
			p.asked = false
			return nil, errNoMore
		case "408", statusNoAnswer: // another request is under way; see above
			p.asked = false
			if err := wait(ctx, consumerPause); err != nil {
				return nil, err
			}
		default:
			return nil, fmt.Errorf("a consumer's answer: %s %s", status, m.Header.Get("Description"))
		}
	}
}
