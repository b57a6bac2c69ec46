package limit

import (
	"fmt"
	"log/slog"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"
)

// TestG9_AddressesAreForgotten: a flood from ever new addresses does not grow the table
// of visitors without bound, and they are forgotten soon.
func TestG9_AddressesAreForgotten(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAdmission(AdmissionOptions{CallRatePerIP: 10, MaxSocketsPerIP: 10, Logger: slog.New(slog.DiscardHandler)})
		p, e := a.Socket(netip.MustParseAddr("192.0.2.1"))
		if e != nil {
			t.Fatal(e)
		}
		for i := range maxIdle + 1000 {
			if e := a.Call(netip.MustParseAddr(fmt.Sprintf("2001:db8:%x:%x::1", i>>16, i&0xffff))); e != nil {
				t.Fatal(e)
			}
		}
		if n := len(a.visitors); n > maxIdle+1 {
			t.Errorf("%d addresses are remembered", n)
		}
		time.Sleep(time.Minute)
		a.Tend(time.Now())
		if n := len(a.visitors); n != 1 {
			t.Errorf("after a minute %d addresses are remembered, want that of the socket", n)
		}
		a.Leave(p)
		a.Tend(time.Now())
		if n := len(a.visitors); n != 0 {
			t.Errorf("after the socket has left %d addresses are remembered, want 0", n)
		}
	})
}

// TestG9_ForwardedRequestsUnderWay: an address cannot have more posts under way to other nodes than it
// may miss, nor more polls than twice the sockets that it may have.
func TestG9_ForwardedRequestsUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := NewAdmission(AdmissionOptions{CallRatePerIP: 2, MaxSocketsPerIP: 3, Logger: slog.New(slog.DiscardHandler)})
		addr := netip.MustParseAddr("192.0.2.1")
		admit := func(poll bool, most int) (done []func(bool)) {
			t.Helper()
			for {
				d, e := a.Forward(addr, poll)
				if e != nil {
					break
				}
				if done = append(done, d); len(done) > 100 {
					break
				}
			}
			if len(done) != most {
				t.Errorf("%d were admitted, want %d", len(done), most)
			}
			return done
		}
		all := func(done []func(bool), missed bool) {
			for _, d := range done {
				d(missed)
			}
		}
		all(admit(false, 4), false) // two seconds' worth
		posts := admit(false, 4)
		a.Tend(time.Now())
		admit(false, 0)
		all(posts, true)
		admit(false, 0)
		admit(true, 0)
		time.Sleep(time.Second)
		posts = admit(false, 2)
		all(posts, false)
		time.Sleep(time.Second)
		polls := admit(true, 6)
		admit(false, 4)
		all(polls, false)
		if _, e := a.Forward(netip.MustParseAddr("192.0.2.2"), false); e != nil {
			t.Errorf("another address: got %v", e)
		}
	})
}

// A permit returns the kind of slot that it took: rejected sockets take none of the
// others, and the zero Permit returns nothing.
func TestPermitsReturnTheirOwnSlot(t *testing.T) {
	a := NewAdmission(AdmissionOptions{MaxSockets: 1, Logger: slog.New(slog.DiscardHandler)})
	addr := netip.MustParseAddr("192.0.2.1")
	first, e := a.Socket(addr)
	if e != nil {
		t.Fatal(e)
	}
	none, e := a.Socket(addr)
	if e == nil {
		t.Fatal("a second socket was admitted")
	}
	a.Leave(none)
	var rejects []Permit
	for p, ok := a.Reject(); ok; p, ok = a.Reject() {
		rejects = append(rejects, p)
	}
	if len(rejects) != maxRejects {
		t.Errorf("%d sockets were rejected, want %d", len(rejects), maxRejects)
	}
	a.Leave(rejects[0])
	if _, ok := a.Reject(); !ok {
		t.Error("a slot of a rejected socket was not returned")
	}
	if _, e := a.Socket(addr); e == nil {
		t.Error("a rejected socket returned the slot of another one")
	}
	a.Leave(first)
	if _, e := a.Socket(addr); e != nil {
		t.Error(e)
	}
}
