package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

var general = host.Ref{Name: "chat", Key: host.Key{"general"}}

func attachment(n uint64) host.Attachment { return host.Attachment{N: n} }

func expect(t *testing.T, got []string, want ...string) {
	t.Helper()
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func codeOf(err error) wire.Code {
	var fault *host.Fault
	if errors.As(err, &fault) {
		return fault.Code
	}
	return ""
}

func TestRequestsReachTheOwnerInOrder(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		owner, gateway, _ := newPorts(t)
		f := read(t, gateway, general)
		here := read(t, owner, general)
		port := gateway.port
		for _, err := range []error{
			port.Open(general, host.OpenRequest{Attachment: attachment(1), Conn: "ada"}),
			owner.port.Open(general, host.OpenRequest{Attachment: attachment(1), Conn: "here"}),
			port.Call(general, host.CallRequest{Attachment: attachment(1), ID: 5}),
			port.Subscribe(general, host.SubscribeRequest{Attachment: attachment(1), ID: 6}),
			port.Refresh(general, host.RefreshRequest{Attachment: attachment(1), Params: json.RawMessage("7")}),
			port.Call(general, host.CallRequest{Attachment: attachment(1), ID: 8, Action: "refuse"}),
		} {
			if err != nil {
				t.Error(err)
			}
		}
		port.Ack(general, attachment(1), 9)
		port.Detach(general, attachment(1))
		port.Close(general, attachment(2))
		got := f.next()
		refused := slices.Index(got, "2 overloaded to 0.1") // it is not in the owner's log, so it may come before
		if refused < 0 {
			t.Fatalf("got %q", got)
		}
		expect(t, slices.Delete(got, refused, refused+1), "3  to 0.1", "0 5", "2 no to 0.1")
		expect(t, here.next(), "3  to 0.1", "3  to 2.1", "0 5", "2 no to 2.1")
		expect(t, owner.host.take(), "open here", "open ada", "call 5", "subscribe 6", "refresh 7", "ack 2 9", "detach 2 1", "close 2 2")
		expect(t, gateway.host.take())
		if f.log.Head() != 1 || f.log.Identity() != here.log.Identity() {
			t.Errorf("the copy has head %d and identity %q", f.log.Head(), f.log.Identity())
		}
		if _, err := gateway.port.Follow(host.Ref{Name: "chat", Key: host.Key{string(make([]byte, 200))}}, f); codeOf(err) != wire.CodeBadKey {
			t.Errorf("got %v", err)
		}
		none := read(t, gateway, host.Ref{Name: "none", Key: host.Key{}})
		_ = port.Open(host.Ref{Name: "none", Key: host.Key{}}, host.OpenRequest{Attachment: attachment(3)})
		expect(t, none.next(), "4 unknown_actor to 0.3")
		owner.host.take()
		port.Unfollow(general, f)
		port.Detach(general, attachment(7)) // the gateway no longer follows
		port.Close(general, attachment(7))
		time.Sleep(time.Second)
		expect(t, owner.host.take(), "detach 2 7", "close 2 7")
		if !owner.host.actor(general).writer.Followed() {
			t.Error("the owner's own gateway no longer follows")
		}
		owner.port.Unfollow(general, here)
		if owner.host.actor(general).writer.Followed() {
			t.Error("a copy that was given up is still followed")
		}
	})
}

func TestAMoveEndsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, gateway, places := newPorts(t)
		f := read(t, gateway, general)
		if err := gateway.port.Open(general, host.OpenRequest{Attachment: attachment(1), Conn: "ada"}); err != nil {
			t.Fatal(err)
		}
		expect(t, f.next(), "3  to 0.1")
		places.mu.Lock()
		places.owner = 2
		places.mu.Unlock()
		gateway.port.Changed()
		expect(t, f.next(), "4 moved to 0.1")
		if err := gateway.port.Open(general, host.OpenRequest{Attachment: attachment(2)}); codeOf(err) != wire.CodeMoved {
			t.Errorf("got %v while the gateway still follows the old owner", err)
		}
		gateway.port.Unfollow(general, f)
		f = read(t, gateway, general)
		if err := gateway.port.Open(general, host.OpenRequest{Attachment: attachment(3), Conn: "bob"}); err != nil {
			t.Error(err)
		}
		expect(t, f.next(), "3  to 0.3")
		expect(t, gateway.host.take(), "open bob")
	})
}

func TestG1_AnItemThatDoesNotDecodeEndsTheSession(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		owner, gateway, _ := newPorts(t)
		f := read(t, gateway, general)
		_ = gateway.port.Open(general, host.OpenRequest{Attachment: attachment(1)})
		f.next()
		if err := owner.port.peer(2).Send([]byte{255}); err != nil {
			t.Fatal(err)
		}
		expect(t, f.next(), "4 moved to 0.1")
	})
}

func TestTheOwnerSaysThatItHasMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		owner, gateway, _ := newPorts(t)
		f := read(t, gateway, general)
		_ = gateway.port.Open(general, host.OpenRequest{Attachment: attachment(1)})
		f.next()
		owner.host.mu.Lock()
		owner.host.moved = true
		owner.host.mu.Unlock()
		_ = gateway.port.Call(general, host.CallRequest{Attachment: attachment(1), ID: 1})
		expect(t, f.next(), "4 moved to 0.1")
	})
}

func TestASessionThatEndsEndsConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		owner, gateway, _ := newPorts(t)
		f := read(t, gateway, general)
		_ = gateway.port.Open(general, host.OpenRequest{Attachment: attachment(1)})
		f.next()
		owner.host.mu.Lock()
		owner.host.block = true
		owner.host.mu.Unlock()
		results := make(chan error, 2)
		go func() {
			_, err := gateway.port.CallOnce(t.Context(), general, host.DirectCall{Action: "a"})
			results <- err
		}()
		time.Sleep(time.Second)
		owner.bus.cut.Store(true)
		_ = gateway.port.Call(general, host.CallRequest{Attachment: attachment(1), ID: 1})
		time.Sleep(7 * time.Second)
		expect(t, f.next(), "4 moved to 0.1")
		if err := <-results; codeOf(err) != wire.CodeMaybeRan {
			t.Errorf("got %v for a call that may have run", err)
		}
		owner.bus.cut.Store(false)
		time.Sleep(2 * time.Second)
		owner.host.mu.Lock()
		detached := slices.Clone(owner.host.detached)
		owner.host.block = false
		owner.host.mu.Unlock()
		if !slices.Equal(detached, []uint32{2}) {
			t.Errorf("the owner has detached the nodes %v, want 2", detached)
		}
		if owner.host.actor(general).writer.Followed() {
			t.Error("the owner still sends its log")
		}
		gateway.port.Unfollow(general, f)
		f = read(t, gateway, general)
		_ = gateway.port.Open(general, host.OpenRequest{Attachment: attachment(2)})
		expect(t, f.next(), "3  to 0.2")
	})
}

// TestG5_ARepeatedCallMayHaveRun loses the owner of an actor while it runs a call with an
// idempotency key, and finds no other in time.
func TestG5_ARepeatedCallMayHaveRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		owner, gateway, places := newPorts(t)
		f := read(t, gateway, general)
		_ = gateway.port.Open(general, host.OpenRequest{Attachment: attachment(1)})
		f.next()
		owner.host.mu.Lock()
		owner.host.block = true
		owner.host.mu.Unlock()
		result := make(chan error, 1)
		go func() {
			_, err := gateway.port.CallOnce(t.Context(), general, host.DirectCall{Action: "a", IdempotencyKey: "k"})
			result <- err
		}()
		time.Sleep(time.Second)
		owner.bus.cut.Store(true)
		_ = gateway.port.Call(general, host.CallRequest{Attachment: attachment(1), ID: 1})
		time.Sleep(7 * time.Second)
		expect(t, f.next(), "4 moved to 0.1") // the session has ended
		places.mu.Lock()
		places.owner = 0
		places.mu.Unlock()
		if err := <-result; codeOf(err) != wire.CodeMaybeRan {
			t.Errorf("got %v for a call that may have run", err)
		}
		if _, err := gateway.port.CallOnce(t.Context(), general, host.DirectCall{Action: "a", IdempotencyKey: "l"}); codeOf(err) != wire.CodeUnavailable {
			t.Errorf("got %v for a call that was not sent", err)
		}
		owner.host.mu.Lock()
		owner.host.block = false
		owner.host.mu.Unlock()
		owner.bus.cut.Store(false)
	})
}

// TestG3_ACopyThatFallsBehind stops a link while much happens. The copy leaves out what the
// owner has forgotten, reads it from the owner, and gets the answers all the same.
func TestG3_ACopyThatFallsBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		owner, gateway, _ := newPorts(t)
		f := read(t, gateway, general)
		_ = gateway.port.Open(general, host.OpenRequest{Attachment: attachment(1)})
		expect(t, f.next(), "3  to 0.1")
		owner.host.say(general, "1")
		expect(t, f.next(), "0 1")
		owner.bus.cut.Store(true)
		owner.host.say(general, "2") // is under way
		time.Sleep(100 * time.Millisecond)
		large := fmt.Sprintf(`"%0100000d"`, 0)
		for n := 3; n <= 200; n++ {
			owner.host.say(general, large)
			if n == 50 || n == 150 {
				owner.host.actor(general).put(&host.Output{Kind: host.OutputFail, To: host.Attachment{Node: 2, N: uint64(n)}, Err: host.Faultf("no", "no")})
				owner.host.actor(general).put(&host.Output{Kind: host.OutputFail, To: host.Attachment{Node: 3, N: uint64(n)}, Err: host.Faultf("no", "no")})
			}
			synctest.Wait()
		}
		owner.bus.cut.Store(false)
		got := f.next()
		got = slices.DeleteFunc(got, func(s string) bool { return len(s) > 1000 || s == "0 2" })
		expect(t, got, "2 no to 0.50", "gap", "2 no to 0.150")
		if f.log.Head() != 200 {
			t.Errorf("the copy has head %d, want 200", f.log.Head())
		}
		stored, err := f.log.Stored(t.Context(), 1, 500, 1<<30)
		if err != nil || len(stored) != 199 || stored[0].Seq != 2 || stored[0].TimeMs != 1 {
			t.Errorf("got %d entries, %v", len(stored), err)
		}
	})
}

func TestRequestsWithAnAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		owner, gateway, places := newPorts(t)
		for _, n := range []*portNode{owner, gateway} { // here, and elsewhere
			ctx := t.Context()
			if got, err := n.port.CallOnce(ctx, general, host.DirectCall{Action: "a"}); err != nil || string(got) != `"a"` {
				t.Errorf("got %s, %v", got, err)
			}
			if got, err := n.port.Create(ctx, general, json.RawMessage("1"), host.Identity{}); err != nil || got != "id of chat" {
				t.Errorf("got %s, %v", got, err)
			}
			if _, err := n.port.Create(ctx, general, json.RawMessage("exists"), host.Identity{}); codeOf(err) != wire.CodeExists {
				t.Errorf("got %v", err)
			}
			if got, err := n.port.Find(ctx, general, host.Identity{Subject: "s"}); err != nil || got.Name != "found" || got.Key[0] != "s" {
				t.Errorf("got %v, %v", got, err)
			}
			if got, err := n.port.Resolve(ctx, host.Ref{ID: "id"}); err != nil || got.Name != "resolved" || got.ID != "id" || got.Key == nil {
				t.Errorf("got %v, %v", got, err)
			}
			n.port.Deliver(&host.Delivery{To: general, Attempt: 3}, func(answers []host.DeliveryAnswer, err error) {
				if err != nil || len(answers) != 1 || answers[0].Order != 8 {
					t.Errorf("got %v, %v", answers, err)
				}
			})
			n.port.Inquire(host.Inquiry{To: general, Born: 9}, func(settled uint64, err error) {
				if err != nil || settled != 9 {
					t.Errorf("got %v, %v", settled, err)
				}
			})
			time.Sleep(time.Second)
			expect(t, owner.host.take(), "once a", "create 1", "find", "resolve", "deliver 3", "inquire")
		}

		// The owner has moved, and the gateway's node learns it a little later.
		owner.host.mu.Lock()
		owner.host.moved = true
		owner.host.mu.Unlock()
		time.AfterFunc(time.Second, func() {
			places.mu.Lock()
			defer places.mu.Unlock()
			places.owner = 2
		})
		if got, err := gateway.port.CallOnce(t.Context(), general, host.DirectCall{Action: "b"}); err != nil || string(got) != `"b"` {
			t.Errorf("got %s, %v", got, err)
		}
		expect(t, gateway.host.take(), "once b")

		// The owner has not taken the actor yet when the gateway's node knows of it.
		places.mu.Lock()
		places.owner = 1
		places.mu.Unlock()
		time.AfterFunc(time.Second, func() {
			owner.host.mu.Lock()
			defer owner.host.mu.Unlock()
			owner.host.moved = false
		})
		began := time.Now()
		if got, err := gateway.port.CallOnce(t.Context(), general, host.DirectCall{Action: "b"}); err != nil || string(got) != `"b"` || time.Since(began) > 2*time.Second {
			t.Errorf("got %s, %v after %v", got, err, time.Since(began))
		}
		owner.host.mu.Lock()
		owner.host.moved = true
		owner.host.mu.Unlock()

		// Nobody owns it for long.
		places.mu.Lock()
		places.owner = 1
		places.mu.Unlock()
		if _, err := gateway.port.CallOnce(t.Context(), general, host.DirectCall{Action: "c"}); codeOf(err) != wire.CodeUnavailable {
			t.Errorf("got %v", err)
		}

		// The other node does not answer.
		owner.bus.cut.Store(true)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if _, err := gateway.port.CallOnce(ctx, general, host.DirectCall{Action: "d"}); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		lost := make(chan error, 1)
		gateway.port.Deliver(&host.Delivery{To: general}, func(_ []host.DeliveryAnswer, err error) { lost <- err })
		if err := <-lost; codeOf(err) != wire.CodeUnavailable {
			t.Errorf("got %v", err)
		}
	})
}

func TestANodeThatIsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		owner, gateway, places := newPorts(t)
		f := read(t, gateway, general)
		_ = gateway.port.Open(general, host.OpenRequest{Attachment: attachment(1)})
		f.next()
		places.mu.Lock()
		places.dead[2] = true
		places.mu.Unlock()
		owner.port.Changed()
		time.Sleep(time.Second)
		owner.host.mu.Lock()
		defer owner.host.mu.Unlock()
		if !slices.Equal(owner.host.detached, []uint32{2}) {
			t.Errorf("the owner has detached the nodes %v, want 2", owner.host.detached)
		}
	})
}

// TestACallToANodeThatIsNoMore does not wait until the link notices.
func TestACallToANodeThatIsNoMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		owner, gateway, places := newPorts(t)
		owner.host.mu.Lock()
		owner.host.block = true
		owner.host.mu.Unlock()
		result := make(chan error, 1)
		go func() {
			_, err := gateway.port.CallOnce(t.Context(), general, host.DirectCall{Action: "a"})
			result <- err
		}()
		time.Sleep(time.Second)
		places.mu.Lock()
		places.dead[1] = true
		places.mu.Unlock()
		began := time.Now()
		gateway.port.Changed()
		if err := <-result; codeOf(err) != wire.CodeMaybeRan || time.Since(began) > time.Second {
			t.Errorf("got %v after %v", err, time.Since(began))
		}
	})
}

// TestADeliveryToANodeThatIsNoMore tells that the receiver's owner has died, with the batch perhaps,
// from a link that has failed: also if that is noticed first. A batch in which a death is counted is
// not sent to a node that is dead already.
func TestADeliveryToANodeThatIsNoMore(t *testing.T) {
	for name, of := range map[string]struct {
		dies, back, want time.Duration
		suspect          bool
	}{
		"it dies":                                 {dies: time.Second, want: time.Second},
		"it dies after the link":                  {dies: 12 * time.Second, want: 12 * time.Second},
		"it dies long after the link":             {dies: 50 * time.Second, want: 50 * time.Second},
		"it is cut off":                           {want: 65 * time.Second},
		"it is cut off for a while":               {back: 7 * time.Second, want: 7 * time.Second},
		"it dies, and the batch is suspect":       {dies: time.Second, want: time.Second, suspect: true},
		"it is cut off, and the batch is suspect": {want: 5 * time.Second, suspect: true},
	} {
		synctest.Test(t, func(t *testing.T) {
			owner, gateway, places := newPorts(t)
			owner.bus.cut.Store(true)
			answer, began := make(chan error, 1), time.Now()
			from := host.Ref{ID: host.ActorID("room", host.Key{"from"})}
			gateway.port.Deliver(&host.Delivery{From: from, To: general, Attempt: 3, Suspect: of.suspect}, func(_ []host.DeliveryAnswer, err error) { answer <- err })
			time.Sleep(of.dies + of.back)
			if unsure := gateway.port.Unsure(store.Partition(from.ID)); unsure != (max(of.dies, of.back) > 5*time.Second) {
				t.Errorf("%s: before the end it is unsure: %v", name, unsure)
			}
			if of.dies > 0 {
				places.mu.Lock()
				places.dead[1], places.owner = true, 0
				places.mu.Unlock()
				if !of.suspect && !gateway.port.Unsure(store.Partition(from.ID)) {
					t.Errorf("%s: the table says so, the session has not ended, and it is sure", name)
				}
				gateway.port.Changed()
			}
			if of.back > 0 {
				owner.bus.cut.Store(false)
			}
			err, took := <-answer, time.Since(began)
			died := of.dies > 0 && !of.suspect
			if (err == host.ErrReceiverDied) != died || codeOf(err) != wire.CodeUnavailable || (took-of.want).Abs() > time.Second {
				t.Errorf("%s: got %v after %v, want it after %v; the batch may be why: %v", name, err, took, of.want, died)
			}
			if synctest.Wait(); gateway.port.Unsure(store.Partition(from.ID)) || len(gateway.port.sent) != 0 {
				t.Errorf("%s: after the end it is unsure, or %d deliveries count as under way", name, len(gateway.port.sent))
			}
			owner.bus.cut.Store(false)
		})
	}
}

// TestASuspectBatch comes behind the answer of its receiver's owner.
func TestASuspectBatch(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		owner, gateway, _ := newPorts(t)
		answer := make(chan error, 1)
		gateway.port.Deliver(&host.Delivery{To: general, Attempt: 3, Suspect: true}, func(_ []host.DeliveryAnswer, err error) { answer <- err })
		if err := <-answer; err != nil {
			t.Error(err)
		}
		expect(t, owner.host.take(), "deliver 3")
	})
}

// TestFollowersComeAfterTheFollow lets a second follower come before the first one has asked the
// owner for the log.
func TestFollowersComeAfterTheFollow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		_, gateway, _ := newPorts(t)
		for name, ended := range map[string]bool{"asked": false, "not asked, because it has moved": true} {
			id, _ := idOf(general)
			c := newCopy(gateway.port, id, store.Partition(id), 1, 100)
			if ended {
				c.end()
			}
			second := make(chan error, 1)
			go func() {
				_, err := c.follow(general, &reader{}, false)
				second <- err
			}()
			synctest.Wait()
			if len(second) != 0 {
				t.Errorf("%s: the second follower did not wait", name)
			}
			_, err := c.follow(general, &reader{}, true)
			if other := <-second; (other == nil) != (err == nil) || (err == nil) == ended {
				t.Errorf("%s: got %v and %v", name, err, other)
			}
		}
	})
}

func TestFaultsOfWrappedErrors(t *testing.T) {
	p := NewPort(nil, nil, nil, PortOptions{Logger: slog.New(slog.DiscardHandler)})
	tests := map[error]string{
		host.Faultf(wire.CodeExists, "it exists"): wire.CodeExists,
		context.Canceled:         wire.CodeMaybeRan,
		context.DeadlineExceeded: wire.CodeMaybeRan,
		errors.New("disk"):       wire.CodeUnavailable,
	}
	for err, want := range tests {
		for _, err := range []error{err, fmt.Errorf("call: %w", err)} {
			if got := p.fault(err).Code; got != want {
				t.Errorf("%v: got %s, want %s", err, got, want)
			}
		}
	}
}
