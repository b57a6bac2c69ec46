package cluster

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

// fakeHost is the actors of a node. An actor answers what it is asked, and a call adds an
// entry to its log.
type fakeHost struct {
	mu       sync.Mutex
	actors   map[string]*fakeActor
	asked    []string // what happened, in order
	moved    bool     // it owns nothing any more
	block    bool     // CallOnce does not return before its context ends
	detached []uint32
	moment   host.Moment
}

type fakeActor struct {
	writer  *host.LogWriter
	entries []store.Entry
}

func newFakeHost() *fakeHost { return &fakeHost{actors: map[string]*fakeActor{}} }

// actor returns an actor, whose log keeps 1 MiB in memory.
func (h *fakeHost) actor(r host.Ref) *fakeActor {
	id, err := idOf(r)
	if err != nil {
		panic(err)
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	a := h.actors[id]
	if a == nil {
		a = &fakeActor{}
		a.writer = host.NewLog(id, 1<<20, func(_ context.Context, after uint64, limit, _ int) ([]store.Entry, error) {
			h.mu.Lock()
			defer h.mu.Unlock()
			return slices.Clone(a.entries[min(int(after), len(a.entries)):min(int(after)+limit, len(a.entries))]), nil
		})
		a.writer.Start("log of "+id, 0)
		h.actors[id] = a
	}
	return a
}

// say adds an event to an actor's log.
func (h *fakeHost) say(r host.Ref, data string) {
	a := h.actor(r)
	h.mu.Lock()
	e := store.Entry{Seq: uint64(len(a.entries) + 1), Event: "said", Data: json.RawMessage(data), Time: time.UnixMilli(1)}
	a.entries = append(a.entries, e)
	h.mu.Unlock()
	a.put(host.OutputOf(e))
}

func (a *fakeActor) put(o *host.Output) { a.writer.Release(a.writer.Put(o)) }

// ask notes what was asked.
func (h *fakeHost) ask(format string, args ...any) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.asked = append(h.asked, fmt.Sprintf(format, args...))
	if h.moved {
		return movedFault()
	}
	return nil
}

func (h *fakeHost) take() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	asked := h.asked
	h.asked = nil
	return asked
}

func (h *fakeHost) Follow(r host.Ref, f host.Follower) (*host.Log, error) {
	if r.Name == "none" {
		return nil, host.Faultf(wire.CodeUnknownActor, "no such actor")
	}
	a := h.actor(r)
	a.writer.Follow(f)
	return a.writer.Log(), nil
}

func (h *fakeHost) Unfollow(r host.Ref, f host.Follower) { h.actor(r).writer.Unfollow(f) }

func (h *fakeHost) Open(r host.Ref, q host.OpenRequest) error {
	if err := h.ask("open %s", q.Conn); err != nil {
		return err
	}
	h.actor(r).put(&host.Output{Kind: host.OutputOpened, To: q.Attachment, Opened: &host.OpenedInfo{Conn: q.Conn}})
	return nil
}

func (h *fakeHost) Refresh(r host.Ref, q host.RefreshRequest) error {
	return h.ask("refresh %s", q.Params)
}

func (h *fakeHost) Subscribe(r host.Ref, q host.SubscribeRequest) error {
	return h.ask("subscribe %d", q.ID)
}

func (h *fakeHost) Call(r host.Ref, q host.CallRequest) error {
	if q.Action == "refuse" {
		return host.Faultf(wire.CodeOverloaded, "too much")
	}
	if err := h.ask("call %d", q.ID); err != nil {
		return err
	}
	h.say(r, fmt.Sprint(q.ID))
	h.actor(r).put(&host.Output{Kind: host.OutputFail, Call: q.ID, To: q.Attachment, Err: host.Faultf("no", "no")})
	return nil
}

func (h *fakeHost) Ack(_ host.Ref, a host.Attachment, ack uint64) {
	_ = h.ask("ack %d %d", a.Node, ack)
}
func (h *fakeHost) Detach(_ host.Ref, a host.Attachment) { _ = h.ask("detach %d %d", a.Node, a.N) }
func (h *fakeHost) Close(_ host.Ref, a host.Attachment)  { _ = h.ask("close %d %d", a.Node, a.N) }

func (h *fakeHost) CallOnce(ctx context.Context, _ host.Ref, q host.DirectCall) (json.RawMessage, error) {
	if err := h.ask("once %s", q.Action); err != nil {
		return nil, err
	}
	h.mu.Lock()
	block := h.block
	h.mu.Unlock()
	if block {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return json.RawMessage(`"` + q.Action + `"`), nil
}

func (h *fakeHost) Create(_ context.Context, r host.Ref, input json.RawMessage, _ host.Identity) (string, error) {
	if string(input) == "exists" {
		return "", host.Faultf(wire.CodeExists, "it exists")
	}
	return "id of " + r.Name, h.ask("create %s", input)
}

func (h *fakeHost) Find(_ context.Context, r host.Ref, who host.Identity) (host.Ref, error) {
	return host.Ref{Name: "found", Key: host.Key{who.Subject}, ID: r.ID}, h.ask("find")
}

func (h *fakeHost) Resolve(_ context.Context, r host.Ref) (host.Ref, error) {
	return host.Ref{Name: "resolved", Key: host.Key{}, ID: r.ID}, h.ask("resolve")
}

func (h *fakeHost) DetachNode(slot uint32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.detached = append(h.detached, slot)
}

func (h *fakeHost) Joined() host.Moment { return h.Moment() }

// Moment counts from h.moment.
func (h *fakeHost) Moment() host.Moment {
	h.mu.Lock()
	defer h.mu.Unlock()
	m := h.moment
	h.moment.N++
	return m
}

func (h *fakeHost) Disconnect(_ context.Context, subject, reason string, began []host.Moment) error {
	return h.ask("disconnect %s %s %v", subject, reason, began)
}

// Deliver and Inquire make it a host.Courier.
func (h *fakeHost) Deliver(d *host.Delivery, answered func([]host.DeliveryAnswer, error)) {
	err := h.ask("deliver %d", d.Attempt)
	answered([]host.DeliveryAnswer{{ID: 7, Order: 8}}, err)
}

func (h *fakeHost) Inquire(q host.Inquiry, answered func(uint64, error)) {
	answered(uint64(q.Born), h.ask("inquire"))
}

// fakePlaces are the owners of actors: one node owns all.
type fakePlaces struct {
	mu    sync.Mutex
	owner uint32
	dead  map[uint32]bool
}

// fakeView is a node's view of them.
type fakeView struct {
	*fakePlaces
	self uint32
}

func (v fakeView) Owner(int) (owner, self uint32) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.owner, v.self
}

func (v fakeView) Await(ctx context.Context, part int, was uint32) {
	for ctx.Err() == nil {
		if owner, _ := v.Owner(part); owner != was {
			return
		}
		_ = pause(ctx, 10*time.Millisecond)
	}
}

func (v fakeView) Version() uint64 { return 1 }

func (v fakeView) Alive(slot uint32) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	return !v.dead[slot]
}

// portNode is a node with a port.
type portNode struct {
	port *Port
	host *fakeHost
	bus  *busEnd
}

// newPorts makes two nodes, of which the first owns everything.
func newPorts(t *testing.T) (owner, gateway *portNode, places *fakePlaces) {
	places = &fakePlaces{owner: 1, dead: map[uint32]bool{}}
	bus := &fakeBus{chance: newChance(1), subs: map[*busEnd]map[string]func([]byte){}}
	var nodes [2]*portNode
	for i := range nodes {
		slot := uint32(i + 1)
		n := &portNode{host: newFakeHost(), bus: &busEnd{bus: bus}}
		n.port = NewPort(n.host, n.host, fakeView{places, slot}, PortOptions{Logger: slog.New(slog.DiscardHandler)})
		if err := n.port.Join(n.bus, slot); err != nil {
			t.Fatal(err)
		}
		nodes[i] = n
		t.Cleanup(func() {
			n.port.Leave()
			time.Sleep(time.Second) // frames that are under way
		})
	}
	return nodes[0], nodes[1], places
}

// reader follows a log, as a gateway does.
type reader struct {
	mu  sync.Mutex
	log *host.Log
	pos host.Pos
	got []string
}

// read makes a reader of an actor.
func read(t *testing.T, n *portNode, r host.Ref) *reader {
	t.Helper()
	f := &reader{}
	log, err := n.port.Follow(r, f)
	if err != nil {
		t.Fatal(err)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.log, f.pos = log, log.Visible()
	return f
}

// next returns what has come.
func (f *reader) next() []string {
	time.Sleep(time.Second)
	f.mu.Lock()
	defer f.mu.Unlock()
	got := f.got
	f.got = nil
	return got
}

// Published reads what is new.
func (f *reader) Published() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for f.log != nil {
		outputs, next, ok := f.log.Read(f.pos, nil, 1000)
		if !ok {
			f.pos, _ = f.log.Resume(f.pos)
			f.got = append(f.got, "gap")
			continue
		}
		if len(outputs) == 0 {
			return
		}
		f.pos = next
		for _, o := range outputs {
			s := fmt.Sprintf("%d %s", o.Kind, o.Data)
			if o.Err != nil {
				s = fmt.Sprintf("%d %s", o.Kind, o.Err.Code)
			}
			if !o.To.IsZero() {
				s += fmt.Sprintf(" to %d.%d", o.To.Node, o.To.N)
			}
			f.got = append(f.got, s)
		}
	}
}
