package jetstream

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
)

// A commit whose message, or the answer to it, was lost does not wait until the time for a try is over:
// the message is sent again.
func TestWhatIsLostIsSentAgain(t *testing.T) {
	proxy, backend := newProxy(t)
	p := backend.newPlace(quiet)
	defer p.remove(t)
	s := p.takeOver(t)
	proxy.set(func() {
		proxy.lost = 0
		proxy.lose = func(_ string, data []byte) bool { return isAck(data) && proxy.lost == 0 }
	})
	commit(t, s, commitOf("ada", 1))
	commit(t, s, commitOf("ada", 2))
	proxy.set(func() {
		if proxy.lost != 1 {
			t.Errorf("%d answers were lost, want 1", proxy.lost)
		}
	})
	if n := s.own.retries.Load(); n != 0 {
		t.Errorf("%d tries have waited until their time was over", n)
	}
	expectRev(t, s, "ada", 2)
}

// G1: that there is no room is the outcome of a message only if it was sent once: the answer to one
// that was sent again says nothing of the first, which may be stored.
func TestG1_FullAfterASecondTry(t *testing.T) {
	b := oneServer(t)
	nc := b.newPlace(quiet).connect(t)
	c, err := newClient(nc, quiet.withDefaults())
	if err != nil {
		t.Fatal(err)
	}
	c.timeout = 30 * time.Second
	subject, tries := nc.NewInbox(), 0 // of no stream
	full := fmt.Sprintf(`{"error":{"code":400,"err_code":%d}}`, codeFull)
	_, err = nc.Subscribe(subject, func(m *nats.Msg) {
		switch tries++; tries {
		case 1: // its answer is late
		case 2:
			_ = m.Respond([]byte(full))
		default:
			_ = m.Respond([]byte(`{"seq":7}`))
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	j := &ownJournal{client: c, subject: subject, boot: bootTime, lost: make(chan struct{})}
	j.writing.Lock()
	defer j.writing.Unlock()
	if err := j.append(t.Context(), []byte{kindLease}, nil); err != nil || j.last != 7 {
		t.Errorf("got the sequence %d, error %v, want 7: the first try may have been stored", j.last, err)
	}
}

// Nothing succeeds on a connection that was closed, so it is not tried again.
func TestRetry_closedConnection(t *testing.T) {
	p := oneServer(t).newPlace(quiet)
	defer p.remove(t)
	s := p.open(t)
	c := s.own.client
	s.nc.Close()
	tries := 0
	err := c.retry(t.Context(), func(ctx context.Context) (final bool, err error) {
		tries++
		_, err = c.js.Stream(ctx, c.journal)
		return false, err
	})
	if tries != 1 || !errors.Is(err, nats.ErrConnectionClosed) {
		t.Errorf("got %v after %d tries, want %v after one", err, tries, nats.ErrConnectionClosed)
	}
}
