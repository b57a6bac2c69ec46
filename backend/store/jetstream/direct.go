package jetstream

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// getter makes Direct Gets, which any replica of a stream answers: also one that has
// stopped, and one that is behind. All its methods may be called at the same time.
type getter struct {
	nc     *nats.Conn
	prefix string // of the subjects of answers
	sub    *nats.Subscription

	mu      sync.Mutex
	last    uint64
	waiting map[string]*direct // by the end of the answers' subject
}

// direct is a Direct Get that is under way. The subscription's goroutine fills it in, until
// it closes done.
type direct struct {
	many     bool // an answer without a message says that it was the last one
	messages []*nats.Msg
	err      error
	done     chan struct{}
}

func newGetter(nc *nats.Conn) (*getter, error) {
	g := &getter{nc: nc, prefix: nc.NewInbox() + ".", waiting: map[string]*direct{}}
	var err error
	g.sub, err = nc.Subscribe(g.prefix+"*", g.answer)
	return g, err
}

func (g *getter) close() {
	_ = g.sub.Unsubscribe() // the connection may be closed already
}

func (g *getter) answer(m *nats.Msg) {
	id := lastToken(m.Subject)
	g.mu.Lock()
	d := g.waiting[id]
	g.mu.Unlock()
	if d == nil {
		return
	}
	switch status := m.Header.Get("Status"); status {
	case "":
		d.messages = append(d.messages, m)
		if d.many {
			return
		}
	case "204", "404": // the end; nothing there
	case "413":
		d.err = errTooMany
	default:
		d.err = fmt.Errorf("direct get: %s %s", status, m.Header.Get("Description"))
		if status == statusNoAnswer {
			d.err = nats.ErrNoResponders
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.waiting[id] == d {
		delete(g.waiting, id)
		close(d.done)
	}
}

var errNoAnswer = errors.New("no answer from the stream's replicas")

// errTooMany is the error of a request that selects more messages than the 1,024 that a replica
// gives at once.
var errTooMany = errors.New("too many messages for one answer")

// get makes one request.
func (g *getter) get(ctx context.Context, stream, request string, many bool, patience time.Duration) ([]*nats.Msg, error) {
	d := &direct{many: many, done: make(chan struct{})}
	g.mu.Lock()
	g.last++
	id := strconv.FormatUint(g.last, 36)
	g.waiting[id] = d
	g.mu.Unlock()
	defer func() {
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.waiting, id)
	}()
	if err := g.nc.PublishRequest(jetstream.DefaultAPIPrefix+"DIRECT.GET."+stream, g.prefix+id, []byte(request)); err != nil {
		return nil, err
	}
	t := time.NewTimer(patience)
	defer t.Stop()
	select {
	case <-d.done:
		return d.messages, d.err
	case <-t.C:
		return nil, errNoAnswer
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// ask makes a request again and again, until accept takes the answer: replicas may be
// stopped or behind. An error that wraps errTooMany is returned at once.
func (c *client) ask(ctx context.Context, stream, request string, many bool, accept func([]*nats.Msg) bool) error {
	begin, patience := time.Now(), 100*time.Millisecond
	for tries := 0; ; tries++ {
		messages, err := c.direct.get(ctx, stream, request, many, patience)
		if err == nil && accept(messages) {
			return nil
		}
		if errors.Is(err, errTooMany) {
			return err
		}
		if ctx.Err() != nil {
			return ctx.Err()
		}
		c.staleReads.Add(1)
		if time.Since(begin) > c.timeout {
			if err == nil {
				err = errors.New("no replica is up to date")
			}
			return fmt.Errorf("read from %s: %w", stream, err)
		}
		if errors.Is(err, errNoAnswer) {
			patience = min(2*patience, tryTime)
			continue
		}
		if err := wait(ctx, min(time.Duration(tries+1)*2*time.Millisecond, 50*time.Millisecond)); err != nil {
			return err
		}
	}
}
