package cluster

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

const answerPiece = 16 << 10

// fakeSockets are the sockets over HTTP of a node. A poll waits for its time, and gets what its
// number says; a post is noted.
type fakeSockets struct {
	mu    sync.Mutex
	posts []string
	ended int            // polls whose context has ended
	sizes map[uint64]int // of the answer to a poll; 0: 2 bytes
	wrote atomic.Int64   // bytes that write has taken
}

func (f *fakeSockets) ServeSocket(ctx context.Context, q host.SocketRequest, write func(context.Context, []byte) error) error {
	if !q.Poll {
		f.mu.Lock()
		defer f.mu.Unlock()
		f.posts = append(f.posts, fmt.Sprintf("%s %d %s", q.Socket, q.N, q.Frame))
		if q.N == 99 {
			return host.Faultf(wire.CodeOutOfOrder, "no")
		}
		return nil
	}
	select {
	case <-time.After(q.Wait):
	case <-ctx.Done():
		f.mu.Lock()
		f.ended++
		f.mu.Unlock()
		return ctx.Err()
	}
	f.mu.Lock()
	size := f.sizes[q.N]
	f.mu.Unlock()
	for b := answerTo(q.N, size); len(b) > 0; {
		n := min(len(b), answerPiece)
		if err := write(ctx, b[:n]); err != nil {
			f.mu.Lock()
			f.ended++
			f.mu.Unlock()
			return err
		}
		f.wrote.Add(int64(n))
		b = b[n:]
	}
	return nil
}

// answerTo is the answer to a poll.
func answerTo(n uint64, size int) []byte {
	if size == 0 {
		return []byte("[]")
	}
	return bytes.Repeat([]byte{byte(n)}, size)
}

func newSockets(t *testing.T) (owner, gateway *portNode, places *fakePlaces, sockets *fakeSockets) {
	owner, gateway, places = newPorts(t)
	sockets = &fakeSockets{sizes: map[uint64]int{}}
	owner.port.ServeSockets(sockets)
	return owner, gateway, places, sockets
}

func TestRequestsForSocketsOfAnotherNode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		owner, gateway, places, sockets := newSockets(t)
		if owner.port.Slot() != 1 || gateway.port.Slot() != 2 {
			t.Errorf("got the slots %d and %d", owner.port.Slot(), gateway.port.Slot())
		}
		forward := func(slot uint32, q host.SocketRequest) ([]byte, error) {
			return gateway.port.Forward(t.Context(), slot, q)
		}
		if got, err := forward(1, host.SocketRequest{Socket: "1.a", N: 1, Frame: []byte("[\xff")}); err != nil || len(got) != 0 {
			t.Errorf("a post: got %q, %v", got, err)
		}
		if _, err := forward(1, host.SocketRequest{Socket: "1.a", N: 99, Frame: []byte("[]")}); codeOf(err) != wire.CodeOutOfOrder {
			t.Errorf("a post with a wrong number: got %v", err)
		}
		expect(t, sockets.posts, "1.a 1 [\xff", "1.a 99 []")

		sockets.sizes[2], sockets.sizes[3] = 1<<20+1, 300
		var polls sync.WaitGroup
		start := time.Now()
		for n := range uint64(4) {
			polls.Go(func() {
				got, err := forward(1, host.SocketRequest{Socket: "1.a", N: n, Poll: true, Wait: 5 * time.Second})
				if want := answerTo(n, sockets.sizes[n]); err != nil || !bytes.Equal(got, want) {
					t.Errorf("poll %d: got %d bytes, %v, want %d", n, len(got), err, len(want))
				}
			})
		}
		polls.Wait()
		if took := time.Since(start); took < 5*time.Second || took > 6*time.Second {
			t.Errorf("four polls at the same time took %v, want 5 s", took)
		}

		places.mu.Lock()
		places.dead[3] = true
		places.mu.Unlock()
		if _, err := forward(3, host.SocketRequest{Socket: "3.a", N: 1}); codeOf(err) != wire.CodeUnknownSocket {
			t.Errorf("a node that is no more: got %v", err)
		}
		if _, err := owner.port.Forward(t.Context(), 2, host.SocketRequest{Socket: "2.a", N: 1}); codeOf(err) != wire.CodeUnknownSocket {
			t.Errorf("a node without sockets: got %v", err)
		}
		gateway.port.Leave()
		if _, err := forward(1, host.SocketRequest{Socket: "1.a", N: 1}); codeOf(err) != wire.CodeUnknownSocket {
			t.Errorf("a node that has left: got %v", err)
		}
	})
}

// TestAForwardedPollEnds lets a poll of an hour end early: its caller is gone, its node, or the
// session.
func TestAForwardedPollEnds(t *testing.T) {
	poll := host.SocketRequest{Socket: "1.a", N: 1, Poll: true, Wait: time.Hour}
	for name, test := range map[string]struct {
		end  func(owner, gateway *portNode, cancel func())
		want func(error) bool
	}{
		"caller":           {func(_, _ *portNode, cancel func()) { cancel() }, func(err error) bool { return errors.Is(err, context.Canceled) }},
		"session":          {func(owner, _ *portNode, _ func()) { owner.bus.cut.Store(true) }, func(err error) bool { return codeOf(err) == wire.CodeUnknownSocket }},
		"its node leaves":  {func(owner, _ *portNode, _ func()) { go owner.port.Leave() }, func(err error) bool { return err != nil }},
		"this node leaves": {func(_, gateway *portNode, _ func()) { gateway.port.Leave() }, func(err error) bool { return codeOf(err) == wire.CodeUnknownSocket }},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				owner, gateway, places, sockets := newSockets(t)
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				result := make(chan error, 1)
				go func() {
					_, err := gateway.port.Forward(ctx, 1, poll)
					result <- err
				}()
				time.Sleep(time.Second)
				test.end(owner, gateway, cancel)
				_, _ = gateway.port.Forward(ctx, 1, host.SocketRequest{Socket: "1.b", N: 1}) // who sends nothing notices nothing
				time.Sleep(time.Second)
				owner.bus.cut.Store(false)
				if name == "this node leaves" {
					places.mu.Lock()
					places.dead[2] = true
					places.mu.Unlock()
					owner.port.Changed()
				}
				time.Sleep(time.Second)
				select {
				case err := <-result:
					if !test.want(err) {
						t.Errorf("got %v", err)
					}
				default:
					t.Error("the caller still waits")
				}
				sockets.mu.Lock()
				defer sockets.mu.Unlock()
				if sockets.ended != 1 {
					t.Errorf("%d polls have ended at their node, want 1", sockets.ended)
				}
			})
		})
	}
}

// TestG8_AnswersWaitForRoom stops a link while many polls have large answers: what has no room in
// the window is not taken from them.
func TestG8_AnswersWaitForRoom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		owner, gateway, _, sockets := newSockets(t)
		const polls, size = 100, 10 * answerPiece // 16 MB
		given := make(chan error, 1)
		up, giveUp := context.WithCancel(t.Context())
		var waiting sync.WaitGroup
		for n := range uint64(polls) {
			sockets.sizes[n] = size
			waiting.Go(func() {
				ctx := t.Context()
				if n == 7 {
					ctx = up
				}
				got, err := gateway.port.Forward(ctx, 1, host.SocketRequest{N: n, Poll: true, Wait: 2 * time.Second})
				if n == 7 {
					given <- err
				} else if err != nil || !bytes.Equal(got, answerTo(n, size)) {
					t.Errorf("poll %d: got %d bytes, %v", n, len(got), err)
				}
			})
		}
		time.Sleep(time.Second)
		owner.bus.cut.Store(true)
		time.Sleep(3 * time.Second)
		if got := sockets.wrote.Load(); got < 7<<20 || got > 9<<20 {
			t.Errorf("%d bytes were taken, want the window, 8 MiB", got)
		}
		giveUp()
		if err := <-given; !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		owner.bus.cut.Store(false)
		waiting.Wait()
		if got := sockets.wrote.Load(); got < (polls-1)*size {
			t.Errorf("%d bytes were taken, want %d at least", got, (polls-1)*size)
		}
	})
}
