package runtime_test

import (
	"encoding/json"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
)

// holdingCourier keeps a copy of the deliveries, which it delivers when it is told to.
type holdingCourier struct {
	bank *bank
	lost bool // the copy is all that there is

	mu   sync.Mutex
	held []*host.Delivery
}

func (c *holdingCourier) Deliver(d *host.Delivery, answered func([]host.DeliveryAnswer, error)) {
	c.mu.Lock()
	lost := c.lost
	if len(d.Messages) > 0 {
		c.held = append(c.held, d)
	}
	c.mu.Unlock()
	if lost {
		answered(nil, host.Faultf("silent", "no answer"))
		return
	}
	runtime.CourierOf(c.bank.current.Load()).Deliver(d, answered)
}

func (c *holdingCourier) Inquire(q host.Inquiry, answered func(uint64, error)) {
	runtime.CourierOf(c.bank.current.Load()).Inquire(q, answered)
}

// release delivers the copies.
func (c *holdingCourier) release() {
	c.mu.Lock()
	held := c.held
	c.held, c.lost = nil, false
	c.mu.Unlock()
	for _, d := range held {
		runtime.CourierOf(c.bank.current.Load()).Deliver(d, func([]host.DeliveryAnswer, error) {})
	}
}

func onLateBanks(t *testing.T, f func(b *bank, c *holdingCourier)) {
	onBanks(t, func(b *bank) {
		if b.seed > 0 {
			return
		}
		courier := &holdingCourier{bank: b}
		b.options = func() (*actor.Registry, runtime.Options) {
			return actor.NewRegistry(actor.Define[penpal]("penpal", actor.Handles((*penpal).missive))), runtime.Options{Courier: courier}
		}
		b.restart()
		f(b, courier)
	})
}

func (b *bank) post(from, to, text string) {
	b.t.Helper()
	if err := b.call(nil, "penpal", from, "post", to, []string{text}); err != nil {
		b.t.Fatal(err)
	}
}

func (b *bank) penpal(key string) string {
	b.t.Helper()
	var p penpal
	if err := b.call(&p, "penpal", key, "get"); err != nil {
		b.t.Fatal(err)
	}
	all, _ := json.Marshal([]string{strings.Join(p.Got, " "), strings.Join(p.Returned, " ")})
	return string(all)
}

// A copy that arrives when its receiver has forgotten the sender does not run again.
func TestG12_ALateCopy(t *testing.T) {
	onLateBanks(t, func(b *bank, c *holdingCourier) {
		b.post("a", "b", "one")
		time.Sleep(12 * time.Second) // the sender says that nothing is outstanding
		b.post("c", "b", "two")
		time.Sleep(70 * time.Second)
		b.post("c", "b", "three") // the commit of which forgets the sender
		time.Sleep(time.Second)
		b.restart()
		c.release()
		time.Sleep(time.Minute)
		if got, want := b.penpal("b"), `["a:one c:two c:three",""]`; got != want {
			b.t.Errorf("the receiver got %s, want %s", got, want)
		}
		b.post("a", "b", "four")
		time.Sleep(time.Second)
		if got, want := b.penpal("b"), `["a:one c:two c:three a:four",""]`; got != want {
			b.t.Errorf("the receiver got %s, want %s", got, want)
		}
	})
}

// A message that was sent before its receiver was destroyed does not begin a new life of it.
func TestG12_AMessageOfAnEarlierLife(t *testing.T) {
	onLateBanks(t, func(b *bank, c *holdingCourier) {
		b.post("a", "b", "zero")
		time.Sleep(time.Second)
		c.mu.Lock()
		c.lost = true
		c.mu.Unlock()
		b.post("a", "b", "one")
		time.Sleep(time.Second)
		if err := b.call(nil, "penpal", "b", "burn"); err != nil {
			b.t.Fatal(err)
		}
		b.restart()
		c.release()
		time.Sleep(10 * time.Minute)
		if got, want := b.penpal("a"), `["","b:one:destroyed"]`; got != want {
			b.t.Errorf("the sender has %s, want %s", got, want)
		}
		if got, want := b.penpal("b"), `["",""]`; got != want {
			b.t.Errorf("the new life has %s, want %s", got, want)
		}
		b.post("a", "b", "two")
		time.Sleep(time.Second)
		if got, want := b.penpal("b"), `["a:two",""]`; got != want {
			b.t.Errorf("the new life has %s, want %s", got, want)
		}
	})
}

// A copy of a message that was parked meanwhile does not run: its sender may have it sent again,
// under another number.
func TestG12_ALateCopyOfAParkedMessage(t *testing.T) {
	onLateBanks(t, func(b *bank, c *holdingCourier) {
		letterRuns.clear()
		b.post("a", "b", "tenfold one") // the eleventh run would succeed
		time.Sleep(time.Hour)
		b.restart()
		c.release()
		time.Sleep(time.Minute)
		if got, want := b.penpal("b"), `["",""]`; got != want {
			b.t.Errorf("the receiver got %s, want %s", got, want)
		}
	})
}
