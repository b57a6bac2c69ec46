package runtime_test

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// poisoner sends a message whose handler ends the process, and good ones behind it.
type poisoner struct {
	Eaten []string `json:"eaten"`
}

type dish struct {
	Name string `json:"name"`
}

var onPoison atomic.Pointer[func()]

func (p *poisoner) Serve(c *nothing, to string, names []string) {
	for _, name := range names {
		c.Send(actor.Of("poisoner", to), dish{name})
	}
}

func (p *poisoner) dish(c *nothing, m dish) error {
	if m.Name == "poison" {
		(*onPoison.Load())()
	}
	if m.Name == "stuck" {
		<-(*hangPoison.Load())
	}
	p.Eaten = append(p.Eaten, m.Name)
	return nil
}

func (p poisoner) Get(*nothing) []string { return p.Eaten }

var hangPoison atomic.Pointer[chan struct{}]

var poisoners = actor.NewRegistry(actor.Define[poisoner]("poisoner", actor.Handles((*poisoner).dish), actor.WithOptions(actor.Options{ActionTimeout: time.Second})))

// A message to another actor that ends the process does so three times at most, and those
// behind it arrive.
func TestG12_AMessageThatEndsTheProcess(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk := memory.New(memory.Options{})
		b := &bench{t: t, reg: poisoners}
		die := func() { b.store.(*dyingStore).dead.Store(true) }
		onPoison.Store(&die)
		deaths := 0
		for i := range 6 {
			b.store = &dyingStore{Store: disk, unclean: i > 0}
			b.start()
			if i == 0 {
				call(t, b.node, host.Ref{Name: "poisoner", Key: host.Key{"a"}}, "serve", "b", []string{"soup", "poison", "cake"})
			}
			time.Sleep(10 * time.Minute)
			if b.store.(*dyingStore).dead.Load() {
				deaths++
			} else if got := string(call(t, b.node, host.Ref{Name: "poisoner", Key: host.Key{"b"}}, "get")); got != `["soup","cake"]` {
				t.Errorf("the receiver got %s", got)
			}
			b.stop()
		}
		if deaths != 3 {
			t.Errorf("the process died %d times, want 3", deaths)
		}
		snap, err := disk.Load(t.Context(), host.ActorID("poisoner", host.Key{"a"}))
		if err != nil || len(snap.Messages) != 1 || snap.Messages[0].Parked == "" {
			t.Errorf("the sender has %+v, %v; want the poison, parked", snap.Messages, err)
		}
	})
}

// A message whose handler does not return is given up after three times.
func TestG12_AMessageWhoseHandlerDoesNotReturn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk := memory.New(memory.Options{})
		b := newBench(t, disk, poisoners)
		hang := make(chan struct{})
		hangPoison.Store(&hang)
		defer close(hang)
		call(t, b.node, host.Ref{Name: "poisoner", Key: host.Key{"a"}}, "serve", "b", []string{"soup", "stuck", "cake"})
		time.Sleep(time.Hour)
		if got := string(call(t, b.node, host.Ref{Name: "poisoner", Key: host.Key{"b"}}, "get")); got != `["soup","cake"]` {
			t.Errorf("the receiver got %s", got)
		}
		if n := b.node.Stats().Abandoned; n != 3 {
			t.Errorf("%d turns were abandoned, want 3", n)
		}
	})
}
