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

// followHost can be followed, and counts who does.
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

// newFeeds makes the feeds of a gateway on h, with a worker that releases them.
func newFeeds(t *testing.T, h *followHost) *feeds {
	h.followers = map[host.Follower]string{}
	g := &Gateway{host: h, drains: newQueue(), log: slog.New(slog.DiscardHandler)}
	g.feeds = feeds{g: g, open: map[string]*feed{}}
	g.workers.Go(func() { g.work(g.drains) })
	t.Cleanup(func() {
		g.drains.close()
		g.workers.Wait()
		g.feeds.close()
		if len(h.followers) > 0 {
			t.Errorf("%d followers are left", len(h.followers))
		}
	})
	return &g.feeds
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

// TestFeeds_aSlowFollowHoldsUpNobodyElse: while the host takes its time to follow one
// actor, channels of others join, leave and are looked after. Who joins the slow one
// meanwhile waits for the same Follow.
func TestFeeds_aSlowFollowHoldsUpNobodyElse(t *testing.T) {
	entered, hold := make(chan struct{}), make(chan struct{})
	h := &followHost{before: func(ref host.Ref) error {
		if ref.Key[0] == "slow" {
			close(entered)
			<-hold
		}
		return nil
	}}
	fs := newFeeds(t, h)
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
		c.feed.leave(c)
		fs.tend()
	})
	close(hold)
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
	if f := slow[0].feed; f != slow[1].feed || f != slow[2].feed || len(f.channels) != 3 {
		t.Error("the channels of one actor are not in one feed")
	}
	for _, c := range slow {
		c.feed.leave(c)
	}
}

// TestFeeds_aFailedFollowIsTriedAgain: all who waited get the error, the next one does
// not.
func TestFeeds_aFailedFollowIsTriedAgain(t *testing.T) {
	down := errors.New("down")
	entered, hold := make(chan struct{}), make(chan struct{})
	first := true
	h := &followHost{before: func(host.Ref) error {
		if !first {
			return nil
		}
		first = false
		close(entered)
		<-hold
		return down
	}}
	fs := newFeeds(t, h)
	joined := make(chan error, 2)
	go func() { joined <- fs.join(room("a"), newMember()) }()
	<-entered
	f, isNew := fs.enter(room("a"))
	if isNew {
		t.Fatal("the second one does not find the feed of the first")
	}
	close(hold)
	<-f.followed
	if err := <-joined; !errors.Is(err, down) || !errors.Is(f.err, down) {
		t.Errorf("got %v and %v, want the error of Follow", err, f.err)
	}
	c := newMember()
	if err := fs.join(room("a"), c); err != nil {
		t.Errorf("the next one: got %v", err)
	}
	c.feed.leave(c)
}

// TestFeeds_joinsRaceWithReleases: a feed that is given up because its last channel has
// left is never that of a channel that joins at that moment.
func TestFeeds_joinsRaceWithReleases(t *testing.T) {
	h := &followHost{}
	fs := newFeeds(t, h)
	var wait sync.WaitGroup
	for range 8 {
		wait.Go(func() {
			for range 3000 {
				c := newMember()
				if err := fs.join(room(fmt.Sprint(rand.IntN(2))), c); err != nil {
					t.Error(err)
					return
				}
				if !h.isFollowing(c.feed) {
					t.Error("a channel has joined a feed that follows nothing")
					return
				}
				c.feed.leave(c)
			}
		})
	}
	wait.Wait()
}
