package cluster

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

// TestDisconnectAsksLessAndLess disconnects somebody while an actor has no owner.
func TestDisconnectAsksLessAndLess(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMember(options{}, nil, nil, nil, nil)
		m.view.Store(&view{joined(t, "a"), 1}) // it has none of its partitions yet
		h := newFakeHost()
		c := &Cluster{member: m}
		c.port.Store(NewPort(h, h, m, PortOptions{Logger: slog.New(slog.DiscardHandler)}))
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		defer cancel()
		if err := c.Disconnect(ctx, "ada", "signed out"); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v, want that of the context", err)
		}
		if n := len(h.take()); n < 8 || n > 12 {
			t.Errorf("all actors were asked %d times in 10 s", n)
		}
	})
}

// A Disconnect tells each node when it began in the processes of all nodes, and at each try the same.
func TestDisconnectBeginsEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		there, here, _ := newPorts(t)
		there.host.moment, here.host.moment = host.Moment{Process: 7, N: 70}, host.Moment{Process: 8, N: 80}
		m := newMember(options{}, nil, nil, nil, nil)
		m.view.Store(&view{joined(t, "a", "b"), 2})
		c := &Cluster{member: m}
		c.port.Store(here.port)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		if err := c.Disconnect(ctx, "ada", "signed out"); err == nil {
			t.Error("the nodes have other tables, and yet it has ended")
		}
		for _, n := range []*portNode{there, here} {
			got := n.host.take()
			if slices.Sort(got); len(slices.Compact(got)) != 1 || got[0] != "disconnect ada signed out [{7 70} {8 80}]" {
				t.Errorf("got %q", got)
			}
		}
	})
}

// Identities from before a node joined again are refused: a Disconnect may have passed the node
// over. Neither does the owner believe a node that it knows to be out.
func TestG10_IdentitiesFromBeforeAJoin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		owner, gateway, places := newPorts(t)
		port := gateway.port
		gateway.host.moment = host.Moment{Process: 7, N: 100}
		port.Leave()
		if err := port.Join(gateway.bus, 2); err != nil { // at 100
			t.Fatal(err)
		}
		f := read(t, gateway, general)
		open := func(n uint64, who host.Identity) error {
			q := host.OpenRequest{Attachment: attachment(n), Conn: "c", Identity: who}
			err := port.Open(general, q)
			if again := port.Refresh(general, host.RefreshRequest{Attachment: q.Attachment, Identity: who}); codeOf(again) != codeOf(err) {
				t.Errorf("Open: %v, Refresh: %v", err, again)
			}
			return err
		}
		if err := open(1, host.Identity{Subject: "ada", Asked: host.Moment{Process: 7, N: 99}}); codeOf(err) != wire.CodeIdentity {
			t.Errorf("before the join: got %v, want that the client is to be authenticated again", err)
		}
		for n, who := range []host.Identity{
			{Subject: "ada", Asked: host.Moment{Process: 7, N: 101}}, {Subject: "ada", Asked: host.Moment{Process: 8, N: 1}},
			{Asked: host.Moment{Process: 7, N: 99}}, {},
		} {
			if err := open(uint64(n+2), who); err != nil {
				t.Errorf("%+v: got %v", who, err)
			}
		}
		f.next()
		if got := owner.host.take(); len(got) != 8 {
			t.Errorf("the owner was asked %q", got)
		}
		late := &item{Kind: itemOpen, Ref: general, Open: &host.OpenRequest{Attachment: host.Attachment{Node: 9, N: 7}}}
		if err := port.send(1, late, false); err != nil { // as the one with the slot from before
			t.Fatal(err)
		}
		time.Sleep(time.Second)
		expect(t, owner.host.take())
		places.mu.Lock()
		places.dead[2] = true // and the owner's session with it has not ended yet
		places.mu.Unlock()
		owner.port.serving(2).handle(&item{Kind: itemOpen, Ref: general, Open: &host.OpenRequest{Attachment: host.Attachment{Node: 2, N: 8}}})
		owner.port.serving(2).handle(&item{Kind: itemRefresh, Ref: general, Refresh: &host.RefreshRequest{Attachment: host.Attachment{Node: 2, N: 8}}})
		expect(t, owner.host.take())
	})
}
