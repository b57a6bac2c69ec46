package runtime_test

import (
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store/memory"
	"github.com/troupe-dev/troupe/backend/wire"
)

// poisonedCourier is a courier to other nodes: a batch with the poison ends the one that handles it,
// before that has done anything durably. It takes a while until others notice.
type poisonedCourier struct {
	to     host.Courier
	mu     sync.Mutex
	deaths [][]string // what was on its way
}

func (c *poisonedCourier) Deliver(d *host.Delivery, answered func([]host.DeliveryAnswer, error)) {
	var batch []string
	dies := false
	for _, m := range d.Messages {
		batch = append(batch, string(m.Data))
		dies = dies || string(m.Data) == `{"name":"poison"}` && !m.Skip
	}
	if !dies {
		c.to.Deliver(d, answered)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.deaths = append(c.deaths, batch)
	time.AfterFunc(5*time.Second, func() { answered(nil, host.ErrReceiverDied) })
}

func (c *poisonedCourier) Inquire(q host.Inquiry, answered func(uint64, error)) {
	c.to.Inquire(q, answered)
}

// A message that ends the nodes of its receiver, one after the other, while the one of its sender
// stays, is given up after three of them. Those that were sent with it, before and later, arrive,
// and so do those of others.
func TestG12_AMessageThatEndsOtherNodes(t *testing.T) {
	for range 20 { // waits are random
		inBubble(t, func(t *testing.T) {
			courier := &poisonedCourier{}
			disk := memory.New(memory.Options{})
			n := runtime.New(poisoners, disk, runtime.Options{Logger: slog.New(slog.DiscardHandler), Courier: courier})
			defer func() { _ = n.Shutdown(t.Context()) }()
			courier.to = runtime.CourierOf(n)
			ref := func(key string) host.Ref { return host.Ref{Name: "poisoner", Key: host.Key{key}} }
			eaten := func(key string) string { return string(call(t, n, ref(key), "get")) }
			call(t, n, ref("a"), "serve", "b", []string{"soup", "poison", "cake"})
			call(t, n, ref("c"), "serve", "b", []string{"tea"})
			time.Sleep(time.Minute)
			call(t, n, ref("a"), "serve", "b", []string{"fruit"})
			time.Sleep(10 * time.Minute)
			if got := eaten("b"); got != `["tea","soup","cake","fruit"]` {
				t.Errorf("the receiver got %s", got)
			}
			courier.mu.Lock()
			defer courier.mu.Unlock()
			poison := []string{`{"name":"poison"}`}
			if len(courier.deaths) != 3 || !slices.Equal(courier.deaths[1], poison) || !slices.Equal(courier.deaths[2], poison) {
				t.Errorf("nodes died of %q, want three, two of them of the poison alone", courier.deaths)
			}
			snap, err := disk.Load(t.Context(), host.ActorID("poisoner", host.Key{"a"}))
			if err != nil || len(snap.Messages) != 1 || snap.Messages[0].Parked == "" {
				t.Errorf("the sender has %+v, %v; want the poison, parked", snap.Messages, err)
			}
		})
	}
}

// scriptedCourier answers the deliveries to one actor as a test says.
type scriptedCourier struct {
	host.Courier
	mu     sync.Mutex
	script []func(d *host.Delivery) ([]host.DeliveryAnswer, error)
	got    []int // how many messages each had
}

func (c *scriptedCourier) Deliver(d *host.Delivery, answered func([]host.DeliveryAnswer, error)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(d.Messages) == 0 || len(c.script) == 0 {
		answered(nil, nil)
		return
	}
	c.got = append(c.got, len(d.Messages))
	answer := c.script[0]
	c.script = c.script[1:]
	answered(answer(d))
}

// A message that has to be alone, gets another number and is given up keeps its actor in memory no
// longer.
func TestG12_ADoubtedMessageGetsAnotherNumber(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		as := func(result host.DeliveryResult, floor uint64) func(*host.Delivery) ([]host.DeliveryAnswer, error) {
			return func(d *host.Delivery) ([]host.DeliveryAnswer, error) {
				m := d.Messages[0]
				return []host.DeliveryAnswer{{ID: m.ID, Order: m.Order, Result: result, Floor: m.Order + floor}}, nil
			}
		}
		courier := &scriptedCourier{script: []func(*host.Delivery) ([]host.DeliveryAnswer, error){
			func(*host.Delivery) ([]host.DeliveryAnswer, error) { return nil, host.ErrReceiverDied },
			as(host.DeliveryRenumber, 100), as(host.DeliveryDone, 0), as(host.DeliveryGivenUp, 0),
		}}
		n := runtime.New(poisoners, memory.New(memory.Options{}), runtime.Options{Logger: slog.New(slog.DiscardHandler), Courier: courier})
		defer func() { _ = n.Shutdown(t.Context()) }()
		call(t, n, host.Ref{Name: "poisoner", Key: host.Key{"a"}}, "serve", "b", []string{"soup", "cake"})
		time.Sleep(time.Hour)
		courier.mu.Lock()
		defer courier.mu.Unlock()
		if want := []int{2, 1, 1, 1}; !slices.Equal(courier.got, want) {
			t.Errorf("deliveries had %v messages, want %v", courier.got, want)
		}
		if got := n.Stats().Awake; got != 0 {
			t.Errorf("%d actors are in memory after an hour", got)
		}
	})
}

// tardyCourier is a poisonedCourier of which one sender reaches nobody until some time.
type tardyCourier struct {
	poisonedCourier
	late  string
	until time.Time
}

func (c *tardyCourier) Deliver(d *host.Delivery, answered func([]host.DeliveryAnswer, error)) {
	if d.From.Key[0] == c.late && time.Now().Before(c.until) {
		answered(nil, host.Faultf(wire.CodeUnavailable, "it is away"))
		return
	}
	c.poisonedCourier.Deliver(d, answered)
}

// A message that is given up before its receiver exists ends no life of it: one of another sender that
// is older, and comes later, arrives.
func TestG12_AMessageThatIsGivenUpEndsNoLife(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		courier := &tardyCourier{late: "c", until: time.Now().Add(time.Hour)}
		n := runtime.New(poisoners, memory.New(memory.Options{}), runtime.Options{Logger: slog.New(slog.DiscardHandler), Courier: courier})
		defer func() { _ = n.Shutdown(t.Context()) }()
		courier.to = runtime.CourierOf(n)
		ref := func(key string) host.Ref { return host.Ref{Name: "poisoner", Key: host.Key{key}} }
		call(t, n, ref("c"), "serve", "b", []string{"tea"})
		time.Sleep(time.Second)
		call(t, n, ref("a"), "serve", "b", []string{"poison"})
		time.Sleep(2 * time.Hour)
		got := string(call(t, n, ref("b"), "get"))
		courier.mu.Lock()
		defer courier.mu.Unlock()
		if got != `["tea"]` || len(courier.deaths) != 3 {
			t.Errorf("after the death of %d nodes the receiver got %s", len(courier.deaths), got)
		}
	})
}
