package jetstream

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/troupe-dev/troupe/backend/store"
)

// maxBatches is how many atomic batches a store has under way at the same time. A server
// takes 50 of a stream, of all nodes.
const maxBatches = 16

// tryTime is the longest time that one request may take. A request that meets no leader
// uses up all the time it has.
const tryTime = 2 * time.Second

// Codes of JetStream's errors.
const (
	codeFull       = 10077 // insufficient resources, such as a stream's limits
	codeNoSpace    = 10047 // insufficient storage
	codeWrongLast  = 10071 // the expected sequence is not that of the subject's last message
	codeInProcess  = 10164 // another message of the subject is being stored
	codeNoMessage  = 10037
	statusNoAnswer = "503"
)

// Connect connects to NATS with the options that a Store needs: without them the client
// keeps messages while it has no connection and sends them when nobody expects it, and
// takes minutes to find out that a server is gone.
//
// It goes on trying, also while the servers refuse its password. Its error has no password.
func Connect(servers string, options ...nats.Option) (*nats.Conn, error) {
	nc, err := nats.Connect(servers, append([]nats.Option{
		nats.ReconnectBufSize(-1), nats.RetryOnFailedConnect(true), nats.MaxReconnects(-1),
		nats.ReconnectWait(50 * time.Millisecond), nats.ReconnectJitter(50*time.Millisecond, 50*time.Millisecond),
		nats.PingInterval(2 * time.Second), nats.MaxPingsOutstanding(2), nats.Timeout(tryTime),
		nats.IgnoreAuthErrorAbort(),
	}, options...)...)
	if bad := (*url.Error)(nil); errors.As(err, &bad) { // its text has the URL
		return nil, errors.New("a URL of the NATS servers cannot be read: want nats://user:password@host:4222, with %xx for special characters")
	}
	return nc, err
}

// client makes requests to JetStream.
type client struct {
	names
	nc      *nats.Conn
	js      jetstream.JetStream
	direct  *getter
	timeout time.Duration // see Options.Timeout
	tryTime time.Duration // of one published message
	log     *slog.Logger
	batches chan struct{} // one for each atomic batch that is under way

	staleReads atomic.Int64
}

func newClient(nc *nats.Conn, o Options) (*client, error) {
	names, err := namesIn(o.Space)
	if err != nil {
		return nil, err
	}
	js, err := jetstream.New(nc)
	if err != nil {
		return nil, err
	}
	direct, err := newGetter(nc)
	if err != nil {
		return nil, err
	}
	return &client{names: names, nc: nc, js: js, direct: direct, timeout: o.Timeout, tryTime: o.tryTime, log: o.Logger, batches: make(chan struct{}, maxBatches)}, nil
}

// makeStreams makes the streams that do not exist.
func (c *client) makeStreams(ctx context.Context, replicas int) error {
	config := func(name, subjects string) jetstream.StreamConfig {
		return jetstream.StreamConfig{
			Name: name, Subjects: []string{c.prefix + subjects}, Replicas: replicas,
			Storage: jetstream.FileStorage, AllowDirect: true, Duplicates: 100 * time.Millisecond,
		}
	}
	state, items, table := config(c.state, ".s.>"), config(c.items, ".i.>"), config(c.table, ".t.>")
	state.MaxMsgsPerSubject, state.AllowAtomicPublish, state.AllowMsgTTL = 1, true, true
	items.MaxMsgsPerSubject = 1
	table.MaxMsgsPerSubject = 8
	for _, s := range []jetstream.StreamConfig{config(c.journal, ".j.*"), state, items, table} {
		err := c.retry(ctx, func(ctx context.Context) (bool, error) {
			_, err := c.js.CreateStream(ctx, s)
			if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
				_, err = c.js.Stream(ctx, s.Name)
			}
			return false, err
		})
		if err != nil {
			return fmt.Errorf("make the stream %s: %w", s.Name, err)
		}
	}
	return nil
}

// retry calls try, each time with a short context, until it succeeds, says that its error
// is final, the connection was closed, or the timeout has passed.
func (c *client) retry(ctx context.Context, try func(ctx context.Context) (final bool, err error)) error {
	begin, pause := time.Now(), 5*time.Millisecond
	for {
		short, cancel := context.WithTimeout(ctx, tryTime)
		final, err := try(short)
		cancel()
		if err == nil || final || errors.Is(err, nats.ErrConnectionClosed) {
			return err
		}
		if ctx.Err() != nil || time.Since(begin) > c.timeout {
			return err
		}
		if err := wait(ctx, pause); err != nil {
			return err
		}
		pause = min(2*pause, 200*time.Millisecond)
	}
}

func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// expect is the header of a message that is stored only if the last message of its
// subject has this sequence, 0 if there is none.
func expect(m *nats.Msg, seq uint64) *nats.Msg {
	if m.Header == nil {
		m.Header = nats.Header{}
	}
	m.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(seq, 10))
	return m
}

// pubAck is JetStream's answer to a published message.
type pubAck struct {
	Error *jetstream.APIError `json:"error"`
	Seq   uint64              `json:"seq"`
}

// publish stores a message, in one try, and returns its sequence.
func (c *client) publish(ctx context.Context, m *nats.Msg) (uint64, error) {
	ctx, cancel := context.WithTimeout(ctx, c.tryTime)
	defer cancel()
	answer, err := c.nc.RequestMsgWithContext(ctx, m)
	if err != nil {
		return 0, err
	}
	var ack pubAck
	if err := json.Unmarshal(answer.Data, &ack); err != nil {
		return 0, fmt.Errorf("an answer to %s: %w", m.Subject, err)
	}
	if ack.Error != nil {
		return 0, ack.Error
	}
	return ack.Seq, nil
}

// sendAgain is when a message without an answer is sent again.
const sendAgain = 200 * time.Millisecond

// publishAgain stores a message, as publish does, in the same time. Without an answer it sends the
// message again, and takes the first answer: what the stream's leader got just before it ended is
// lost, also if it has handed over. It returns how often it has sent the message: if more than once,
// an error says what became of one of these, and another one may yet be stored.
func (c *client) publishAgain(ctx context.Context, m *nats.Msg) (seq uint64, sent int, err error) {
	ctx, cancel := context.WithTimeout(ctx, c.tryTime)
	defer cancel()
	type outcome struct {
		seq uint64
		err error
	}
	answers := make(chan outcome)
	send := func() {
		seq, err := c.publish(ctx, m)
		select {
		case answers <- outcome{seq, err}:
		case <-ctx.Done():
		}
	}
	go send()
	pause := sendAgain
	again := time.NewTimer(pause)
	defer again.Stop()
	sent = 1
	for waiting := 1; ; {
		select {
		case o := <-answers:
			if waiting--; waiting == 0 || code(o.err) != codeInProcess && !errors.Is(o.err, nats.ErrNoResponders) {
				return o.seq, sent, o.err
			}
		case <-again.C:
			waiting++
			sent++
			go send()
			pause *= 2
			again.Reset(pause)
		case <-ctx.Done():
			return 0, sent, ctx.Err()
		}
	}
}

// storedMessage is a message as the stream's leader answers with it.
type storedMessage struct {
	Seq    uint64 `json:"seq"` // 0: there is none
	Header []byte `json:"hdrs"`
	Data   []byte `json:"data"`
}

// leaderLast returns the sequence and the data of a subject's newest message as the stream's
// leader has it; 0 if there is none.
func (c *client) leaderLast(ctx context.Context, stream, subject string) (seq uint64, data []byte, err error) {
	m, err := c.leaderMessage(ctx, stream, subject)
	return m.Seq, m.Data, err
}

// leaderMessage returns a subject's newest message as the stream's leader has it. A Direct Get,
// which the client library makes of a GetLastMsgForSubject, any replica answers.
func (c *client) leaderMessage(ctx context.Context, stream, subject string) (storedMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, tryTime)
	defer cancel()
	m, err := c.nc.RequestWithContext(ctx, jetstream.DefaultAPIPrefix+"STREAM.MSG.GET."+stream, fmt.Appendf(nil, `{"last_by_subj":%q}`, subject))
	if err != nil {
		return storedMessage{}, err
	}
	var answer struct {
		Error   *jetstream.APIError `json:"error"`
		Message storedMessage       `json:"message"`
	}
	if err := json.Unmarshal(m.Data, &answer); err != nil {
		return storedMessage{}, fmt.Errorf("the newest message of %s: %w", subject, err)
	}
	if answer.Error != nil {
		if answer.Error.ErrorCode == codeNoMessage {
			return storedMessage{}, nil
		}
		return storedMessage{}, answer.Error
	}
	return answer.Message, nil
}

// publishAll stores messages in one atomic batch, in one try, and returns the sequence of
// the last one.
func (c *client) publishAll(ctx context.Context, messages []*nats.Msg) (uint64, error) {
	if len(messages) == 1 {
		return c.publish(ctx, messages[0])
	}
	select {
	case c.batches <- struct{}{}:
		defer func() { <-c.batches }()
	case <-ctx.Done():
		return 0, ctx.Err()
	}
	id := newID()
	for i, m := range messages {
		if m.Header == nil {
			m.Header = nats.Header{}
		}
		m.Header.Set("Nats-Batch-Id", id)
		m.Header.Set("Nats-Batch-Sequence", strconv.Itoa(i+1))
		if i == len(messages)-1 {
			m.Header.Set("Nats-Batch-Commit", "1")
			return c.publish(ctx, m)
		}
		if err := c.nc.PublishMsg(m); err != nil {
			return 0, err
		}
	}
	return 0, nil
}

// code returns the code of a JetStream error, 0 for other errors.
func code(err error) int {
	var api *jetstream.APIError
	if errors.As(err, &api) {
		return int(api.ErrorCode)
	}
	return 0
}

// definite returns the store's error of a message that was certainly not stored for want
// of room, nil for others.
func definite(err error) error {
	if c := code(err); c == codeFull || c == codeNoSpace || errors.Is(err, nats.ErrMaxPayload) {
		return fmt.Errorf("%w: %w", store.ErrFull, err)
	}
	return nil
}

// sequence returns the sequence of a message that was read.
func sequence(m *nats.Msg) uint64 {
	n, err := strconv.ParseUint(m.Header.Get(jetstream.SequenceHeader), 10, 64)
	if err != nil {
		return 0 // no message has it
	}
	return n
}

// lastToken returns the part of a subject after its last dot.
func lastToken(subject string) string { return subject[strings.LastIndexByte(subject, '.')+1:] }
