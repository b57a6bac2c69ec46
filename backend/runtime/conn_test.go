package runtime_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
	"github.com/troupe-dev/troupe/backend/host"
)

// club writes down the life of its connections.
type club struct {
	Diary []string `json:"diary"`
}

type diaryEvent struct {
	Line string `json:"line"`
}

func (r *club) write(c *actor.Context[member], what string) {
	line := what + " " + c.Conn().State().Name
	r.Diary = append(r.Diary, line)
	c.Broadcast(diaryEvent{line})
}

func (r *club) OnBeforeConnect(c *actor.ConnectContext, p memberParams) error {
	if p.Name == "banned" || p.Name == "banned later" && c.Resuming() {
		return actor.Errorf("banned", "go away")
	}
	return nil
}

func (r *club) CreateConnState(_ *actor.ConnectContext, p memberParams) (member, error) {
	return member(p), nil
}

func (r *club) OnConnect(c *actor.Context[member]) error {
	r.write(c, "hello")
	switch c.Conn().State().Name {
	case "failing":
		return actor.Errorf("sorry", "not today")
	case "panicking":
		panic("no")
	case "brief":
		c.Conn().Disconnect("that was it")
	}
	return nil
}

func (r *club) OnDrop(c *actor.Context[member]) error {
	r.write(c, "dropped")
	return r.failFor(c)
}

func (r *club) OnResume(c *actor.Context[member]) error {
	r.write(c, "back")
	return r.failFor(c)
}

func (r *club) OnDisconnect(c *actor.Context[member]) error {
	r.write(c, "bye")
	for conn := range c.Conns() {
		if conn.ID() == c.Conn().ID() {
			r.Diary = append(r.Diary, "a connection that is over is among Conns()")
		}
	}
	return r.failFor(c)
}

func (r *club) failFor(c *actor.Context[member]) error {
	if c.Conn().State().Name == "clumsy" {
		panic("a hook that fails")
	}
	return nil
}

func (r *club) Kick(c *actor.Context[member], name string) int {
	n := 0
	for conn := range c.Conns() {
		if conn.State().Name == name {
			conn.Send(diaryEvent{"you are kicked"})
			conn.Disconnect("kicked")
			n++
		}
	}
	return n
}

func (r club) Read(*actor.Context[member]) string { return strings.Join(r.Diary, ", ") }

func (r club) Online(c *actor.Context[member]) string {
	var names []string
	for conn := range c.Conns() {
		names = append(names, fmt.Sprintf("%s:%v", conn.State().Name, conn.Online()))
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

func (r club) Params(c *actor.Context[member]) string {
	var p memberParams
	if !c.Conn().Params(&p) {
		return "absent"
	}
	return p.Name
}

func (r *club) Rename(c *actor.Context[member], name string, fail bool) error {
	c.Conn().SetState(member{name})
	if got := c.Conn().State().Name; got != name {
		return fmt.Errorf("the turn itself sees %q", got)
	}
	if fail {
		return actor.Errorf("failed", "as asked")
	}
	return nil
}

var clubs = actor.NewRegistry(actor.Define[club]("club", actor.Emits[diaryEvent]()))

func diary(n *actortest.Node) string {
	return actortest.Call[string](n.Actor("club", "a"), "read")
}

func TestTheLifeOfAConnection(t *testing.T) {
	actortest.Run(t, clubs, func(n *actortest.Node) {
		room := n.Actor("club", "a")
		bob := room.Connect(memberParams{"bob"})
		ada := room.Connect(memberParams{"ada"})
		ada.Drop()
		if got, want := actortest.Call[string](room, "online"), "ada:false bob:true"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
		time.Sleep(119 * time.Second)
		if !ada.Resume() {
			t.Error("the connection was not resumed within its window")
		}
		ada.Drop()
		time.Sleep(121 * time.Second)
		if ada.Resume() {
			t.Error("the connection was resumed after its window")
		}
		ada.Close()
		if got, want := diary(n), "hello bob, hello ada, dropped ada, back ada, dropped ada, bye ada, hello ada, bye ada"; got != want {
			t.Errorf("got %q,\nwant %q", got, want)
		}
		if got, want := len(actortest.Events[diaryEvent](bob)), 8; got != want {
			t.Errorf("the other connection got %d events, want %d", got, want)
		}
		if _, closed := bob.Closed(); closed {
			t.Error("the other connection is closed")
		}
	})
}

func TestG3_AResumedConnectionGetsEachEventOnce(t *testing.T) {
	actortest.Run(t, clubs, func(n *actortest.Node) {
		room := n.Actor("club", "a")
		bob := room.Connect(memberParams{"bob"})
		bob.Clear()
		bob.Drop()
		for i := range 5 {
			room.Connect(memberParams{fmt.Sprint("visitor ", i)})
		}
		bob.Resume()
		var got []string
		for _, e := range actortest.Events[diaryEvent](bob) {
			got = append(got, e.Line)
		}
		want := "dropped bob, hello visitor 0, hello visitor 1, hello visitor 2, hello visitor 3, hello visitor 4, back bob"
		if strings.Join(got, ", ") != want {
			t.Errorf("got %q,\nwant %q", strings.Join(got, ", "), want)
		}
	})
}

func TestG3_ConnectionsSurviveARestart(t *testing.T) {
	actortest.Run(t, clubs, func(n *actortest.Node) {
		room := n.Actor("club", "a")
		ada, bob := room.Connect(memberParams{"ada"}), room.Connect(memberParams{"bob"})
		actortest.Call[any](ada, "rename", "ada the second", false)
		n.Restart()
		if got, want := actortest.Call[string](room, "online"), "ada the second:false bob:false"; got != want {
			t.Errorf("after a restart got %q, want %q", got, want)
		}
		if !ada.Resume() {
			t.Error("the connection was not resumed")
		}
		if got := actortest.Call[string](ada, "params"); got != "ada" {
			t.Errorf("got params %q, want those of the resume", got)
		}
		time.Sleep(3 * time.Minute) // bob never comes back
		if got, want := diary(n), "hello ada, hello bob, back ada the second, bye bob"; got != want {
			t.Errorf("got %q,\nwant %q", got, want)
		}
		if code, closed := bob.Closed(); closed {
			t.Errorf("a connection without a socket was told %s", code)
		}
	})
}

// The server was down when their window ended, and no request loads the actor.
func TestConnectionsThatAreNotResumedEndWithoutARequest(t *testing.T) {
	actortest.Run(t, clubs, func(n *actortest.Node) {
		n.Actor("club", "a").Connect(memberParams{"ada"})
		n.Actor("club", "b").Connect(memberParams{"bob"})
		n.Restart()
		time.Sleep(2*time.Minute + time.Second)
		n.Restart() // what is awake is stored now
		for _, key := range []string{"a", "b"} {
			if got := actortest.Call[string](n.Actor("club", key), "online"); got != "" {
				t.Errorf("actor %s still has connections: %q", key, got)
			}
		}
	})
}

func TestAnErrorWhileConnectingLeavesNoConnection(t *testing.T) {
	actortest.Run(t, clubs, func(n *actortest.Node) {
		room := n.Actor("club", "a")
		for name, code := range map[string]string{"banned": "banned", "failing": "sorry", "panicking": "internal_error"} {
			_, err := room.TryConnect(memberParams{name})
			if e, ok := err.(*actor.Error); !ok || e.Code != code {
				t.Errorf("%s: got %v, want %s", name, err, code)
			}
		}
		if _, err := room.TryConnect(42); err == nil || err.(*actor.Error).Code != "invalid_params" {
			t.Errorf("params of another type: got %v, want invalid_params", err)
		}
		if got := diary(n) + actortest.Call[string](room, "online"); got != "" {
			t.Errorf("got %q after connections that were refused, want nothing", got)
		}
		brief := room.Connect(memberParams{"brief"})
		if code, _ := brief.Closed(); code != "disconnected" {
			t.Errorf("got closed %q, want disconnected", code)
		}
		if got, want := diary(n), "hello brief, bye brief"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestAResumeThatIsRefusedEndsTheConnection(t *testing.T) {
	actortest.Run(t, clubs, func(n *actortest.Node) {
		room := n.Actor("club", "a")
		ada := room.Connect(memberParams{"banned later"})
		ada.Drop()
		if err := ada.TryResume(); err == nil || err.(*actor.Error).Code != "banned" {
			t.Errorf("got %v, want banned", err)
		}
		if got, want := diary(n), "hello banned later, dropped banned later, bye banned later"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

func TestHooksThatFailDoNotStopTheTransition(t *testing.T) {
	actortest.Run(t, clubs, func(n *actortest.Node) {
		room := n.Actor("club", "a")
		ada, bob := room.Connect(memberParams{"clumsy"}), room.Connect(memberParams{"bob"})
		bob.Clear()
		ada.Drop()
		if got, want := actortest.Call[string](room, "online"), "bob:true clumsy:false"; got != want {
			t.Errorf("after a drop got %q, want %q", got, want)
		}
		ada.Resume()
		if got, want := actortest.Call[string](room, "online"), "bob:true clumsy:true"; got != want {
			t.Errorf("after a resume got %q, want %q", got, want)
		}
		ada.Close()
		if got, want := actortest.Call[string](room, "online"), "bob:true"; got != want {
			t.Errorf("after a close got %q, want %q", got, want)
		}
		if got, want := diary(n), "hello clumsy, hello bob"; got != want {
			t.Errorf("hooks that failed left %q, want %q", got, want)
		}
		if got := actortest.Events[diaryEvent](bob); len(got) != 0 {
			t.Errorf("hooks that failed emitted %v", got)
		}
	})
}

func TestDisconnectEndsAConnectionAfterEarlierSends(t *testing.T) {
	actortest.Run(t, clubs, func(n *actortest.Node) {
		room := n.Actor("club", "a")
		ada, bob := room.Connect(memberParams{"ada"}), room.Connect(memberParams{"bob"})
		ada.Clear()
		if got := actortest.Call[int](bob, "kick", "ada"); got != 1 {
			t.Errorf("kicked %d, want 1", got)
		}
		if code, closed := ada.Closed(); !closed || code != "disconnected" {
			t.Errorf("got closed %q %v, want disconnected", code, closed)
		}
		if got := actortest.Events[diaryEvent](ada); len(got) == 0 || got[0].Line != "you are kicked" {
			t.Errorf("got %v, want what was sent before the end", got)
		}
		if got := actortest.Call[int](bob, "kick", "bob"); got != 1 {
			t.Errorf("kicked %d, want 1: a call that ends its own connection is answered first", got)
		}
	})
}

func TestG7_AConnectionStateIsUndone(t *testing.T) {
	actortest.Run(t, clubs, func(n *actortest.Node) {
		room := n.Actor("club", "a")
		ada := room.Connect(memberParams{"ada"})
		ada.Fail("rename", "eve", true)
		if got := actortest.Call[string](room, "online"); got != "ada:true" {
			t.Errorf("got %q, want the name to be undone", got)
		}
		actortest.Call[any](ada, "rename", "eve", false)
		if got := actortest.Call[string](room, "online"); got != "eve:true" {
			t.Errorf("got %q, want the new name", got)
		}
	})
}

func TestANewerAttachmentReplacesTheOlder(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, ledgers)
		first := b.open(ledgerRef, asAda)
		opened := first.read()[0].Opened
		req := asAda
		req.Resume, req.Log = true, opened.Log
		second := b.open(ledgerRef, req)
		if got, want := kinds(first.read()), "opened closed:replaced "; got != want {
			t.Errorf("the older got %q, want %q", got, want)
		}
		first.call(1, "add", 100) // late, of a socket that was replaced
		b.node.Detach(ledgerRef, first.req.Attachment)
		b.node.Close(ledgerRef, first.req.Attachment)
		second.call(1, "add", 1)
		if got, want := kinds(second.read()), "opened added reply:1 "; got != want {
			t.Errorf("the newer got %q, want %q", got, want)
		}
	})
}

// An open whose answer was lost is sent again as it was: it must find its own
// join.
func TestAnOpenMayBeRepeatedWithoutGhosts(t *testing.T) {
	actorRef := host.Ref{Name: "club", Key: host.Key{"a"}}
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, clubs)
		b.open(actorRef, host.OpenRequest{Conn: "c", Producer: "x", Params: json.RawMessage(`{"name":"ada"}`)}).read()
		again := b.open(actorRef, host.OpenRequest{Conn: "c", Producer: "x", Params: json.RawMessage(`{"name":"ada"}`)})
		o := again.read()[0]
		if o.Kind != host.OutputOpened || !o.Opened.Resumed || o.Opened.Start != 0 || o.Opened.Until != 1 {
			t.Errorf("got %+v, want the connection from before its join", o.Opened)
		}
	})
}

func TestTooManyDetachedConnectionsEndTheOldest(t *testing.T) {
	reg := actor.NewRegistry(actor.Define[club]("club", actor.Emits[diaryEvent](), actor.WithOptions(actor.Options{MaxDetached: 2})))
	actortest.Run(t, reg, func(n *actortest.Node) {
		room := n.Actor("club", "a")
		for _, name := range []string{"a", "b", "c"} {
			room.Connect(memberParams{name}).Drop()
			time.Sleep(time.Second)
		}
		if got, want := actortest.Call[string](room, "online"), "b:false c:false"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}

// Opens may overtake one another on their way: the highest attachment counts.
func TestAnOlderAttachmentThatComesLateIsRefused(t *testing.T) {
	inBubble(t, func(t *testing.T) {
		b := newBench(t, nil, ledgers)
		older := b.follow(ledgerRef, asAda)
		newer := b.open(ledgerRef, asAda)
		newer.read()
		older.open()
		if got, want := kinds(older.read()), "closed:replaced "; got != want {
			t.Errorf("the older got %q, want %q", got, want)
		}
		newer.call(1, "add", 1)
		if got, want := kinds(newer.read()), "opened added reply:1 "; got != want {
			t.Errorf("the newer got %q, want %q", got, want)
		}
	})
}

// The client did not see the answer, and asks the same again: it must not be told
// that nothing was lost.
func TestG4_ARepeatedOpenReportsTheSameGap(t *testing.T) {
	for _, test := range []struct {
		reason string
		asks   func(log string) host.OpenRequest
	}{
		{"expired", func(log string) host.OpenRequest {
			r := as("ada")
			r.Resume, r.Log, r.Seq = true, log, 1
			return r
		}},
		{"restart", func(string) host.OpenRequest {
			r := as("ada")
			r.Resume, r.Log, r.Seq = true, "another", 7
			return r
		}},
	} {
		t.Run(test.reason, func(t *testing.T) {
			inBubble(t, func(t *testing.T) {
				b := newBench(t, nil, clubs)
				ada, bob := b.open(clubRef, as("ada")), b.open(clubRef, as("bob"))
				req := test.asks(ada.read()[0].Opened.Log)
				bob.read()
				b.node.Detach(clubRef, ada.req.Attachment)
				time.Sleep(2*time.Minute + 10*time.Second)
				first := b.open(clubRef, req).read()[0].Opened
				if first.Reason != test.reason || first.Resumed {
					t.Fatalf("got %+v, want a new connection, and the reason %s", first, test.reason)
				}
				second := b.open(clubRef, req).read()[0].Opened
				if second.Reason != test.reason || second.AskedAfter != first.AskedAfter || second.Start != first.Start {
					t.Errorf("asked again, got %+v, want %+v: its own join included", second, first)
				}
			})
		})
	}
}
