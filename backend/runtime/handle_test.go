package runtime_test

import (
	"context"
	"encoding/json"
	goruntime "runtime"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// A message whose handler keeps failing is tried ten times, then parked; it is tried no more.
func TestAMessageIsParked(t *testing.T) {
	actortest.Run(t, planners, func(n *actortest.Node) {
		plannerRuns.clear()
		a := n.Actor("planner", "parked")
		actortest.Call[any](a, "break", 1)
		id := plan(a, planned{Text: "x", In: 60_000, Name: "one"})
		other := plan(a, planned{Text: "panic", In: 60_000})
		time.Sleep(61 * time.Second)
		if got := plannerRuns.get(string(id)); got < 1 {
			t.Error("it did not run at its time")
		}
		time.Sleep(14 * time.Minute)
		for _, id := range []actor.MessageID{id, other} {
			if got := plannerRuns.get(string(id)); got != 10 {
				t.Errorf("message %s ran %d times, want 10", id, got)
			}
		}
		n.Restart()
		time.Sleep(24 * time.Hour)
		if got := plannerRuns.get(string(id)); got != 10 {
			t.Errorf("message %s ran %d times, want 10", id, got)
		}
		got := getPlanned(a)
		if len(got) != 2 || !strings.Contains(got[0], "named one parked: 10 to go") || !strings.Contains(got[1], "parked: ") {
			t.Errorf("got %q", got)
		}
		actortest.Call[any](a, "break", 0)
		plan(a, planned{Text: "instead", In: 60_000, Name: "one"})
		if !actortest.Call[bool](a, "cancel", other) {
			t.Error("a parked message cannot be canceled")
		}
		time.Sleep(2 * time.Minute)
		wantList(t, "scheduled", getPlanned(a))
		wantList(t, "ran", getRan(a), "instead")
	})
}

// The waits between tries double up to 5 min, each with chance (full jitter).
func TestTriesWaitLonger(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, planners)
		var sums [9]time.Duration
		const actors = 40
		for i := range actors {
			ref := host.Ref{Name: "planner", Key: host.Key{"tries", string(rune('A' + i))}}
			call(t, b.node, ref, "break", 1)
			call(t, b.node, ref, "plan", planned{Text: "x", In: 1000})
		}
		plannerTries.start()
		time.Sleep(time.Hour)
		for _, tries := range plannerTries.stop() {
			if len(tries) != 10 {
				t.Fatalf("%d tries, want 10", len(tries))
			}
			for i := range 9 {
				wait := tries[i+1].Sub(tries[i])
				if bound := min(time.Second<<i, 5*time.Minute); wait > bound+time.Millisecond {
					t.Errorf("wait %d: %s, want at most %s", i+1, wait, bound)
				}
				sums[i] += wait
			}
		}
		for i, sum := range sums {
			mean, bound := sum/actors, min(time.Second<<i, 5*time.Minute)
			if mean < bound/4 || mean > bound*3/4 {
				t.Errorf("wait %d: %s on average, want about half of %s", i+1, mean, bound)
			}
		}
	})
}

// A message that this binary cannot handle is parked, and runs when one can.
func TestAMessageWithoutAHandler(t *testing.T) {
	without := actor.NewRegistry(actor.Define[planner]("planner", actor.Emits[note]()))
	newer := actor.NewRegistry(actor.Define[planner]("planner", actor.Emits[note](), actor.Handles((*planner).remind), actor.Version(1)))
	for _, first := range []*actor.Registry{planners, newer} {
		actortest.Run(t, first, func(n *actortest.Node) {
			a := n.Actor("planner", "unknown")
			plan(a, planned{Text: "x", In: 60_000})
			if first == planners {
				n.Deploy(without)
				time.Sleep(time.Hour)
				got := getPlanned(a)
				if len(got) != 1 || !strings.Contains(got[0], `parked: not handled: "planner" has no handler of messages of type "remind"`) {
					t.Errorf("got %q", got)
				}
			} else {
				n.Deploy(planners) // which leaves the actor alone
				time.Sleep(time.Hour)
			}
			n.Deploy(first)
			c := a.Connect(nil)
			time.Sleep(6 * time.Minute)
			wantList(t, "ran", getRan(c), "x")
			wantList(t, "scheduled", getPlanned(c))
		})
	}
}

// A handler that does not return is abandoned three times, then its message is parked.
func TestAMessageWhoseTurnDoesNotReturn(t *testing.T) {
	actortest.Run(t, stickers, func(n *actortest.Node) {
		release := hold(t, "sticker.stick")
		a := n.Actor("sticker", "a")
		for _, how := range []string{"hang", "exit"} {
			stickerRuns.Store(0)
			actortest.Call[any](a, "stickTo", how)
			time.Sleep(10 * time.Minute)
			if got := stickerRuns.Load(); got != 3 {
				t.Errorf("%s: ran %d times, want 3", how, got)
			}
			release() // Restart waits for it
			n.Restart()
			time.Sleep(10 * time.Minute)
			if got := stickerRuns.Load(); got != 3 {
				t.Errorf("%s: after a restart it ran %d times, want 3", how, got)
			}
		}
		if got := actortest.Call[int](a, "getParked"); got != 2 {
			t.Errorf("%d messages are parked, want 2", got)
		}
	})
}

// sticker has a message whose handler does not return, or ends the process.
type sticker struct{ N int }

type stickMessage struct{ How string }

var (
	stickerRuns atomic.Int64
	onDie       atomic.Pointer[func()]
	stickers    = actor.NewRegistry(actor.Define[sticker]("sticker", actor.Handles((*sticker).stick),
		actor.WithOptions(actor.Options{ActionTimeout: time.Second})))
)

func (s *sticker) StickTo(c *nothing, how string) {
	s.N++
	c.Schedule(c.Now().Add(time.Minute), stickMessage{how})
}

func (s sticker) GetParked(c *nothing) (n int) {
	for m := range c.Scheduled() {
		if m.Parked != "" {
			n++
		}
	}
	return n
}

func (s *sticker) stick(_ *nothing, m stickMessage) error {
	stickerRuns.Add(1)
	switch m.How {
	case "hang":
		stick("sticker.stick")
	case "exit":
		goruntime.Goexit()
	case "die":
		(*onDie.Load())()
	}
	return nil
}

// dyingStore is the store of a process that can be killed: from then on it takes nothing.
type dyingStore struct {
	store.Store
	dead    atomic.Bool
	unclean bool
}

func (s *dyingStore) Unclean() bool { return s.unclean }

func (s *dyingStore) Commit(ctx context.Context, group []*store.Commit) []error {
	if s.dead.Load() {
		errs := make([]error, len(group))
		for i := range errs {
			errs[i] = store.ErrConflict
		}
		return errs
	}
	return s.Store.Commit(ctx, group)
}

func (s *dyingStore) Load(ctx context.Context, id string) (*store.Snapshot, error) {
	if s.dead.Load() {
		return nil, errDisk
	}
	return s.Store.Load(ctx, id)
}

// A message whose handler ends the process is parked after three processes, and others are
// not: interplay of G11 with crashes.
func TestG11_AMessageThatEndsTheProcess(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		disk := memory.New(memory.Options{})
		ref := host.Ref{Name: "sticker", Key: host.Key{"a"}}
		b := &bench{t: t, reg: stickers}
		die := func() { b.store.(*dyingStore).dead.Store(true) }
		onDie.Store(&die)
		deaths := 0
		for i := range 6 {
			b.store = &dyingStore{Store: disk, unclean: i > 0}
			b.start()
			if i == 0 {
				call(t, b.node, ref, "stickTo", "die")
				call(t, b.node, ref, "stickTo", "work")
			}
			stickerRuns.Store(0)
			time.Sleep(2 * time.Minute)
			if b.store.(*dyingStore).dead.Load() {
				deaths++
			}
			b.stop()
		}
		if deaths != 3 {
			t.Errorf("the process died %d times, want 3", deaths)
		}
		snap, err := disk.Load(t.Context(), host.ActorID(ref.Name, ref.Key))
		if err != nil || len(snap.Messages) != 1 || snap.Messages[0].Parked == "" || snap.Messages[0].Tries != 0 {
			t.Errorf("got messages %+v, %v", snap.Messages, err)
		}
	})
}

// While the store fails, a handler does not run again and again.
func TestMessagesWaitWhileTheStoreFails(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &refusingCommits{Store: memory.New(memory.Options{})}
		b := newBench(t, s, planners)
		plannerRuns.clear()
		ref := host.Ref{Name: "planner", Key: host.Key{"held"}}
		id := call(t, b.node, ref, "plan", planned{Text: "x", In: 60_000})
		s.refuse.Store(true)
		time.Sleep(11 * time.Minute)
		var text string
		_ = json.Unmarshal(id, &text)
		if got := plannerRuns.get(text); got < 10 || got > 25 {
			t.Errorf("the handler ran %d times in 10 min, want about 20", got)
		}
		s.refuse.Store(false)
		time.Sleep(time.Minute)
		if got := string(call(t, b.node, ref, "getRan")); got != `["x"]` {
			t.Errorf("ran %s when the store worked again", got)
		}
	})
}

// refusingCommits is a store that is full at times.
type refusingCommits struct {
	store.Store
	refuse atomic.Bool
}

func (s *refusingCommits) Commit(ctx context.Context, group []*store.Commit) []error {
	if !s.refuse.Load() {
		return s.Store.Commit(ctx, group)
	}
	errs := make([]error, len(group))
	for i := range errs {
		errs[i] = store.ErrFull
	}
	return errs
}

func TestParkedMessagesAreCounted(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, planners)
		want := func(when string, n int) {
			t.Helper()
			synctest.Wait()
			if got := b.node.Stats().ParkedMessages; got != n {
				t.Errorf("%s: %d messages are parked, want %d", when, got, n)
			}
		}
		ref := host.Ref{Name: "planner", Key: host.Key{"counted"}}
		other := host.Ref{Name: "planner", Key: host.Key{"other"}}
		call(t, b.node, ref, "plan", planned{Text: "panic", Times: 2})
		call(t, b.node, other, "plan", planned{Text: "panic", Name: "one"})
		time.Sleep(time.Hour)
		want("after an hour", 3)
		b.restart()
		want("after a restart", 3)
		call(t, b.node, other, "cancelNamed", "one")
		want("when one is canceled", 2)
		time.Sleep(time.Hour)
		b.restart()
		want("after another restart", 2)
	})
}

// call calls an action and returns its result.
func call(t testing.TB, n *runtime.Node, ref host.Ref, action string, args ...any) json.RawMessage {
	t.Helper()
	c := host.DirectCall{Create: true, Action: action}
	for _, a := range args {
		c.Args = append(c.Args, json.RawMessage(marshal(t, a)))
	}
	result, err := n.CallOnce(t.Context(), ref, c)
	if err != nil {
		t.Fatalf("%s: %v", action, err)
	}
	return result
}
