package cluster

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/troupe-dev/troupe/backend/cluster/link"
)

// pendingBytes bounds what waits here for a subscription's function. It is more than the
// windows of many peers, so that the client drops nothing in calm.
const pendingBytes = 64 << 20

// natsBus is core NATS as a link.Bus.
type natsBus struct {
	nc     *nats.Conn
	prefix string // of subjects, in place of t
	log    *slog.Logger
}

var _ link.Bus = (*natsBus)(nil)

func (b *natsBus) subject(s string) string { return b.prefix + strings.TrimPrefix(s, "t") }

// Publish implements link.Bus.
func (b *natsBus) Publish(subject string, data []byte) error {
	return b.nc.Publish(b.subject(subject), data)
}

// Subscribe implements link.Bus.
func (b *natsBus) Subscribe(subject string, f func([]byte)) (func(), error) {
	sub, err := b.nc.Subscribe(b.subject(subject), func(m *nats.Msg) { f(m.Data) })
	if err != nil {
		return nil, err
	}
	if err := sub.SetPendingLimits(-1, pendingBytes); err != nil {
		return nil, err
	}
	return func() {
		if err := sub.Unsubscribe(); err != nil && !errors.Is(err, nats.ErrConnectionClosed) {
			b.log.Warn("cluster: a subscription did not end", "error", err)
		}
	}, nil
}

// natsRegister is a register in a subject of a stream.
type natsRegister struct {
	js              jetstream.JetStream
	stream, subject string

	mu     sync.Mutex
	handle jetstream.Stream // nil until it was needed
}

var _ register = (*natsRegister)(nil)

// Codes of JetStream's errors.
const (
	codeWrongLast = 10071 // the expected sequence is not that of the subject's last message
	codeInProcess = 10164 // another message of the subject is being stored: perhaps an earlier try
)

// read implements register. Any replica may answer: writes compare, so an older table that was
// read makes no harm but another try.
func (r *natsRegister) read(ctx context.Context) ([]byte, uint64, error) {
	r.mu.Lock()
	handle := r.handle
	r.mu.Unlock()
	if handle == nil {
		var err error
		if handle, err = r.js.Stream(ctx, r.stream); err != nil {
			return nil, 0, err
		}
		r.mu.Lock()
		r.handle = handle
		r.mu.Unlock()
	}
	m, err := handle.GetLastMsgForSubject(ctx, r.subject)
	if errors.Is(err, jetstream.ErrMsgNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, err
	}
	return m.Data, m.Sequence, nil
}

// write implements register.
func (r *natsRegister) write(ctx context.Context, value []byte, expected uint64) (uint64, error) {
	for {
		ack, err := r.js.PublishMsg(ctx, &nats.Msg{Subject: r.subject, Data: value},
			jetstream.WithExpectLastSequencePerSubject(expected), jetstream.WithRetryAttempts(0))
		if err == nil {
			return ack.Sequence, nil
		}
		var api *jetstream.APIError
		if !errors.As(err, &api) {
			return 0, err
		}
		switch api.ErrorCode {
		case codeWrongLast:
			return 0, ErrStale
		case codeInProcess:
			if err := pause(ctx, staleAgain); err != nil {
				return 0, err
			}
		default:
			return 0, err
		}
	}
}
