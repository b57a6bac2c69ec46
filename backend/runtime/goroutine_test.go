package runtime_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
)

// stray starts goroutines that outlive their turns.
type stray struct {
	List  actor.List[int]        `json:"list"`
	Named actor.Map[string, int] `json:"named"`
	Total int                    `json:"total"`

	kept *actor.Context[member]
}

func (*stray) OnAuth(context.Context, *actor.AuthRequest) (string, error) { return "me", nil }

func (*stray) CreateConnState(_ *actor.ConnectContext, p memberParams) (member, error) {
	return member(p), nil
}

// Stray uses everything of its turn when that is over.
func (s *stray) Stray(c *actor.Context[member], what string) {
	conn := c.Conn()
	var p memberParams
	uses := map[string]func(){
		"broadcast": func() { c.Broadcast(note{"late"}) },
		"conn":      func() { c.Conn().Send(note{"late"}) },
		"conns": func() {
			for range c.Conns() {
				panic("there are some")
			}
		},
		"hasConn":    func() { c.HasConn() },
		"after":      func() { c.After(time.Second, func(*actor.Context[member]) error { s.Total++; return nil })() },
		"every":      func() { c.Every(time.Second, func(*actor.Context[member]) error { s.Total++; return nil }) },
		"never":      func() { c.Every(-1, nil) },
		"auth":       func() { _ = actor.Auth[string](c) + actor.Auth[string](conn) },
		"id":         func() { conn.ID() },
		"state":      func() { conn.State() },
		"setState":   func() { conn.SetState(member{"late"}) },
		"send":       func() { conn.Send(note{"late"}) },
		"disconnect": func() { conn.Disconnect("late") },
		"online":     func() { conn.Online() },
		"params":     func() { conn.Params(&p) },
		"key":        func() { _, _, _ = c.Key(), c.ActorID(), c.Now() },
		"append":     func() { s.List.Append(1) },
		"set":        func() { s.Named.Set("a", 1) },
		"clear":      func() { s.List.Clear() },
		"": func() {
			if err := c.Self().Do(context.Background(), func(*actor.Context[member]) error { s.Total += 10; return nil }); err != nil {
				panic(err)
			}
		},
	}
	go func() {
		time.Sleep(time.Second)
		uses[what]()
	}()
}

// Keep keeps its context for Reuse.
func (s *stray) Keep(c *actor.Context[member]) { s.kept = c }

func (s *stray) Reuse(*actor.Context[member]) { s.kept.Broadcast(note{"late"}) }

func (s stray) Sum(*actor.Context[member]) int { return s.Total + s.List.Len() + s.Named.Len() }

// Wait waits for a turn of another actor, with the context of its own or with none.
func (s *stray) Wait(c *actor.Context[member], key string, own bool) error {
	ctx := context.Background()
	if own {
		ctx = c
	}
	return strays.Load(key).Do(ctx, func(*actor.Context[member]) error { return nil })
}

// Share lets other actors wait for this one.
func (s *stray) Share(c *actor.Context[member]) { strays.Store(c.Key()[0], c.Self()) }

var strays selves

type selves struct{ m sync.Map }

func (s *selves) Store(key string, self *actor.Self[member]) { s.m.Store(key, self) }
func (s *selves) Load(key string) *actor.Self[member] {
	self, _ := s.m.Load(key)
	return self.(*actor.Self[member])
}

var (
	strayRegistry = actor.NewRegistry(actor.Define[stray]("stray", actor.Emits[note]()))
	strayRef      = host.Ref{Name: "stray", Key: host.Key{"a"}}
)

// TestAGoroutineWithADeadContextDoesNothing: whatever a goroutine of an author does with
// what was its turn's, the process and the actor keep running, and the log names the
// remedy.
func TestAGoroutineWithADeadContextDoesNothing(t *testing.T) {
	for _, what := range []string{
		"broadcast", "conn", "conns", "hasConn", "after", "every", "never", "auth", "id", "state", "setState", "send", "disconnect",
		"online", "params", "key", "append", "set", "clear",
	} {
		t.Run(what, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newBench(t, nil, strayRegistry)
				ada := b.open(strayRef, as("ada"))
				ada.call(1, "stray", what)
				time.Sleep(10 * time.Second)
				if got, err := result[int](b, strayRef, "sum"); got != 0 || err != nil {
					t.Errorf("got %d, %v, want no effect", got, err)
				}
				if got := kinds(ada.read()); got != "opened reply: " {
					t.Errorf("got %q, want no effect", got)
				}
				if log := b.log.String(); what != "clear" && (strings.Count(log, "c.Self().Do") != 1 || !strings.Contains(log, "goroutine_test.go")) {
					t.Errorf("got log %s, want the remedy and the place, once", log)
				}
			})
		})
	}
}

func TestAGoroutineUsesSelf(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, strayRegistry)
		ada := b.open(strayRef, as("ada"))
		ada.call(1, "stray", "")
		time.Sleep(2 * time.Second)
		if got, err := result[int](b, strayRef, "sum"); got != 10 || err != nil || b.log.String() != "" {
			t.Errorf("got %d, %v and log %s, want 10", got, err, b.log.String())
		}
	})
}

func TestAContextThatIsUsedInALaterTurnFailsIt(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, strayRegistry)
		for action, want := range map[string]string{"keep": "none"} {
			if _, err := result[any](b, strayRef, action); code(err) != want {
				t.Errorf("%s: got %v, want %s", action, err, want)
			}
		}
		if _, err := result[any](b, strayRef, "reuse"); code(err) != "internal_error" || !strings.Contains(b.log.String(), "used after its turn") {
			t.Errorf("got %v, log %s", err, b.log.String())
		}
	})
}

// TestDoFailsInATurn: two actors that wait for each other would stand still until their
// time-outs, and callers of both with them.
func TestDoFailsInATurn(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, strayRegistry)
		other := host.Ref{Name: "stray", Key: host.Key{"b"}}
		for _, ref := range []host.Ref{strayRef, other} {
			if _, err := result[any](b, ref, "share"); err != nil {
				t.Fatal(err)
			}
		}
		start := time.Now()
		for _, key := range []string{"a", "b"} {
			for _, own := range []bool{true, false} {
				if _, err := result[any](b, strayRef, "wait", key, own); code(err) != "internal_error" {
					t.Errorf("%s, %v: got %v", key, own, err)
				}
			}
		}
		if took := time.Since(start); took > time.Second {
			t.Errorf("it took %s", took)
		}
		if log := b.log.String(); strings.Count(log, "go other.Do(") != 4 || strings.Count(log, "c.After(0") != 4 {
			t.Errorf("got log %s, want what to use instead", log)
		}
	})
}
