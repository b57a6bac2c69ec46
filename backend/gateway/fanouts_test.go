package gateway

import (
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
)

// followHost counts its followers.
type followHost struct {
	host.Host
	before func(host.Ref) error // is called by Follow; nil for nothing

	mu        sync.Mutex
	follows   int
	followers map[host.Follower]string // and the actor's key
}

func (h *followHost) Follow(ref host.Ref, f host.Follower) (*host.Log, error) {
	h.mu.Lock()
	h.follows++
	h.mu.Unlock()
	if h.before != nil {
		if err := h.before(ref); err != nil {
			return nil, err
		}
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.followers[f] = ref.Key.String()
	return host.NewLog(ref.Key.String(), 1<<10, nil).Log(), nil
}

func (h *followHost) Unfollow(_ host.Ref, f host.Follower) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if _, ok := h.followers[f]; !ok {
		panic("Unfollow without a Follow")
	}
	delete(h.followers, f)
}

func (h *followHost) isFollowing(f host.Follower) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	_, ok := h.followers[f]
	return ok
}

// newFanouts makes the fanouts of a gateway on h, with a worker that releases them.
func newFanouts(t *testing.T, h *followHost) *fanouts {
	h.followers = map[host.Follower]string{}
	g := &Gateway{host: h, queue: newQueue(), log: slog.New(slog.DiscardHandler)}
	g.fanouts = fanouts{g: g, open: map[string]*fanout{}}
	g.workers.Go(func() { g.work(g.queue) })
	t.Cleanup(func() {
		g.queue.close()
		g.workers.Wait()
		g.fanouts.close()
		if len(h.followers) > 0 {
			t.Errorf("%d followers are left", len(h.followers))
		}
	})
	return &g.fanouts
}

func newMember() *channel { return &channel{attachment: host.NextAttachment()} }

func room(key string) host.Ref { return host.Ref{Name: "room", Key: host.Key{key}} }

// within fails the test if f does not return soon.
func within(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() { defer close(done); f() }()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal(what)
	}
}

// TestFanouts_aSlowFollowHoldsUpNobodyElse: while the host is slow to follow one actor,
// channels of other actors join, leave and are served. Further channels of the slow one
// wait for the same Follow.
func TestFanouts_aSlowFollowHoldsUpNobodyElse(t *testing.T) {
	entered, held := make(chan struct{}), make(chan struct{})
	h := &followHost{before: func(ref host.Ref) error {
		if ref.Key[0] == "slow" {
			close(entered)
			<-held
		}
		return nil
	}}
	fs := newFanouts(t, h)
	joined := make(chan error, 3)
	slow := []*channel{newMember(), newMember(), newMember()}
	go func() { joined <- fs.join(room("slow"), slow[0]) }()
	<-entered
	for _, c := range slow[1:] {
		go func() { joined <- fs.join(room("slow"), c) }()
	}
	within(t, "the join of another actor waits for the slow one", func() {
		c := newMember()
		if err := fs.join(room("quick"), c); err != nil {
			t.Error(err)
		}
		c.fanout.leave(c)
		fs.tend()
	})
	close(held)
	within(t, "the joins of the slow actor do not end", func() {
		for range slow {
			if err := <-joined; err != nil {
				t.Error(err)
			}
		}
	})
	if h.follows != 2 {
		t.Errorf("got %d calls of Follow, want one for each actor", h.follows)
	}
	if f := slow[0].fanout; f != slow[1].fanout || f != slow[2].fanout || len(f.channels) != 3 {
		t.Error("the channels of one actor are not in one fanout")
	}
	for _, c := range slow {
		c.fanout.leave(c)
	}
}

// TestFanouts_aFailedFollowIsTriedAgain: every channel that waited gets the error, the
// next one does not.
func TestFanouts_aFailedFollowIsTriedAgain(t *testing.T) {
	down := errors.New("down")
	entered, held := make(chan struct{}), make(chan struct{})
	first := true
	h := &followHost{before: func(host.Ref) error {
		if !first {
			return nil
		}
		first = false
		close(entered)
		<-held
		return down
	}}
	fs := newFanouts(t, h)
	joined := make(chan error, 2)
	go func() { joined <- fs.join(room("a"), newMember()) }()
	<-entered
	f, isNew := fs.enter(room("a"))
	if isNew {
		t.Fatal("the second channel does not find the fanout of the first")
	}
	close(held)
	<-f.followed
	if err := <-joined; !errors.Is(err, down) || !errors.Is(f.err, down) {
		t.Errorf("got %v and %v, want the error of Follow", err, f.err)
	}
	c := newMember()
	if err := fs.join(room("a"), c); err != nil {
		t.Errorf("the next one: got %v", err)
	}
	c.fanout.leave(c)
}

// TestFanouts_joinsRaceWithReleases: a channel that joins while the fanout is released
// because its last channel left gets another fanout.
func TestFanouts_joinsRaceWithReleases(t *testing.T) {
	h := &followHost{}
	fs := newFanouts(t, h)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 3000 {
				c := newMember()
				if err := fs.join(room(fmt.Sprint(rand.IntN(2))), c); err != nil {
					t.Error(err)
					return
				}
				if !h.isFollowing(c.fanout) {
					t.Error("a channel has joined a fanout that follows nothing")
					return
				}
				c.fanout.leave(c)
			}
		})
	}
	wait.Wait()
}
