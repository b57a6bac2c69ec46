package runtime_test

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// A look for an actor that does not exist does not keep a client from creating it.
func TestInspector_beforeTheFirstOpen(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, memory.New(memory.Options{}), safes)
		id := host.ActorID(safeRef.Name, safeRef.Key)
		if _, err := b.node.Follow(host.Ref{ID: id}, followNothing{}); err != nil { // it stays in memory
			t.Fatal(err)
		}
		if err := runtime.Inspect(b.node).Reset(t.Context(), id); code(err) != "not_found" {
			t.Errorf("reset of one that does not exist: got %v", err)
		}
		ada := b.open(safeRef, asAda)
		if o := ada.last(); o.Kind != host.OutputOpened {
			t.Errorf("ada got %s", kinds(ada.got))
		}
	})
}

func TestInspector_operates(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, memory.New(memory.Options{}), safes)
		i := runtime.Inspect(b.node)
		id := host.ActorID(safeRef.Name, safeRef.Key)
		if err := i.Reset(t.Context(), id); code(err) != "not_found" {
			t.Errorf("reset of one that does not exist: got %v", err)
		}
		ada, bob := b.open(safeRef, asAda), b.open(safeRef, asBob)
		ada.call(1, "put", 7)
		ada.read()

		if err := i.Disconnect(t.Context(), id, "conn-bob", "go away"); err != nil {
			t.Fatal(err)
		}
		if o := bob.last(); o.Kind != host.OutputClosed || o.Err.Code != "disconnected" || o.Err.Message != "go away" {
			t.Errorf("bob got %s", kinds(bob.got))
		}
		if err := i.Disconnect(t.Context(), id, "conn-bob", ""); code(err) != "not_found" {
			t.Errorf("again: got %v", err)
		}

		if err := i.Reset(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if strings.Contains(b.log.String(), "level=ERROR") {
			t.Errorf("an operator's reset is an error in the log: %s", b.log.String())
		}
		if n, err := result[int](b, safeRef, "woken"); err != nil || n != 1 {
			t.Errorf("after a reset: got %d and %v, want a new instance", n, err)
		}
		if n := b.node.Stats().Resets; n != 1 || strings.Contains(b.log.String(), "panic") {
			t.Errorf("one reset counts as %d, and the log has\n%s", n, b.log.String())
		}
		ada.call(2, "put", 8)
		if o := ada.last(); o.Kind != host.OutputReply {
			t.Errorf("ada's connection is over: %s", kinds(ada.got))
		}

		l := lookAt(t, b, id)
		edited := strings.Replace(string(l.State), `"opened":0`, `"opened":3`, 1)
		edited = strings.Replace(edited, `[{"value":7,`, `[{"value":70,`, 1)
		for name, test := range map[string]struct {
			behind uint64
			state  string
			code   string
		}{
			"another revision":                  {1, edited, "changed"},
			"no JSON":                           {0, "{", "invalid_input"},
			"no object":                         {0, "[]", "invalid_input"},
			"another type":                      {0, `{"opened":"x"}`, "invalid_input"},
			"a field that is no":                {0, `{"opend":1}`, "invalid_input"},
			"a secret from where there is none": {0, `{"coins":[{},{},{"code":"‹secret›"}]}`, "invalid_input"},
			"what OnRestore refuses":            {0, `{"opened":-1}`, "invalid_input"},
			"what OnStart refuses":              {0, `{"opened":1001}`, "invalid_input"},
			"too large":                         {0, `{"title":"` + strings.Repeat("x", 20<<20) + `"}`, "too_large"},
		} {
			if _, err := i.Edit(t.Context(), id, lookAt(t, b, id).Rev-test.behind, json.RawMessage(test.state)); code(err) != test.code {
				t.Errorf("%s: got %.200v, want %s", name, err, test.code)
			}
		}
		if after := lookAt(t, b, id); string(after.State) != string(l.State) {
			t.Errorf("refused edits have left %s", after.State)
		}
		rev := lookAt(t, b, id).Rev
		before, err := i.Edit(t.Context(), id, rev, json.RawMessage(edited))
		if err != nil || string(before) != string(l.State) {
			t.Fatalf("got %s and %v", before, err)
		}
		check := func() {
			t.Helper()
			if l := lookAt(t, b, id); string(l.State) != edited || l.Rev != rev+1 {
				t.Errorf("got the state %s at %d, want %s", l.State, l.Rev, edited)
			}
			snap, err := b.store.Load(t.Context(), id)
			if err != nil || strings.Contains(string(snap.State), "secret") || strings.Count(string(snap.State), "hush-coin") != 2 || !strings.Contains(string(snap.State), "hush-note") {
				t.Errorf("the store has %s, %v", snap.State, err)
			}
		}
		check()
		ada.call(3, "coin")
		if o := ada.last(); o.Kind != host.OutputReply {
			t.Errorf("ada's connection is over: %s", kinds(ada.got))
		}
		b.restart()
		check()
	})
}

// TestInspector_editsPlainStates: of an actor without Lists and Maps.
func TestInspector_editsPlainStates(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, actor.NewRegistry(actor.Define[barn]("barn")))
		ref := host.Ref{Name: "barn", Key: host.Key{"a"}}
		if _, err := result[any](b, ref, "keep", 3); err != nil {
			t.Fatal(err)
		}
		i := runtime.Inspect(b.node)
		id := host.ActorID(ref.Name, ref.Key)
		before, err := i.Edit(t.Context(), id, 1, json.RawMessage(`{"text":"rung"}`))
		if err != nil || string(before) != `{"text":"xxx"}` {
			t.Errorf("got %s and %v", before, err)
		}
		if _, err := result[any](b, ref, "rang"); err != nil {
			t.Error(err)
		}
	})
}

func TestInspector_callsAs(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, safes)
		i := runtime.Inspect(b.node)
		ref := host.Ref{Name: "guest", Key: host.Key{"a"}}
		who := host.DirectCall{Create: true, Action: "who"}
		if got, err := i.CallAs(t.Context(), ref, json.RawMessage(`{"Name":"bob"}`), who); err != nil || string(got) != `"bob"` {
			t.Errorf("got %s and %v", got, err)
		}
		for _, as := range []string{"", `{"Nam":"bob"}`, `7`} {
			if _, err := i.CallAs(t.Context(), ref, json.RawMessage(as), who); code(err) != "invalid_params" {
				t.Errorf("as %s: got %v", as, err)
			}
		}
		if got, err := i.CallAs(t.Context(), safeRef, nil, host.DirectCall{Create: true, Action: "coin"}); err != nil || string(got) != `{"value":1,"code":"‹secret›"}` {
			t.Errorf("got %s and %v", got, err)
		}
		if _, err := i.CallAs(t.Context(), host.Ref{Name: "nobody"}, nil, who); code(err) != "unknown_actor" {
			t.Errorf("got %v", err)
		}
	})
}

// workshop plans work for itself, and asks others.
type workshop struct {
	Done []string `json:"done"`
}

type chore struct {
	What string `json:"what"`
	Pin  string `json:"pin" troupe:"secret"`
}

var workshopFails atomic.Bool

func (d *workshop) Plan(c *actor.Context[actor.NoState], what string, inHours int) {
	c.Schedule(time.Now().Add(time.Duration(inHours)*time.Hour), chore{what, "hush"})
}

func (d *workshop) Ask(c *actor.Context[actor.NoState], other, what string) {
	c.Send(actor.Ref{Name: "workshop", Key: actor.Key{other}}, chore{what, "hush"})
}

func (d *workshop) do(_ *actor.Context[actor.NoState], m chore) error {
	if workshopFails.Load() {
		return errors.New("the workshop is on fire")
	}
	d.Done = append(d.Done, m.What)
	return nil
}

func (d workshop) All(*actor.Context[actor.NoState]) string { return strings.Join(d.Done, " ") }

var workshops = actor.NewRegistry(actor.Define[workshop]("workshop", actor.Handles((*workshop).do)))

func workshopRef(key string) host.Ref { return host.Ref{Name: "workshop", Key: host.Key{key}} }

// TestInspector_messages: messages run at once, are cancelled, and are tried again after they
// were parked, those to the actor itself and those to others.
func TestInspector_messages(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, workshops)
		i := runtime.Inspect(b.node)
		id := host.ActorID("workshop", host.Key{"a"})
		done := func(key string) string {
			t.Helper()
			synctest.Wait()
			all, err := result[string](b, workshopRef(key), "all")
			if err != nil {
				t.Fatal(err)
			}
			return all
		}
		call := func(action string, args ...any) {
			t.Helper()
			if _, err := result[any](b, workshopRef("a"), action, args...); err != nil {
				t.Fatal(err)
			}
		}
		change := func(m store.Message, c runtime.MessageChange) {
			t.Helper()
			if err := i.ChangeMessage(t.Context(), id, m.ID, c); err != nil {
				t.Fatal(err)
			}
			time.Sleep(time.Second)
		}
		call("plan", "tea", 5)
		call("plan", "milk", 6)
		b.sleep()
		l := lookAt(t, b, id)
		if len(l.Messages) != 2 || string(l.Messages[0].Data) != `{"what":"tea","pin":"‹secret›"}` || l.Due.IsZero() {
			t.Errorf("asleep: got %+v", l)
		}
		tea, milk := l.Messages[0], l.Messages[1]
		change(milk, runtime.RunMessage)
		change(tea, runtime.CancelMessage)
		if got := done("a"); got != "milk" {
			t.Errorf("got %q, want milk alone", got)
		}
		if err := i.ChangeMessage(t.Context(), id, tea.ID, runtime.RunMessage); code(err) != "not_found" {
			t.Errorf("a finished one: got %v", err)
		}

		workshopFails.Store(true)
		call("plan", "own", 0)
		call("ask", "b", "others")
		time.Sleep(2 * time.Hour)
		workshopFails.Store(false)
		l = lookAt(t, b, id)
		if len(l.Messages) != 2 || l.Messages[0].Parked == "" || l.Messages[1].Parked == "" || b.node.Stats().ParkedMessages != 2 {
			t.Fatalf("parked: got %+v and %d", l.Messages, b.node.Stats().ParkedMessages)
		}
		for _, m := range l.Messages {
			change(m, runtime.RunMessage)
		}
		if a, other := done("a"), done("b"); a != "milk own" || other != "others" {
			t.Errorf("tried again: got %q and %q", a, other)
		}
		if l := lookAt(t, b, id); len(l.Messages) != 0 {
			t.Errorf("got messages %+v, want none", l.Messages)
		}
	})
}

func TestInspector_destroys(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, safes)
		i := runtime.Inspect(b.node)
		id := host.ActorID(safeRef.Name, safeRef.Key)
		ada := b.open(safeRef, asAda)
		ada.call(1, "put", 7)
		ada.read()
		if err := i.Destroy(t.Context(), id); err != nil {
			t.Fatal(err)
		}
		if o := ada.last(); o.Kind != host.OutputClosed || o.Err.Code != "destroyed" {
			t.Errorf("ada got %s", kinds(ada.got))
		}
		if l := lookAt(t, b, id); !l.Tombstone || l.State != nil || l.Ended.IsZero() || l.ConnCount != 0 {
			t.Errorf("got %+v, want a tombstone", l)
		}
		if err := i.Destroy(t.Context(), id); code(err) != "not_found" {
			t.Errorf("again: got %v", err)
		}
	})
}

// slowpoke is busy for as long as it is told.
type slowpoke struct {
	N int `json:"n"`
}

func (s *slowpoke) Work(*actor.Context[actor.NoState], int) {
	s.N++
	time.Sleep(2 * time.Second)
}
func (s slowpoke) Get(*actor.Context[actor.NoState]) int { return s.N }

// An operator who does not wait any longer for a busy actor is told that nothing was done, and
// nothing is.
func TestInspector_operationsThatTimeOut(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, actor.NewRegistry(actor.Define[slowpoke]("slowpoke")))
		ref := host.Ref{Name: "slowpoke", Key: host.Key{"a"}}
		if _, err := result[any](b, ref, "work", 1); err != nil {
			t.Fatal(err)
		}
		i, id := runtime.Inspect(b.node), host.ActorID(ref.Name, ref.Key)
		for name, operate := range map[string]func(context.Context) error{
			"reset":   func(ctx context.Context) error { return i.Reset(ctx, id) },
			"destroy": func(ctx context.Context) error { return i.Destroy(ctx, id) },
		} {
			done := make(chan error)
			go func() {
				_, err := result[any](b, ref, "work", 1)
				done <- err
			}()
			synctest.Wait()
			ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
			if err := operate(ctx); code(err) != "timeout" || !strings.Contains(err.Error(), "nothing was done") {
				t.Errorf("%s: got %v", name, err)
			}
			cancel()
			if err := <-done; err != nil {
				t.Error(err)
			}
		}
		if n, err := result[int](b, ref, "get"); n != 3 || err != nil {
			t.Errorf("got %d and %v, want 3", n, err)
		}
		if n := b.node.Stats().Resets; n != 0 {
			t.Errorf("got %d resets", n)
		}
	})
}
