package runtime_test

import (
	"context"
	"log/slog"
	"slices"
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
	"github.com/troupe-dev/troupe/backend/wire"
)

// owner is a node of a cluster that owns all partitions, or none.
type owner struct {
	*runtime.Node
	mu    sync.Mutex
	since time.Time // zero: it owns none
}

func newOwner(t *testing.T, s store.Store, reg *actor.Registry, courier ...host.Courier) *owner {
	o := &owner{}
	o.Node = runtime.New(reg, s, runtime.Options{Logger: slog.New(slog.DiscardHandler), Courier: append(courier, nil)[0], Owns: func(int) (time.Time, bool) {
		o.mu.Lock()
		defer o.mu.Unlock()
		return o.since, !o.since.IsZero()
	}})
	t.Cleanup(func() { _ = o.Shutdown(context.Background()) })
	return o
}

func (o *owner) own(since time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.since = since
}

// adopt gives the node all partitions; unclean as if their owner before had died.
func (o *owner) adopt(unclean bool) {
	doubted := time.Time{}
	if unclean {
		doubted = time.Now()
	}
	o.inherit(doubted)
}

// inherit gives the node all partitions, as if an owner had died and messages up to a time may be why.
func (o *owner) inherit(doubted time.Time) {
	o.own(time.Now())
	for part := range store.Partitions {
		runtime.PartitionsOf(o.Node).Adopt(part, doubted)
	}
}

// die takes all partitions from the node as if it had died: it takes nothing back.
func (o *owner) die() {
	o.own(time.Time{})
	runtime.PartitionsOf(o.Node).Reset(allPartitions())
}

func allPartitions() (parts []int) {
	for part := range store.Partitions {
		parts = append(parts, part)
	}
	return parts
}

// release takes all partitions from the node. It fails if that takes longer than a second.
func (o *owner) release(t *testing.T) {
	t.Helper()
	o.own(time.Time{})
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := runtime.PartitionsOf(o.Node).Release(ctx, allPartitions()); err != nil {
		t.Error(err)
	}
}

// A node counts the messages of each partition that it takes over from a dead node. It does not
// count those of partitions that another node gave it.
func TestG12_MessagesAreDoubtedAfterTheirOwnerDied(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		onMayflyStart(func(*nothing) error { return nil })
		b := host.ActorID("mayfly", host.Key{"b"})
		s := &refusingLoads{Store: memory.New(memory.Options{}), bad: map[string]bool{b: true}}
		o := newOwner(t, s, mayflies)
		want := func(when string, fatal int) {
			t.Helper()
			time.Sleep(10 * time.Minute)
			snap, err := s.Load(t.Context(), host.ActorID("mayfly", host.Key{"a"}))
			if err != nil || len(snap.Messages) != 1 || snap.Messages[0].Fatal != fatal {
				t.Errorf("%s: the sender has %+v, %v, want one message that is counted %d times", when, snap.Messages, err, fatal)
			}
		}
		o.adopt(false)
		call(t, o.Node, mayflyRef("a"), "post", "b")
		want("at first", 0)
		o.release(t)
		o.adopt(true)
		want("after a death", 1)
		o.die()
		o.adopt(true)
		want("after another death", 2)
	})
}

// lostCourier reaches nobody. That is because a node has died, for some times at first.
type lostCourier struct {
	host.Courier
	deaths atomic.Int64
}

func (c *lostCourier) Deliver(_ *host.Delivery, answered func([]host.DeliveryAnswer, error)) {
	if c.deaths.Add(-1) >= 0 {
		answered(nil, host.ErrReceiverDied)
		return
	}
	answered(nil, host.Faultf(wire.CodeUnavailable, "it is away"))
}

// That an owner has died is counted once if the partition moves on soon: by its new owner, which takes
// back what the one before has counted, and in none of the messages sent since. That the receiver's
// owner dies meanwhile is counted, too.
func TestG12_ADeathIsCountedOnceIfThePartitionMovesOn(t *testing.T) {
	for name, died := range map[string]int{"the receiver is there": 0, "the receiver's node dies": 1} {
		inBubble(t, func(t *testing.T) {
			onMayflyStart(func(*nothing) error { return nil })
			b := host.ActorID("mayfly", host.Key{"b"})
			s := &refusingLoads{Store: memory.New(memory.Options{}), bad: map[string]bool{b: true}}
			courier := &lostCourier{}
			courier.deaths.Store(int64(died))
			nodes := []*owner{newOwner(t, s, mayflies), newOwner(t, s, mayflies, courier), newOwner(t, s, mayflies)}
			want := func(when string, fatal ...int) {
				t.Helper()
				time.Sleep(10 * time.Minute) // it waits longer and longer between tries
				snap, err := s.Load(t.Context(), host.ActorID("mayfly", host.Key{"a"}))
				var got []int
				for _, m := range snap.Messages {
					got = append(got, m.Fatal)
				}
				if err != nil || !slices.Equal(got, fatal) {
					t.Errorf("%s, %s: the sender's messages are counted %d times, %v, want %d", name, when, got, err, fatal)
				}
			}
			nodes[0].adopt(false)
			call(t, nodes[0].Node, mayflyRef("a"), "post", "b")
			want("at first", 0)
			nodes[0].die()
			at := time.Now()
			nodes[1].adopt(true)
			want("after its owner's death", 1+died)
			call(t, nodes[1].Node, mayflyRef("a"), "post", "b")
			nodes[1].release(t)
			want("given away", died, 0)
			nodes[2].inherit(at)
			want("of the next owner", 1+died, 0)
		})
	}
}

// A node counts the parked messages of the partitions that it has.
func TestParkedMessagesAreCountedByTheirOwner(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := memory.New(memory.Options{})
		nodes := []*owner{newOwner(t, s, planners), newOwner(t, s, planners)}
		want := func(when string, counts ...int) {
			t.Helper()
			time.Sleep(time.Minute)
			for i, n := range counts {
				if got := nodes[i].Stats().ParkedMessages; got != n {
					t.Errorf("%s: node %d counts %d, want %d", when, i, got, n)
				}
			}
		}
		nodes[0].adopt(false)
		call(t, nodes[0].Node, host.Ref{Name: "planner", Key: host.Key{"counted"}}, "plan", planned{Text: "panic", Times: 2})
		time.Sleep(time.Hour)
		want("after an hour", 2, 0)
		nodes[0].release(t)
		nodes[1].adopt(false)
		want("on the other node", 0, 2)
		nodes[1].own(time.Time{})
		runtime.PartitionsOf(nodes[1].Node).Reset(allPartitions())
		nodes[0].adopt(true)
		want("after that has lost it", 2, 0)
	})
}

// Release returns although the node shuts down, and a partition that is given away runs no more
// messages.
func TestReleaseDoesNotWaitForAnEnd(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		o := newOwner(t, memory.New(memory.Options{}), dawdlers)
		o.adopt(false)
		ref := host.Ref{Name: "dawdler", Key: host.Key{"a"}}
		call(t, o.Node, ref, "plan", time.Now().Add(time.Second), 1) // 20 messages of a second each
		time.Sleep(1500 * time.Millisecond)                          // the first one runs
		start := time.Now()
		var down sync.WaitGroup
		down.Go(func() { _ = o.Shutdown(context.Background()) })
		synctest.Wait()
		o.release(t)
		if took := time.Since(start); took > time.Second {
			t.Errorf("it took %v, want the rest of the message that ran", took)
		}
		down.Wait()
	})
}
