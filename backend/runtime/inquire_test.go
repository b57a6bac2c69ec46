package runtime_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
)

// slowCourier takes a second for each inquiry, and has no answer to the first ones.
type slowCourier struct {
	bank *bank

	mu                   sync.Mutex
	asked, waiting, most int
	failing              int
}

func (c *slowCourier) Deliver(d *host.Delivery, answered func([]host.DeliveryAnswer, error)) {
	runtime.CourierOf(c.bank.current.Load()).Deliver(d, answered)
}

func (c *slowCourier) Inquire(q host.Inquiry, answered func(uint64, error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.asked++
	c.waiting++
	c.most = max(c.most, c.waiting)
	fails := c.asked <= c.failing
	time.AfterFunc(time.Second, func() {
		c.mu.Lock()
		c.waiting--
		c.mu.Unlock()
		if fails {
			answered(0, host.Faultf("silent", "no answer"))
			return
		}
		runtime.CourierOf(c.bank.current.Load()).Inquire(q, answered)
	})
}

// counts returns how many it was asked, and how many of them at once at most.
func (c *slowCourier) counts() (asked, most int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.asked, c.most
}

// A tombstone asks a few of its senders at once, all of them in the end, and those again from
// which it has not heard.
func TestATombstoneAsksItsSenders(t *testing.T) {
	onBanks(t, func(b *bank) {
		if b.seed > 0 {
			return
		}
		courier := &slowCourier{bank: b, failing: 20}
		b.options = func() (*actor.Registry, runtime.Options) {
			return actor.NewRegistry(actor.Define[penpal]("penpal", actor.Handles((*penpal).missive),
				actor.WithOptions(actor.Options{CallerTTL: time.Minute}))), runtime.Options{Courier: courier}
		}
		b.restart()
		const senders = 100
		for i := range senders {
			b.post(fmt.Sprint("a", i), "b", "hello")
		}
		time.Sleep(time.Second)
		if err := b.call(nil, "penpal", "b", "burn"); err != nil {
			b.t.Fatal(err)
		}
		id := host.ActorID("penpal", host.Key{"b"})
		kept := func() int {
			snap, err := b.store.Load(context.Background(), id)
			if errors.Is(err, store.ErrNotFound) {
				return 0
			}
			if err != nil {
				b.t.Fatal(err)
			}
			return len(snap.Senders)
		}
		time.Sleep(time.Minute + 10*time.Second)
		if got := kept(); got != courier.failing {
			b.t.Errorf("after the first round it keeps %d senders, want the %d that had no answer", got, courier.failing)
		}
		if asked, most := courier.counts(); asked != senders || most != 64 {
			b.t.Errorf("it has asked %d, %d at once; want all %d, and 64", asked, most, senders)
		}
		time.Sleep(time.Hour + time.Minute)
		if got := kept(); got > 0 {
			b.t.Errorf("after the second round it keeps %d senders, want none", got)
		}
		if asked, _ := courier.counts(); asked != senders+courier.failing {
			b.t.Errorf("it has asked %d times", asked)
		}
	})
}
