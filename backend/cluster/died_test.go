package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// guest is an actor that serves dishes to others, and eats.
type guest struct {
	Eaten []string `json:"eaten"`
}

type dish struct {
	Name string `json:"name"`
}

func (g *guest) Come(*actor.Context[actor.NoState]) { g.Eaten = []string{"bread"} }

func (*guest) Serve(c *actor.Context[actor.NoState], to, name string) {
	c.Send(actor.Of("guest", to), dish{name})
}

func (g *guest) dish(_ *actor.Context[actor.NoState], m dish) error {
	g.Eaten = append(g.Eaten, m.Name)
	return nil
}

func (g guest) Get(*actor.Context[actor.NoState]) []string { return g.Eaten }

// Parked returns how many of its dishes are parked.
func (guest) Parked(c *actor.Context[actor.NoState]) (n int) {
	for m := range c.Scheduled() {
		if m.Parked != "" {
			n++
		}
	}
	return n
}

var guests = actor.NewRegistry(actor.Define[guest]("guest", actor.Handles((*guest).dish)))

// takeOver is after how long others know that a node has died.
const takeOver = 3 * time.Second

// diners are guests on a cluster: nodes that own the receiver one after the other, from slot 10 on, and
// beside them two that own senders.
type diners struct {
	t       *testing.T
	places  *fakePlaces
	bus     *fakeBus
	disk    store.Store // of the receiver
	ports   [2]*Port
	senders [2]*runtime.Node

	mu       sync.Mutex
	receiver *eater
	deaths   int
	haste    int // so many nodes die as soon as they own the receiver
}

// eater is a node that owns the receiver. Poison ends it, before that has done anything durably.
type eater struct {
	host.Courier
	diners *diners
	node   *runtime.Node
	port   *Port
	end    *busEnd
	dead   atomic.Bool
}

func (e *eater) Deliver(d *host.Delivery, answered func([]host.DeliveryAnswer, error)) {
	for _, m := range d.Messages {
		if string(m.Data) == `{"name":"poison"}` && !m.Skip {
			e.die()
		}
	}
	if !e.dead.Load() {
		e.Courier.Deliver(d, answered)
	}
}

// die ends the node as if it were killed. The others know after a while.
func (e *eater) die() {
	if e.dead.Swap(true) {
		return
	}
	e.end.cut.Store(true)
	d := e.diners
	d.mu.Lock()
	d.deaths++
	d.mu.Unlock()
	time.AfterFunc(takeOver, d.succeed)
}

// now returns the node that owns the receiver, and how many have died.
func (d *diners) now() (e *eater, deaths int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.receiver, d.deaths
}

// keptStore is open for the next node.
type keptStore struct{ store.Store }

func (keptStore) Close() error { return nil }

func dine(t *testing.T, seed uint64, haste int) *diners {
	d := &diners{
		t: t, places: &fakePlaces{dead: map[uint32]bool{}}, disk: memory.New(memory.Options{}), haste: haste,
		// What is under way when a node ends is counted, so that has to be rare.
		bus: &fakeBus{chance: newChance(seed), late: 100 * time.Microsecond, subs: map[*busEnd]map[string]func([]byte){}},
	}
	for i := range d.senders {
		slot := uint32(i + 1)
		d.ports[i] = d.port(slot, &busEnd{bus: d.bus}, nil)
		d.senders[i] = runtime.New(guests, memory.New(memory.Options{}), runtime.Options{Logger: slog.New(slog.DiscardHandler), Courier: d.ports[i]})
	}
	first := d.begin(10)
	d.call(first.node, "r", "come")
	t.Cleanup(func() {
		e, _ := d.now()
		d.end(e)
		for i, n := range d.senders {
			if err := n.Shutdown(context.Background()); err != nil {
				t.Error(err)
			}
			d.ports[i].Leave()
		}
		time.Sleep(time.Second) // frames that are under way
	})
	return d
}

func (d *diners) port(slot uint32, end *busEnd, c host.Courier) *Port {
	p := NewPort(newFakeHost(), c, fakeView{d.places, slot}, PortOptions{Logger: slog.New(slog.DiscardHandler)})
	if err := p.Join(end, slot); err != nil {
		d.t.Fatal(err)
	}
	return p
}

// begin has the node with a slot own the receiver.
func (d *diners) begin(slot uint32) *eater {
	e := &eater{diners: d, end: &busEnd{bus: d.bus}}
	e.node = runtime.New(guests, keptStore{d.disk}, runtime.Options{Logger: slog.New(slog.DiscardHandler)})
	e.Courier = runtime.CourierOf(e.node)
	e.port = d.port(slot, e.end, e)
	d.mu.Lock()
	d.receiver = e
	d.mu.Unlock()
	d.places.mu.Lock()
	d.places.owner = slot
	d.places.mu.Unlock()
	return e
}

// end ends what is left of a node.
func (d *diners) end(e *eater) {
	if err := e.node.Shutdown(context.Background()); err != nil {
		d.t.Error(err)
	}
	e.port.Leave()
}

// succeed has another node take over from one that has died.
func (d *diners) succeed() {
	before, _ := d.now()
	d.end(before)
	d.places.mu.Lock()
	slot := d.places.owner
	d.places.dead[slot] = true
	d.places.mu.Unlock()
	next := d.begin(slot + 1)
	if d.haste > 0 {
		d.haste--
		next.die()
	}
	for _, p := range d.ports {
		p.Changed()
	}
}

// call calls an action on a node.
func (d *diners) call(n *runtime.Node, key, action string, args ...string) string {
	d.t.Helper()
	c := host.DirectCall{Create: true, Action: action}
	for _, a := range args {
		c.Args = append(c.Args, json.RawMessage(fmt.Sprintf("%q", a)))
	}
	result, err := n.CallOnce(d.t.Context(), host.Ref{Name: "guest", Key: host.Key{key}}, c)
	if err != nil {
		d.t.Fatal(err)
	}
	return string(result)
}

// A message is not given up because another one of another node ends the nodes of their receiver: it
// waits for a node that answers, so it is with none of them when they end.
func TestG12_TheInnocentOfAnotherNode(t *testing.T) {
	const rounds = 20
	for round := range rounds {
		synctest.Test(t, func(t *testing.T) {
			d := dine(t, uint64(round), 0)
			d.call(d.senders[0], "a", "serve", "r", "poison")
			d.call(d.senders[1], "c", "serve", "r", "tea")
			time.Sleep(time.Hour)
			e, deaths := d.now()
			if got := d.call(e.node, "r", "get"); got != `["bread","tea"]` {
				t.Errorf("round %d: the receiver got %s; of its senders are parked %s and %s messages", round, got,
					d.call(d.senders[0], "a", "parked"), d.call(d.senders[1], "c", "parked"))
			}
			if got := d.call(d.senders[0], "a", "parked"); got != "1" || deaths != 3 {
				t.Errorf("round %d: %s messages of the guilty sender are parked, and %d nodes have died; want 1 and 3", round, got, deaths)
			}
		})
	}
}

// A message is not given up because nodes die one after the other for other reasons, each before
// others know of the end of the one before.
func TestG12_NodesThatDieInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := dine(t, 1, 4)
		first, _ := d.now()
		first.die()
		d.call(d.senders[1], "c", "serve", "r", "tea")
		time.Sleep(time.Hour)
		e, deaths := d.now()
		if got := d.call(e.node, "r", "get"); got != `["bread","tea"]` || deaths != 5 {
			t.Errorf("after the death of %d nodes the receiver got %s", deaths, got)
		}
	})
}
