package runtime_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// agenda has a message for each number, and one that repeats.
type agenda struct {
	Ran   map[int]int `json:"ran"`   // how often the messages took effect
	Ticks []time.Time `json:"ticks"` // when the one that repeats was due
	Early int         `json:"early"` // how many ran before their time
}

type appointment struct {
	N     int `json:"n"`
	Fails int `json:"fails"` // how often its handler fails
}

type tick struct{}

var appointmentRuns counts // of the handler, by the message's id

func (a *agenda) OnStart(c *nothing) { c.Repeat("tick", actor.Interval(10*time.Second), tick{}) }

func (a *agenda) Plan(c *nothing, n, ms, fails int) actor.MessageID {
	return c.Schedule(c.Now().Add(time.Duration(ms)*time.Millisecond), appointment{n, fails})
}

func (a *agenda) Cancel(c *nothing, id actor.MessageID) bool { return c.Cancel(id) }
func (a agenda) Get(*nothing) agenda                         { return a }

func (a *agenda) appointment(c *nothing, m appointment) error {
	if a.Ran == nil {
		a.Ran = map[int]int{}
	}
	a.Ran[m.N]++
	if c.Now().Before(c.Due()) {
		a.Early++
	}
	c.Broadcast(note{fmt.Sprint(m.N)})
	if runs := appointmentRuns.add(string(c.MessageID())); runs <= m.Fails {
		if runs%2 == 0 {
			panic("as asked")
		}
		return errors.New("as asked")
	}
	return nil
}

func (a *agenda) tick(c *nothing, _ tick) error {
	if a.Ticks = append(a.Ticks, c.Due()); len(a.Ticks) > 300 {
		c.CancelNamed("tick") // the test fails; it would not end if each of them repeated
	}
	return nil
}

func agendas() *actor.Registry {
	return actor.NewRegistry(actor.Define[agenda]("agenda", actor.Emits[note](), actor.Handles((*agenda).appointment), actor.Handles((*agenda).tick),
		actor.WithOptions(actor.Options{IdleAfter: 5 * time.Second})))
}

// mortal is a store that a node can no longer use once it is dead, as if its process had
// been killed.
type mortal struct {
	unreliable
	dead    atomic.Bool
	unclean bool
}

func (s *mortal) Unclean() bool { return s.unclean }

func (s *mortal) Commit(ctx context.Context, group []*store.Commit) []error {
	errs := make([]error, len(group))
	for i := range group {
		if s.dead.Load() { // also in the middle of a group
			errs[i] = store.ErrConflict
		} else if one := s.unreliable.Commit(ctx, group[i:i+1]); one != nil {
			errs[i] = one[0]
		}
	}
	return errs
}

func (s *mortal) Load(ctx context.Context, id string) (*store.Snapshot, error) {
	if s.dead.Load() {
		return nil, store.ErrConflict
	}
	return s.Store.Load(ctx, id)
}

// office is a node with agendas on a store.
type office struct {
	t       *testing.T
	chance  *luck
	open    func() store.Store
	stored  store.Store
	store   *mortal
	node    *runtime.Node
	resets  uint64
	crashes int
}

func (o *office) start(unclean, bad bool) {
	o.store = &mortal{unreliable: unreliable{Store: o.stored, chance: o.chance.IntN}, unclean: unclean}
	o.store.bad.Store(bad)
	o.node = runtime.New(agendas(), o.store, runtime.Options{Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
}

func (o *office) stop() {
	o.resets += o.node.Stats().Resets
	if err := o.node.Shutdown(context.Background()); err != nil {
		o.t.Error(err)
	}
}

func (o *office) close() {
	if s, ok := o.stored.(*sqlite.Store); ok {
		if err := s.Close(); err != nil {
			o.t.Error(err)
		}
	}
}

// replace ends the node, in order or not, and starts another one after some time.
func (o *office) replace() {
	bad, unclean := o.store.bad.Load(), false
	if o.chance.IntN(2) == 0 {
		o.store.dead.Store(true) // what it has not stored is lost
		o.crashes++
		unclean = o.crashes <= 2 // the third time parks a message that was about to run
		o.stop()
	} else {
		o.stop()
		o.close()
		o.stored = o.open()
	}
	time.Sleep(time.Duration(o.chance.IntN(30)) * time.Second)
	o.start(unclean, bad)
}

func (o *office) call(ref host.Ref, into any, action string, args ...any) error {
	r := host.DirectCall{Create: true, Action: action}
	for _, a := range args {
		r.Args = append(r.Args, []byte(marshal(o.t, a)))
	}
	raw, err := o.node.CallOnce(context.Background(), ref, r)
	if err == nil && len(raw) > 0 && into != nil {
		err = json.Unmarshal(raw, into)
	}
	return err
}

// Messages whose Schedule was accepted take effect exactly once, others never, though
// commits fail in three ways, nodes are replaced and killed, and handlers fail.
func TestG11_ScheduledMessagesTakeEffectOnce(t *testing.T) {
	resets, crashes := uint64(0), 0
	onStores(t, func(t *testing.T, open func() store.Store, _ string, seed uint64) {
		appointmentRuns.clear()
		o := &office{t: t, chance: newLuck(seed, 11), open: open, stored: open()}
		o.start(false, true)
		refs := []host.Ref{{Name: "agenda", Key: host.Key{"a"}}, {Name: "agenda", Key: host.Key{"b"}}}
		type planned struct {
			ref  int
			id   actor.MessageID
			want int // how often it takes effect
		}
		plans := map[int]*planned{}
		for n := range 60 {
			p := &planned{ref: o.chance.IntN(2)}
			if o.call(refs[p.ref], &p.id, "plan", n, o.chance.IntN(60_000), o.chance.IntN(3)) == nil {
				p.want = 1
			}
			plans[n] = p
			if c := plans[o.chance.IntN(n+1)]; c.want == 1 && o.chance.IntN(6) == 0 {
				canceled := false
				if o.call(refs[c.ref], &canceled, "cancel", c.id) == nil && canceled {
					c.want = 0
				}
			}
			time.Sleep(time.Duration(o.chance.IntN(2000)) * time.Millisecond)
			if o.chance.IntN(12) == 0 {
				o.replace()
			}
		}
		o.store.bad.Store(false)
		time.Sleep(20 * time.Minute)
		var got [2]agenda
		for i, ref := range refs {
			if err := o.call(ref, &got[i], "get"); err != nil {
				t.Fatal(err)
			}
			if got[i].Early > 0 {
				t.Errorf("%d messages ran before their time", got[i].Early)
			}
			if !slices.IsSortedFunc(got[i].Ticks, time.Time.Compare) || len(slices.Compact(slices.Clone(got[i].Ticks))) != len(got[i].Ticks) || len(got[i].Ticks) < 115 || len(got[i].Ticks) > 300 {
				t.Errorf("the message that repeats was due %d times: %v", len(got[i].Ticks), got[i].Ticks)
			}
		}
		for n, p := range plans {
			if ran := got[p.ref].Ran[n]; ran != p.want {
				t.Errorf("message %d took effect %d times, want %d (its handler ran %d times)", n, ran, p.want, appointmentRuns.get(string(p.id)))
			}
		}
		o.stop()
		o.close()
		resets += o.resets
		crashes += o.crashes
	})
	t.Log(resets, "resets,", crashes, "crashes")
}
