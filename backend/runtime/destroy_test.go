package runtime_test

import (
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
)

// crypt can be destroyed in all of its turns.
type crypt struct {
	N     int                      `json:"n"`
	Items actor.Table[int, string] `json:"items"`
}

type (
	cryptMoved struct {
		N int `json:"n"`
	}
	cryptEnds struct{}
)

// cryptLog is what the hooks of crypts have done.
var cryptLog struct {
	mu      sync.Mutex
	ran     []string
	destroy string // the hook that destroys
}

func cryptHooks(destroy string) {
	cryptLog.mu.Lock()
	defer cryptLog.mu.Unlock()
	cryptLog.ran, cryptLog.destroy = nil, destroy
}

func ranCryptHooks() string {
	cryptLog.mu.Lock()
	defer cryptLog.mu.Unlock()
	ran := strings.Join(cryptLog.ran, " ")
	cryptLog.ran = nil
	return ran
}

func (*crypt) hook(c *actor.Context[actor.NoState], name string) {
	cryptLog.mu.Lock()
	defer cryptLog.mu.Unlock()
	cryptLog.ran = append(cryptLog.ran, name)
	if cryptLog.destroy == name {
		cryptLog.destroy = ""
		c.Destroy()
	}
}

func (v *crypt) OnCreate(c *actor.Context[actor.NoState])     { v.hook(c, "create") }
func (v *crypt) OnStart(c *actor.Context[actor.NoState])      { v.hook(c, "start") }
func (v *crypt) OnConnect(c *actor.Context[actor.NoState])    { v.hook(c, "connect") }
func (v *crypt) OnDrop(c *actor.Context[actor.NoState])       { v.hook(c, "drop") }
func (v *crypt) OnResume(c *actor.Context[actor.NoState])     { v.hook(c, "resume") }
func (v *crypt) OnRefresh(c *actor.Context[actor.NoState])    { v.hook(c, "refresh") }
func (v *crypt) OnDisconnect(c *actor.Context[actor.NoState]) { v.hook(c, "disconnect") }
func (v *crypt) OnStop(c *actor.Context[actor.NoState])       { v.hook(c, "stop") }

func (v *crypt) Add(c *actor.Context[actor.NoState], n int) int {
	v.N += n
	v.Items.Set(v.N, "item")
	c.Broadcast(cryptMoved{v.N})
	return v.N
}

func (v *crypt) Look(c *actor.Context[actor.NoState]) int { return v.N }

func (v *crypt) End(c *actor.Context[actor.NoState]) string {
	v.Items.Set(1000, "last")
	c.Broadcast(cryptEnds{})
	c.Destroy()
	return "gone"
}

func (v *crypt) EndLater(c *actor.Context[actor.NoState]) {
	v.N++
	c.After(time.Second, func(c *actor.Context[actor.NoState]) error { c.Destroy(); return nil })
}

func (v *crypt) Fail(c *actor.Context[actor.NoState]) error {
	c.Destroy()
	return errors.New("in vain")
}

func (v *crypt) Kick(c *actor.Context[actor.NoState], destroy bool) {
	v.N++
	for other := range c.Conns() {
		if other.ID() != c.Conn().ID() {
			other.Disconnect("kicked")
		}
	}
	if destroy {
		c.Destroy()
	}
}

func (v crypt) Get(*actor.Context[actor.NoState]) int                    { return v.N }
func (v crypt) Wish(c *actor.Context[actor.NoState])                     { c.Destroy() }
func (v crypt) Count(*actor.Context[actor.NoState]) int                  { return v.Items.Len() }
func (v crypt) CanSubscribe(*actor.Context[actor.NoState], string) error { return nil }

var (
	cryptDef = actor.Define[crypt]("crypt", actor.Emits[cryptMoved](), actor.Emits[cryptEnds]())
	crypts   = actor.NewRegistry(cryptDef)
	cryptRef = host.Ref{Name: "crypt", Key: host.Key{"a"}}
)

// stored returns what the store has of the crypt.
func (b *bench) stored() *store.Snapshot {
	b.t.Helper()
	snap, err := b.store.Load(b.t.Context(), host.ActorID(cryptRef.Name, cryptRef.Key))
	if errors.Is(err, store.ErrNotFound) {
		return nil
	} else if err != nil {
		b.t.Fatal(err)
	}
	return snap
}

// checkTombstone fails the test if the crypt is no tombstone, or has kept data.
func (b *bench) checkTombstone() *store.Snapshot {
	b.t.Helper()
	snap := b.stored()
	switch {
	case snap == nil || !snap.Tombstone:
		b.t.Fatalf("the store has %+v, want a tombstone", snap)
	case len(snap.State)+len(snap.Conns)+len(snap.Tables)+len(snap.Key)+len(snap.Messages) > 0:
		b.t.Errorf("the tombstone has kept data: %+v", snap)
	}
	for _, c := range snap.Callers {
		for _, a := range c.Answers {
			if string(a.Result) != `"gone"` {
				b.t.Errorf("the tombstone has kept the answer %s", a.Result)
			}
		}
	}
	return snap
}

// highest is the h of the end that a client has heard, -1 if it has none.
func highest(o *host.Output) int {
	if o == nil || o.Err == nil || o.Err.Highest == nil {
		return -1
	}
	return int(*o.Err.Highest)
}

// resumed is the open with which a client comes back.
func (r *reader) resumed() host.OpenRequest {
	req := r.req
	for _, o := range r.got {
		if o.Kind == host.OutputOpened {
			req.Resume, req.Log = true, o.Opened.Log
		}
		req.Seq = max(req.Seq, o.Seq)
	}
	return req
}

func TestG3_DestroyEndsTheActorAndAllItsClientsHear(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, crypts)
		ada, bob := b.open(cryptRef, as("ada")), b.open(cryptRef, as("bob"))
		bob.call(4, "add", 1)
		bob.call(5, "look") // changes nothing, so no commit has it
		ada.call(1, "add", 2)
		ada.read()
		bob.read()
		life := b.stored()
		ranCryptHooks()
		ada.got, bob.got = nil, nil
		ada.call(2, "end")
		bob.call(6, "add", 1) // does not run any more
		if got, want := kinds(ada.read()), `cryptEnds reply:"gone" closed:destroyed `; got != want {
			t.Errorf("the caller got %q, want %q", got, want)
		}
		if got, want := kinds(bob.read()), `cryptEnds closed:destroyed `; got != want {
			t.Errorf("the other one got %q, want %q", got, want)
		}
		if a, b := highest(ada.last()), highest(bob.last()); a != 2 || b != 5 {
			t.Errorf("got h %d and %d, want 2 and 5", a, b)
		}
		if got := ranCryptHooks(); got != "" {
			t.Errorf("hooks ran: %s", got)
		}
		snap := b.checkTombstone()
		if snap.Rev != life.Rev+1 || snap.Head != life.Head+1 || snap.NextConn != life.NextConn || snap.Ended.Log != life.Log {
			t.Errorf("the numbers do not continue: got %+v after %+v", snap, life)
		}
		callers := map[string]uint64{}
		for _, c := range snap.Callers {
			callers[c.ID] = c.Highest
		}
		if callers["ada"] != 2 || callers["bob"] != 5 {
			t.Errorf("got callers %v", callers)
		}
		if _, err := b.node.Find(t.Context(), cryptRef, host.Identity{}); code(err) != "not_found" {
			t.Errorf("Find: got %v, want not_found", err)
		}
		if entries, err := b.store.Entries(t.Context(), snap.Actor, 0, 10, 1<<20); err != nil || len(entries) > 0 {
			t.Errorf("the old log is served: %v, %v", entries, err)
		}

		again := b.open(cryptRef, as("carol"))
		again.call(1, "add", 10)
		if got, want := kinds(again.read()), "opened cryptMoved reply:10 "; got != want {
			t.Errorf("a new life: got %q, want %q", got, want)
		}
		if got := ranCryptHooks(); got != "create start connect" {
			t.Errorf("a new life: got hooks %s", got)
		}
		opened := again.got[0].Opened
		if opened.Log == life.Log || opened.Num < snap.NextConn || opened.Start != snap.Head {
			t.Errorf("a new life: opened %+v after %+v", opened, snap)
		}
		next := b.stored()
		if next.Tombstone || next.Rev != snap.Rev+2 || !slices.Equal(next.Key, cryptRef.Key) || next.Log != opened.Log {
			t.Errorf("a new life: stored %+v", next)
		}
		if n, err := result[int](b, cryptRef, "count"); n != 1 || err != nil {
			t.Errorf("a new life has %d items, %v; want 1", n, err)
		}
		b.restart()
		if got := b.total(cryptRef); got != 10 {
			t.Errorf("after a restart: got %d, want 10", got)
		}
	})
}

// A turn that fails does not destroy, and a read-only one may not.
func TestG7_AFailedTurnDoesNotDestroy(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, crypts)
		ada := b.open(cryptRef, as("ada"))
		ada.call(1, "add", 2)
		ada.call(2, "fail")
		ada.call(3, "wish")
		ada.call(4, "add", 1)
		if got, want := kinds(ada.read()), "opened cryptMoved reply:2 fail:internal_error fail:read_only cryptMoved reply:3 "; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// A hook that fails inside a turn undoes its own Destroy only, and after a Destroy no hook
// runs.
func TestG7_DestroyInATurnThatDisconnects(t *testing.T) {
	for _, test := range []struct {
		name    string
		hook    string
		destroy bool
		hooks   string
		got     string
	}{
		{"the action destroys", "", true, "", "reply: closed:destroyed "},
		{"the hook destroys", "disconnect", false, "disconnect", "reply: closed:destroyed "},
		{"nothing does", "", false, "disconnect disconnect", "reply: "},
	} {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newBench(t, nil, crypts)
				ada, bob, carol := b.open(cryptRef, as("ada")), b.open(cryptRef, as("bob")), b.open(cryptRef, as("carol"))
				for _, r := range []*reader{ada, bob, carol} {
					r.read()
					r.got = nil
				}
				cryptHooks(test.hook)
				ada.call(1, "kick", test.destroy)
				if got := kinds(ada.read()); got != test.got {
					t.Errorf("the caller got %q, want %q", got, test.got)
				}
				if got := kinds(bob.read()) + kinds(carol.read()); got != "closed:disconnected closed:disconnected " {
					t.Errorf("the others got %q", got)
				}
				if got := ranCryptHooks(); got != test.hooks {
					t.Errorf("got hooks %q, want %q", got, test.hooks)
				}
			})
		})
	}
}

// Every turn may destroy: what the envelope wanted is then done with what is left.
func TestDestroyInEveryHook(t *testing.T) {
	for _, test := range []struct {
		hook string
		run  func(b *bench, ada *reader, back host.OpenRequest) string // what came of it
		want string
	}{
		{"connect", func(b *bench, ada *reader, back host.OpenRequest) string {
			return kinds(b.open(cryptRef, as("bob")).read()) + kinds(ada.read())
		}, "closed:destroyed closed:destroyed "},
		{"drop", func(b *bench, ada *reader, back host.OpenRequest) string {
			b.node.Detach(cryptRef, ada.req.Attachment)
			return kinds(ada.read())
		}, "closed:destroyed "},
		{"resume", func(b *bench, ada *reader, back host.OpenRequest) string {
			b.node.Detach(cryptRef, ada.req.Attachment)
			return kinds(b.open(cryptRef, back).read())
		}, "closed:destroyed "},
		{"refresh", func(b *bench, ada *reader, back host.OpenRequest) string {
			if err := b.node.Refresh(cryptRef, host.RefreshRequest{Attachment: ada.req.Attachment}); err != nil {
				b.t.Fatal(err)
			}
			return kinds(ada.read())
		}, "closed:destroyed "},
		{"disconnect", func(b *bench, ada *reader, back host.OpenRequest) string {
			bob := b.open(cryptRef, as("bob"))
			bob.read()
			b.node.Close(cryptRef, ada.req.Attachment)
			return kinds(ada.read()) + kinds(bob.read())
		}, "opened closed:destroyed "},
		{"stop", func(b *bench, ada *reader, back host.OpenRequest) string {
			b.restart()
			return ""
		}, ""},
		{"start", func(b *bench, ada *reader, back host.OpenRequest) string {
			b.restart()
			return kinds(b.open(cryptRef, back).read())
		}, "closed:destroyed "},
	} {
		t.Run(test.hook, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newBench(t, nil, crypts)
				ada := b.open(cryptRef, as("ada"))
				ada.call(1, "add", 5)
				ada.read()
				back := ada.resumed()
				ada.got = nil
				cryptHooks(test.hook)
				if got := test.run(b, ada, back); got != test.want {
					t.Errorf("got %q, want %q", got, test.want)
				}
				snap := b.checkTombstone()
				if got := b.total(cryptRef); got != 0 {
					t.Errorf("a new life begins with %d, want 0", got)
				}
				if next := b.stored(); next.Rev != snap.Rev {
					t.Errorf("reading has stored %+v", next)
				}
				if n, err := result[int](b, cryptRef, "add", 7); n != 7 || err != nil {
					t.Errorf("got %d, %v", n, err)
				}
			})
		})
	}
}

// What was never stored leaves nothing behind; the request that made it fails.
func TestDestroyOfAnActorThatWasNeverStored(t *testing.T) {
	for _, hook := range []string{"create", "start", "connect", "action", "stop"} {
		t.Run(hook, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newBench(t, nil, crypts)
				cryptHooks(hook)
				switch hook {
				case "action":
					if got, err := result[string](b, cryptRef, "end"); got != "gone" || err != nil {
						t.Errorf("got %q, %v", got, err)
					}
				case "stop":
					b.total(cryptRef)
					time.Sleep(time.Hour)
				default:
					if got := kinds(b.open(cryptRef, as("ada")).read()); got != "closed:destroyed " {
						t.Errorf("got %q", got)
					}
				}
				if hook == "create" || hook == "start" {
					for _, err := range []error{
						func() error { cryptHooks(hook); _, err := result[int](b, cryptRef, "get"); return err }(),
						func() error {
							cryptHooks(hook)
							_, err := b.node.Create(t.Context(), cryptRef, nil, host.Identity{})
							return err
						}(),
					} {
						if code(err) != "destroyed" {
							t.Errorf("got %v, want destroyed", err)
						}
					}
				}
				synctest.Wait()
				if snap := b.stored(); snap != nil {
					t.Errorf("the store has %+v", snap)
				}
				cryptHooks("")
				if got, err := result[int](b, cryptRef, "add", 3); got != 3 || err != nil {
					t.Errorf("afterwards: got %d, %v", got, err)
				}
				if snap := b.stored(); snap.Rev != 1 {
					t.Errorf("afterwards: stored revision %d", snap.Rev)
				}
			})
		})
	}
}

func TestDestroyInATimerAndByDo(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, crypts)
		ada := b.open(cryptRef, as("ada"))
		ada.call(1, "endLater")
		ada.call(2, "endLater") // its tick is that of an instance that is gone
		time.Sleep(time.Minute)
		if got, want := kinds(ada.read()), "opened reply: reply: closed:destroyed "; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		b.checkTombstone()
	})
}
