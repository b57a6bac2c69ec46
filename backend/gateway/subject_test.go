package gateway_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
)

// Purse is for everyone with a name, each connection for the one who opened it.
type Purse struct {
	Paid actor.Map[string, int] `json:"paid"`
}

type (
	// PurseParams are what a client passes to connect().
	PurseParams struct {
		As      string `json:"as,omitempty"`
		Seconds int    `json:"seconds,omitempty"` // that the session lasts
	}
	// Holder is the identity of a client, but for the end of its session.
	Holder struct {
		Name string
		Ends time.Time
	}
	// Whisper is an event for one connection.
	Whisper string
	// Parted is an event: a connection is over.
	Parted string
	// purseContext has the name of who opened the connection.
	purseContext = actor.Context[string]
)

func (h Holder) Subject() string        { return h.Name }
func (h *Holder) ValidUntil() time.Time { return h.Ends }

func (Purse) OnAuth(_ context.Context, r *actor.AuthRequest) (Holder, error) {
	var p PurseParams
	h := Holder{Name: r.Header.Cookie("who")}
	if r.Params(&p); p.As != "" {
		h.Name = p.As
	}
	if p.Seconds != 0 {
		h.Ends = time.Now().Add(time.Duration(p.Seconds) * time.Second)
	}
	return h, nil
}

func (Purse) OnAccess(c *actor.AccessContext) error {
	if actor.Auth[Holder](c).Name == "mallory" {
		return actor.Errorf("forbidden", "not you")
	}
	return nil
}

func (p *Purse) CreateConnState(c *actor.ConnectContext) string { return actor.Auth[Holder](c).Name }

func (p *Purse) OnDisconnect(c *purseContext) { c.Broadcast(Parted(c.Conn().State())) }

// Pay adds n to what the caller has paid, and returns that.
func (p *Purse) Pay(c *purseContext, n int) string {
	who := actor.Auth[Holder](c).Name
	sum, _ := p.Paid.Get(who)
	p.Paid.Set(who, sum+n)
	return fmt.Sprint(who, " ", sum+n)
}

// Fail fails.
func (p *Purse) Fail(c *purseContext) error {
	return actor.Errorf("no_money", "%s has none", actor.Auth[Holder](c).Name)
}

// Tell whispers to every connection.
func (p *Purse) Tell(c *purseContext) {
	p.Paid.Set("told", 1)
	for conn := range c.Conns() {
		conn.Send(Whisper("for " + conn.State()))
	}
}

// All returns what everyone has paid.
func (p Purse) All(*purseContext) map[string]int {
	all := map[string]int{}
	for who, n := range p.Paid.All() {
		all[who] = n
	}
	return all
}

func purses(o actor.Options) setup {
	return otherActor(actor.Define[Purse]("purse", actor.Emits[Whisper](), actor.Emits[Parted](), actor.WithOptions(o)))
}

const purse = `"actor":"purse"`

func (e *env) purse(who, action, args string, header ...string) answer {
	return do(e.t, e.h, "POST", "/api/actors/purse/actions/"+action+"?key=lobby", `{"args":`+args+`}`, append(header, "Cookie", "who="+who)...)
}

func (e *env) wantPaid(want string) {
	e.t.Helper()
	if a := e.purse("ada", "all", "[]"); a.body != `{"result":`+want+`}` {
		e.t.Errorf("paid: got %s, want %s", a.body, want)
	}
}

// The memory of an Idempotency-Key is one per subject: nobody gets another one's result, is
// refused for another one's call, or keeps it from running.
func TestSubject_idempotencyKeys(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		const key = "Idempotency-Key"
		for _, step := range []struct {
			who, action, args string
			status            int
			want              string
		}{
			{"dan", "pay", "[100]", 200, `{"result":"dan 100"}`},
			{"eve", "pay", "[100]", 200, `{"result":"eve 100"}`}, // not dan's
			{"dan", "pay", "[100]", 200, `{"result":"dan 100"}`}, // kept
			{"eve", "pay", "[100]", 200, `{"result":"eve 100"}`}, // kept
			{"fay", "pay", "[7]", 200, `{"result":"fay 7"}`},     // she does not learn that it is another call's
			{"dan", "pay", "[7]", 422, ""},                       // which is for its own subject to hear
			{"mallory", "pay", "[100]", 403, ""},
			{"gus", "fail", "[]", 422, ""},
			{"hal", "pay", "[1]", 200, `{"result":"hal 1"}`},
		} {
			a := e.purse(step.who, step.action, step.args, key, "order-1")
			if a.status != step.status || step.status == 200 && a.body != step.want {
				t.Errorf("%+v: got %d %s", step, a.status, a.body)
			}
		}
		e.wantPaid(`{"dan":100,"eve":100,"fay":7,"hal":1}`)
		if e.dir != "" {
			e.restart()
			if a := e.purse("eve", "pay", "[100]", key, "order-1"); a.body != `{"result":"eve 100"}` {
				t.Errorf("after a restart: got %d %s", a.status, a.body)
			}
			e.wantPaid(`{"dan":100,"eve":100,"fay":7,"hal":1}`)
		}
	}, purses(actor.Options{}))
}

// A connection belongs to a subject. Another one that has its secret gets a new connection,
// with nothing of what was meant for the first.
func TestSubject_aConnectionDoesNotChangeHands(t *testing.T) {
	for _, row := range []struct {
		name       string
		restart    bool
		anySubject bool
		bob        string // who comes back with ada's secret
		want       []string
		paid       string
	}{
		{"the same subject", false, false, "ada", []string{"1 opened 0 resumed", `1 event 1 whisper "for ada"`, "1 at 1", `1 reply 2 #1 "ada 5"`}, `{"ada":5,"told":1}`},
		{"another subject", false, false, "bob", []string{"1 opened 2 lost identity 0 false", "1 at 2", `1 reply 3 #1 "bob 5"`}, `{"bob":5,"told":1}`},
		{"another subject after a restart", true, false, "bob", []string{"1 opened 2 lost identity 0 false", "1 at 2", `1 reply 3 #1 "bob 5"`}, `{"bob":5,"told":1}`},
		{"no subject", false, false, "", []string{"1 opened 2 lost identity 0 false", "1 at 2", `1 reply 3 #1 " 5"`}, `{"":5,"told":1}`},
		{"another subject, and the actor allows any", false, true, "bob", []string{"1 opened 0 resumed", `1 event 1 whisper "for ada"`, "1 at 1", `1 reply 2 #1 "bob 5"`}, `{"bob":5,"told":1}`},
		{"one whom OnAccess refuses", false, false, "mallory", []string{"1 closed forbidden false", "1 fail #1 unknown_channel"}, `{"told":1}`},
	} {
		t.Run(row.name, func(t *testing.T) {
			run(t, func(t *testing.T, e *env) {
				c := e.dialAs(cookie("ada"))
				c.open(1, "ada", purse)
				e.settle()
				log := c.takeMessages()[0].Log
				c.cut()
				e.settle()
				if a := e.purse("eve", "tell", "[]"); a.status != 200 {
					t.Fatal(a.body)
				}
				if row.restart {
					if e.dir == "" {
						return
					}
					e.restart()
				}
				c = e.dialAs(cookie(row.bob))
				c.open(1, "ada", purse, resume(log, 0))
				e.settle()
				c.call(1, 1, "pay", 5)
				e.settle()
				c.expect(row.want...)
				e.wantPaid(row.paid)
				if row.bob != "mallory" {
					return
				}
				// Ada's connection is as it was.
				c = e.dialAs(cookie("ada"))
				c.open(1, "ada", purse, resume(log, 0))
				e.settle()
				c.expect("1 opened 0 resumed", `1 event 1 whisper "for ada"`, "1 at 1")
			}, purses(actor.Options{AnySubject: row.anySubject}))
		})
	}
}

// A client that has lost the answer which says that its connection is another subject's is told
// again, so that it gives up the calls of the one before it. After its own first call it is not.
func TestSubject_theAnswerIsLost(t *testing.T) {
	runOver(t, func(t *testing.T, e *env) {
		c := e.dialAs(cookie("ada"))
		c.open(1, "ada", purse)
		e.settle()
		log := c.takeMessages()[0].Log
		c.cut()
		e.settle()
		for range 3 {
			c = e.dialAs(cookie("bob"))
			c.open(1, "ada", purse, resume(log, 0))
			e.settle()
			c.expect("1 opened 1 lost identity 0 true", "1 at 1")
			c.cut()
			e.settle()
		}
		c = e.dialAs(cookie("bob"))
		c.open(1, "ada", purse, resume(log, 0))
		e.settle()
		c.take()
		c.call(1, 1, "pay", 5)
		e.settle()
		c.cut() // it may or may not see the answer
		e.settle()
		c = e.dialAs(cookie("bob"))
		c.open(1, "ada", purse, resume(log, 0))
		e.settle()
		if m := c.takeMessages()[0]; m.Lost != nil && m.Lost.Reason == "identity" {
			t.Errorf("got lost %+v after a call of its own", m.Lost)
		}
	}, purses(actor.Options{}))
}

// Greeter greets its connections.
type Greeter struct{}

func (Greeter) OnAuth(_ context.Context, r *actor.AuthRequest) (Holder, error) {
	return Holder{Name: r.Header.Cookie("who")}, nil
}

func (*Greeter) OnConnect(c *actor.Context[actor.NoState]) {
	c.Conn().Send(Whisper("hello " + actor.Auth[Holder](c).Name))
}

// Burst sends much to everyone.
func (*Greeter) Burst(c *actor.Context[actor.NoState]) {
	for range 4 {
		c.Broadcast(Parted(strings.Repeat("x", 100_000)))
	}
}

// It is told so, too, if the log's memory does not have any more what OnConnect sent, so that it
// joins again.
func TestSubject_theAnswerAndTheJoiningAreLost(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		if e.lagging {
			return // there the owner's log is large
		}
		const greeter = `"actor":"greeter"`
		c := e.dialAs(cookie("ada"))
		c.open(1, "ada", greeter)
		e.settle()
		log := c.takeMessages()[0].Log
		c.cut()
		e.settle()
		for range 3 {
			c = e.dialAs(cookie("bob"))
			c.open(1, "ada", greeter, resume(log, 1))
			e.settle()
			if m := c.takeMessages()[0]; m.Resumed || m.Lost == nil || m.Lost.Reason != "identity" {
				t.Errorf("got %+v (lost %+v), want a new connection that says identity", m, m.Lost)
			}
			c.cut()
			e.settle()
			for range 3 {
				if a := do(t, e.h, "POST", "/api/actors/greeter/actions/burst?key=lobby", `{"args":[]}`); a.status != 200 {
					t.Fatal(a.body)
				}
			}
			e.settle()
		}
	}, otherActor(actor.Define[Greeter]("greeter", actor.Emits[Whisper](), actor.Emits[Parted](), actor.WithOptions(actor.Options{LogBytes: 200_000}))))
}

// The replies that are kept for a client that numbers its calls are for its own subject, and
// so is what it may repeat.
func TestSubject_repliesAndRepeatedCalls(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dialAs(cookie("ada"))
		c.open(1, "ada", purse)
		e.settle()
		log := c.takeMessages()[0].Log
		c.call(1, 1, "pay", 100)
		c.call(1, 2, "fail")
		c.cut() // it may or may not see the answers
		e.settle()
		for _, who := range []string{"bob", "ada", "bob"} {
			c = e.dialAs(cookie(who))
			c.open(1, "ada", purse, resume(log, 0))
			e.settle()
			c.call(1, 1, "pay", 100)
			c.call(1, 2, "fail")
			e.settle()
			for _, m := range c.takeMessages() {
				if other := map[string]string{"ada": "bob", "bob": "ada"}[who]; slices.Contains([]string{`"` + other + ` 100"`, `"` + other + ` 200"`}, string(m.Data)) || m.Message == other+" has none" {
					t.Errorf("%s gets %s", who, brief(m))
				}
			}
			c.cut()
			e.settle()
		}
		e.wantPaid(`{"ada":100,"bob":100}`)
	}, purses(actor.Options{}))
}

// New params of another subject end the attachment at once: the client opens it again, as a
// new connection, and what it has sent meanwhile runs as nobody else's.
func TestSubject_refresh(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dialAs(cookie("ada"))
		c.open(1, "ada", purse)
		e.settle()
		log := c.takeMessages()[0].Log
		c.send(`{"t":"params","c":1,"params":{"as":"ada"}}`)
		c.call(1, 1, "pay", 1)
		c.send(`{"t":"params","c":1,"params":{"as":"bob"}}`)
		c.call(1, 2, "pay", 2)
		e.settle()
		c.expect(`1 reply 1 #1 "ada 1"`, "1 closed identity true")
		c.open(2, "ada", purse, `"params":{"as":"bob"}`, resume(log, 1), `"subs":["parted"]`)
		e.settle()
		c.call(2, 2, "pay", 2)
		e.settle()
		c.expect("2 opened 2 lost identity 1 true", "2 at 2", `2 reply 3 #2 "bob 2"`)
		e.wantPaid(`{"ada":1,"bob":2}`)
	}, purses(actor.Options{}))
}

// A connection whose identity is valid for some time is authenticated again then. It loses
// nothing if it is still the same one's.
func TestSubject_validUntil(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dialAs(cookie("ada"))
		c.open(1, "ada", purse, `"params":{"seconds":60}`)
		c.open(2, "ada, longer", purse, `"params":{"seconds":200}`)
		c.open(3, "over", purse, `"params":{"seconds":-1}`)
		e.settle()
		var log string
		for _, m := range c.takeMessages() {
			if m.Channel == 1 && m.Log != "" {
				log = m.Log
			}
			if m.Channel == 3 && brief(m) != "3 closed unauthorized false" {
				t.Errorf("a session that is over: got %s", brief(m))
			}
		}
		time.Sleep(50 * time.Second)
		e.settle()
		c.expect()
		time.Sleep(10 * time.Second)
		e.settle()
		c.expect("1 closed identity true")
		if a := e.purse("zoe", "tell", "[]"); a.status != 200 {
			t.Fatal(a.body)
		}
		c.open(4, "ada", purse, `"params":{"seconds":60}`, resume(log, 0))
		e.settle()
		c.expect(`2 event 1 whisper "for ada"`, "4 opened 0 resumed", `4 event 1 whisper "for ada"`, "4 at 1")
		c.send(`{"t":"params","c":4,"params":{"seconds":3600}}`) // in time
		time.Sleep(100 * time.Second)
		e.settle()
		c.expect()
		time.Sleep(50 * time.Second)
		e.settle()
		c.expect("2 closed identity true")
	}, purses(actor.Options{}))
}

// Disconnect ends all connections of a subject: to all actors, with a socket or without, and
// those that are being opened. Others stay.
func TestSubject_disconnect(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c, other := e.dialAs(cookie("ada")), e.dialAs(cookie("bob"))
		c.open(1, "one", purse)
		c.open(2, "two", purse, `"key":["2"]`)
		c.open(3, "room") // which identifies nobody
		other.open(1, "bob", purse, `"subs":["parted"]`)
		gone := e.dialAs(cookie("ada"))
		gone.open(1, "gone", purse)
		e.settle()
		gone.cut()
		if e.dir != "" {
			c.cut()
			other.cut()
			e.restart()
			c, other = e.dialAs(cookie("ada")), e.dialAs(cookie("bob"))
			other.open(1, "bob", purse, `"subs":["parted"]`)
		}
		e.settle()
		c.take()
		other.take()
		if err := e.node.Disconnect(t.Context(), runtime.SubjectOf("ada"), "signed out"); err != nil {
			t.Fatal(err)
		}
		e.settle()
		slow := "1 closed disconnected false, 2 closed disconnected false"
		got := c.take()
		slices.Sort(got)
		if e.dir == "" && strings.Join(got, ", ") != slow {
			t.Errorf("got %q, want %s", got, slow)
		}
		if got := other.take(); len(got) != 2 {
			t.Errorf("bob got %q, want that two connections have ended", got)
		}
		other.isOpen()
		c.open(4, "one", purse) // OnAuth lets it in again
		e.settle()
		if got := c.take(); !strings.Contains(strings.Join(got, ", "), "4 opened") || strings.Contains(got[0], "resumed") {
			t.Errorf("got %q, want a new connection", got)
		}
	}, purses(actor.Options{}))
}

// An open that was authenticated before a Disconnect and comes after it is authenticated
// again.
func TestSubject_disconnectMeanwhile(t *testing.T) {
	var before func()
	run(t, func(t *testing.T, e *env) {
		c := e.dialAs(cookie("ada"))
		before = func() {
			if err := e.node.Disconnect(context.Background(), runtime.SubjectOf("ada"), "signed out"); err != nil {
				t.Error(err)
			}
		}
		c.open(1, "ada", purse)
		e.settle()
		c.expect("1 closed identity true")
		c.open(2, "ada", purse)
		e.settle()
		c.expect("2 opened 0", "2 at 0")
	}, purses(actor.Options{}), wrapHost(func(p host.Host) host.Host { return lastWordHost{p, &before} }))
}
