package runtime_test

import (
	"context"
	"fmt"
	"math"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
	"github.com/troupe-dev/troupe/backend/store/storetest"
)

// connected returns how many actors have connections stored.
func connected(b *bench) (n int) {
	b.t.Helper()
	if err := b.store.Connected(b.t.Context(), store.AllPartitions, func(string) bool { n++; return true }); err != nil {
		b.t.Fatal(err)
	}
	return n
}

func clubsWith(o actor.Options) *actor.Registry {
	return actor.NewRegistry(actor.Define[club]("club", actor.Emits[diaryEvent](), actor.WithOptions(o)))
}

// Nobody asks for the actor meanwhile: it has to wake up by itself, each time.
func TestConnectionsExpireIndependently(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, clubs)
		bob := b.open(clubRef, as("bob"))
		for i, name := range []string{"ada", "carol", "dave"} {
			r := b.open(clubRef, as(name))
			r.read()
			time.Sleep(time.Duration(i) * time.Minute) // at 0, 1 and 3 minutes
			b.node.Detach(clubRef, r.req.Attachment)
			bob.read()
		}
		for range 5 { // what bob has read may leave the memory
			time.Sleep(time.Minute + time.Second)
			bob.read()
		}
		var got []string
		for _, o := range bob.read() {
			if strings.Contains(string(o.Data), "bye") {
				got = append(got, fmt.Sprint(string(o.Data), " at ", time.UnixMilli(o.TimeMs).Sub(b.started)))
			}
		}
		want := `{"line":"bye ada"} at 2m0s, {"line":"bye carol"} at 3m0s, {"line":"bye dave"} at 5m0s`
		if s := strings.Join(got, ", "); s != want {
			t.Errorf("got %s,\nwant %s", s, want)
		}
	})
}

func TestAfterARestartConnectionsEndByTheirOwnActorsWindow(t *testing.T) {
	reg := actor.NewRegistry(
		actor.Define[club]("club", actor.Emits[diaryEvent](), actor.WithOptions(actor.Options{ResumeWindow: time.Minute})),
		actor.Define[attic]("attic", actor.WithOptions(actor.Options{ResumeWindow: 24 * time.Hour})))
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, reg)
		b.open(clubRef, as("ada")).read()
		b.open(host.Ref{Name: "attic", Key: host.Key{"a"}}, as("bob")).read()
		b.restart()
		at := time.Now()
		for _, test := range []struct {
			after time.Duration
			want  int
		}{{time.Minute - time.Second, 2}, {time.Minute + time.Second, 1}, {24*time.Hour - time.Second, 1}, {24*time.Hour + time.Second, 0}} {
			time.Sleep(test.after - time.Since(at))
			if got := connected(b); got != test.want {
				t.Errorf("%s after the restart %d actors have connections, want %d", test.after, got, test.want)
			}
		}
	})
}

func TestAfterARestartConnectionsEndThoughTheStoreFailsAtFirst(t *testing.T) {
	for _, what := range []string{"listing", "loading"} {
		t.Run(what+" fails", func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				s := &troubledStore{Store: memory.New(memory.Options{})}
				b := newBench(t, s, clubs)
				b.open(clubRef, as("ada")).read()
				b.restart()
				time.Sleep(time.Minute)
				s.broken.Store(true)
				s.lists.Store(what == "loading")
				time.Sleep(10 * time.Minute)
				s.broken.Store(false)
				if got := connected(b); got != 1 {
					t.Fatalf("%d actors have connections while the store fails, want 1", got)
				}
				time.Sleep(time.Minute + time.Second)
				if got := connected(b); got != 0 {
					t.Errorf("%d actors have connections a minute after the store works again, want none", got)
				}
			})
		})
	}
}

// crowdedStore takes a second to load, and counts how many do at a time.
type crowdedStore struct {
	store.Store
	now, most, all atomic.Int64
}

func (s *crowdedStore) Load(ctx context.Context, id string) (*store.Snapshot, error) {
	s.all.Add(1)
	if n := s.now.Add(1); n > s.most.Load() {
		s.most.Store(n)
	}
	time.Sleep(time.Second)
	s.now.Add(-1)
	return s.Store.Load(ctx, id)
}

// A start must not load all actors at once.
func TestAfterARestartFewActorsAreWokenAtATime(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		s := &crowdedStore{Store: memory.New(memory.Options{})}
		b := newBench(t, s, clubs)
		for i := range 100 {
			b.open(host.Ref{Name: "club", Key: host.Key{fmt.Sprint(i)}}, as("ada")).read()
		}
		time.Sleep(time.Second)
		b.restart()
		s.most.Store(0)
		s.all.Store(0)
		time.Sleep(5 * time.Minute)
		if most, all := s.most.Load(), s.all.Load(); most != 16 || all != 100 {
			t.Errorf("%d actors were loaded, at most %d at a time, want 100 and 16", all, most)
		}
		if got := connected(b); got != 0 {
			t.Errorf("%d actors still have connections", got)
		}
	})
}

// Each end is a commit: a crowd that leaves must not run ahead without bounds.
func TestConnectionsExpireWithinTheBoundsOfTheGate(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		held := storetest.Held(memory.New(memory.Options{}))
		held.ReleaseAll()
		b := newBench(t, held, clubsWith(actor.Options{MaxRunAhead: 10}))
		t.Cleanup(held.ReleaseAll)
		var crowd []*reader
		for i := range 200 {
			crowd = append(crowd, b.open(clubRef, as(fmt.Sprint(i))))
		}
		advance()
		for _, r := range crowd {
			b.node.Detach(clubRef, r.req.Attachment)
		}
		time.Sleep(time.Minute)
		held.HoldAgain()
		time.Sleep(70 * time.Second)
		held.Release(1)
		time.Sleep(time.Second)
		if got := len(held.Waiting()); got == 0 || got > 10 {
			t.Errorf("%d commits wait, want some, and at most 10", got)
		}
		held.ReleaseAll()
		time.Sleep(time.Second)
		if got := connected(b); got != 0 {
			t.Error("connections are left when the store works again")
		}
	})
}

// A socket is lost while the actor is not in memory, because the store fails.
func TestAConnectionThatDropsWhileTheStoreFailsExpires(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b, held, ada, bob := heldBench(t, clubs, clubRef)
		bob.call(1, "rename", "bobby", false)
		held.Wait(1)
		b.trouble().broken.Store(true)
		held.Fail(store.ErrFull)
		time.Sleep(time.Second)
		b.node.Detach(clubRef, ada.req.Attachment)
		synctest.Wait()
		b.trouble().broken.Store(false)
		held.ReleaseAll()
		time.Sleep(10 * time.Minute)
		if got, err := result[string](b, clubRef, "online"); got != "bob:true" || err != nil {
			t.Errorf("ten minutes later got %q, %v, want bob alone", got, err)
		}
	})
}

// average divides zero by zero when the last connection leaves: a state that
// JSON cannot hold.
type average struct {
	Value float64 `json:"value"`
	Runs  int     `json:"-"`
}

func (a *average) OnDisconnect(c *nothing) {
	a.Runs++
	n := 0.0
	for range c.Conns() {
		n++
	}
	if a.Value = n / n; !math.IsNaN(a.Value) {
		a.Value = 1
	}
}

// Get returns 1000 for each run of the hook, and 1 for each connection.
func (a average) Get(c *nothing) int {
	n := 1000 * a.Runs
	for range c.Conns() {
		n++
	}
	return n
}

func TestAConnectionEndsThoughItsHookLeavesAStateThatCannotBeEncoded(t *testing.T) {
	reg := actor.NewRegistry(actor.Define[average]("average"))
	ref := host.Ref{Name: "average", Key: host.Key{"a"}}
	for how, end := range map[string]func(*bench, host.Attachment){
		"it is closed": func(b *bench, attachment host.Attachment) { b.node.Close(ref, attachment) },
		"it expires":   func(b *bench, attachment host.Attachment) { b.node.Detach(ref, attachment) },
	} {
		t.Run(how, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newBench(t, nil, reg)
				r := b.open(ref, as("ada"))
				r.read()
				end(b, r.req.Attachment)
				time.Sleep(2*time.Minute + time.Second) // its hook must not be tried for ever
				if got := b.total(ref); got != 1000 {
					t.Errorf("got %d, want 1000: the hook has run once, and no connection is left", got)
				}
			})
		})
	}
}

// Connections that a stranger opens and leaves end early for one another, not for others: neither
// those of other addresses, nor those of other users at its own.
func TestG3_DetachedConnectionsOfOthersAreNotEndedForAStranger(t *testing.T) {
	reg := clubsWith(actor.Options{MaxDetached: 20})
	request := func(addr, subject, name string) host.OpenRequest {
		r := asFrom(addr, name)
		r.Identity.Subject = subject
		return r
	}
	for name, ada := range map[string]host.OpenRequest{
		"another address": request("a", "", "ada"),
		"another user":    request("eve", "ada", "ada"),
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newBench(t, nil, reg)
				first := b.open(clubRef, ada)
				first.read()
				b.node.Detach(clubRef, first.req.Attachment)
				eve := func(i int) host.OpenRequest { return request("eve", "eve", fmt.Sprint("eve-", i)) }
				for i := range 100 {
					time.Sleep(time.Millisecond)
					last := b.open(clubRef, eve(i))
					last.read()
					b.node.Detach(clubRef, last.req.Attachment)
				}
				for _, test := range []struct {
					req  host.OpenRequest
					want bool
				}{{ada, true}, {eve(0), false}, {eve(99), true}} {
					r := b.open(clubRef, test.req)
					if opened := r.read()[0].Opened; opened.Resumed != test.want {
						t.Errorf("%s resumed: %t, want %t", test.req.Conn, opened.Resumed, test.want)
					}
				}
			})
		})
	}
}
