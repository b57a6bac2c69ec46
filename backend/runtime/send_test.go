package runtime_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
)

// penpal sends letters to others, and notes what it gets.
type penpal struct {
	Got      []string `json:"got"`
	Returned []string `json:"returned"`
	Seen     int      `json:"seen"` // letters, also refused ones
}

// missive is its message. Its text says what the handler does with it.
type missive struct {
	Text string `json:"text"`
}

type postcard struct{}

var (
	letterRuns  counts // of the handler, by the message's id
	returnsFail counts // of OnUndelivered, by the text
)

func (p *penpal) OnCreate(c *nothing) error {
	switch c.Key()[0] {
	case "closed":
		return actor.Errorf("closed", "no letters, please")
	case "troubled":
		return errors.New("as asked")
	}
	return nil
}

func (p *penpal) Post(c *nothing, to string, texts []string) (ids []actor.MessageID) {
	for _, text := range texts {
		ids = append(ids, c.Send(actor.Of("penpal", to), missive{text}))
	}
	return ids
}

func (p *penpal) PostAndFail(c *nothing, to string) error {
	c.Send(actor.Of("penpal", to), missive{"never"})
	return actor.Errorf("failed", "as asked")
}

// Burn destroys it.
func (p *penpal) Burn(c *nothing) { c.Destroy() }

func (p *penpal) PostUndeclared(c *nothing) { c.Send(actor.Of("penpal", "b"), postcard{}) }
func (p *penpal) PostUnknown(c *nothing)    { c.Send(actor.Of("nobody", "b"), missive{}) }
func (p *penpal) PostBadKey(c *nothing) {
	c.Send(actor.Of("penpal", strings.Repeat("x", 5_000)), missive{})
}
func (p *penpal) PostLarge(c *nothing, n int) {
	c.Send(actor.Of("penpal", "b"), missive{strings.Repeat("x", n)})
}
func (p penpal) PostReadOnly(c *nothing)   { c.Send(actor.Of("penpal", "b"), missive{}) }
func (p penpal) Get(*nothing) penpal       { return p }
func (p penpal) GetSender(c *nothing) bool { _, ok := c.Sender(); return ok }

// GetParked returns what is parked, and to whom.
func (p penpal) GetParked(c *nothing) (parked []string) {
	for m := range c.Scheduled() {
		parked = append(parked, fmt.Sprint(m.Type, " to ", m.To.Name, " ", m.To.Key, ": ", m.Parked))
	}
	return parked
}

func (p *penpal) Cancel(c *nothing, id actor.MessageID) bool { return c.Cancel(id) }

func (p *penpal) missive(c *nothing, m missive) error {
	run := letterRuns.add(string(c.MessageID()))
	from, ok := c.Sender()
	if !ok || from.Name != "penpal" || !c.Due().IsZero() {
		return fmt.Errorf("it is of %v and was due at %s", from, c.Due())
	}
	p.Seen++
	p.Got = append(p.Got, from.Key[0]+":"+m.Text)
	switch verb, _, _ := strings.Cut(m.Text, " "); {
	case verb == "refuse":
		return &actor.Error{Code: "unwanted", Message: "no thanks", Metadata: map[string]int{"n": 7}}
	case verb == "fail", verb == "twice" && run <= 2, verb == "tenfold" && run <= 10:
		return errors.New("as asked")
	case verb == "panic" && run == 1:
		panic("as asked")
	case verb == "reply":
		c.Send(from, missive{"re: " + m.Text})
	}
	return nil
}

func (p *penpal) OnUndelivered(c *nothing, u actor.Undelivered) error {
	var m missive
	var wrong postcard
	if !u.As(&m) || u.As(&wrong) || u.As(m) || u.As(nil) || u.Type != "missive" || u.ID != c.MessageID() {
		return fmt.Errorf("it is not what was sent: %+v", u)
	}
	p.Returned = append(p.Returned, u.To.Key[0]+":"+m.Text+":"+u.Err.Code)
	switch n := returnsFail.add(m.Text); {
	case strings.HasSuffix(m.Text, "bounce") && n <= 2:
		return errors.New("as asked")
	case strings.HasSuffix(m.Text, "shrug"):
		return actor.Errorf("so_what", "as asked")
	}
	return nil
}

func penpals(t *testing.T, f func(n *actortest.Node)) {
	t.Helper()
	letterRuns, returnsFail = counts{}, counts{}
	actortest.Run(t, actor.NewRegistry(actor.Define[penpal]("penpal", actor.Handles((*penpal).missive))), f)
}

func post(n *actortest.Node, from, to string, texts ...string) []actor.MessageID {
	n.T.Helper()
	return actortest.Call[[]actor.MessageID](n.Actor("penpal", from), "post", to, texts)
}

func penpalOf(n *actortest.Node, key string) penpal {
	n.T.Helper()
	return actortest.Call[penpal](n.Actor("penpal", key), "get")
}

func (p penpal) wants(t testing.TB, what string, got, returned string) {
	t.Helper()
	if g, r := strings.Join(p.Got, " "), strings.Join(p.Returned, " "); g != got || r != returned {
		t.Errorf("%s: it got %q and %q came back, want %q and %q", what, g, r, got, returned)
	}
}

func TestG12_AMessageReachesAnotherActor(t *testing.T) {
	penpals(t, func(n *actortest.Node) {
		ids := post(n, "a", "b", "one", "reply", "three")
		if len(ids) != 3 || ids[0] == "" || ids[0] == ids[1] {
			t.Errorf("the ids are %q", ids)
		}
		time.Sleep(time.Second)
		penpalOf(n, "b").wants(t, "the receiver, which did not exist", "a:one a:reply a:three", "")
		penpalOf(n, "a").wants(t, "the sender", "b:re: reply", "")
		for _, id := range ids {
			if runs := letterRuns.get(string(id)); runs != 1 {
				t.Errorf("the handler has run %d times with the id %s", runs, id)
			}
		}
		post(n, "a", "a", "to myself")
		time.Sleep(time.Second)
		penpalOf(n, "a").wants(t, "a missive to oneself", "b:re: reply a:to myself", "")
		if actortest.Call[bool](n.Actor("penpal", "a"), "getSender") {
			t.Error("an action has a sender")
		}
	})
}

func TestG12_NothingLeavesAFailedTurn(t *testing.T) {
	penpals(t, func(n *actortest.Node) {
		if err := n.Actor("penpal", "a").Fail("postAndFail", "b"); err.Code != "failed" {
			t.Errorf("the failure is %v", err)
		}
		time.Sleep(time.Hour)
		penpalOf(n, "b").wants(t, "after a turn that failed", "", "")
	})
}

func TestMistakesInSendFailTheTurn(t *testing.T) {
	penpals(t, func(n *actortest.Node) {
		a := n.Actor("penpal", "a")
		for _, test := range []struct{ action, code, want string }{
			{"postUndeclared", "internal_error", "add actor.Handles((*penpal).postcard) to the definition of \"penpal\""},
			{"postUnknown", "internal_error", "there is no actor of that name"},
			{"postBadKey", "bad_key", "128 bytes"},
			{"postReadOnly", "read_only", "cannot send a message"},
		} {
			if err := a.Fail(test.action); err.Code != test.code || !strings.Contains(err.Message, test.want) {
				t.Errorf("%s fails with %v, want %s and %q", test.action, err, test.code, test.want)
			}
		}
		if err := a.Fail("postLarge", 64<<10); err.Code != "too_large" {
			t.Errorf("a message of more than 64 KiB fails with %v", err)
		}
		actortest.Call[any](a, "postLarge", 64<<10-100)
	})
}

func TestG12_ARefusedMessageComesBackOnce(t *testing.T) {
	penpals(t, func(n *actortest.Node) {
		post(n, "a", "b", "one", "refuse", "three", "refuse shrug")
		time.Sleep(time.Second)
		b := penpalOf(n, "b")
		b.wants(t, "the receiver", "a:one a:three", "")
		if b.Seen != 2 {
			t.Errorf("refused letters have left a trace: %d", b.Seen)
		}
		time.Sleep(time.Hour)
		penpalOf(n, "a").wants(t, "the sender", "", "b:refuse:unwanted")
		n.Restart()
		time.Sleep(time.Hour)
		penpalOf(n, "a").wants(t, "the sender after a restart", "", "b:refuse:unwanted")
	})
}

// A failing OnUndelivered is undone with its turn, and runs again.
func TestG12_OnUndeliveredRunsAgainIfItFails(t *testing.T) {
	penpals(t, func(n *actortest.Node) {
		id := post(n, "a", "b", "refuse bounce", "next")[0]
		time.Sleep(time.Minute)
		penpalOf(n, "a").wants(t, "the sender", "", "b:refuse bounce:unwanted")
		penpalOf(n, "b").wants(t, "the receiver", "a:next", "")
		if runs, returns := letterRuns.get(string(id)), returnsFail.get("refuse bounce"); runs != 1 || returns != 3 {
			t.Errorf("the handler has run %d times and OnUndelivered %d times, want 1 and 3", runs, returns)
		}
	})
}

func TestG12_AReceiverThatRefusesToBeMade(t *testing.T) {
	penpals(t, func(n *actortest.Node) {
		post(n, "a", "closed", "one", "two")
		time.Sleep(time.Second)
		penpalOf(n, "a").wants(t, "the sender", "", "closed:one:closed closed:two:closed")
		if err := n.Actor("penpal", "closed").Fail("get"); err.Code != "closed" {
			t.Errorf("the receiver exists: %v", err)
		}
		time.Sleep(48 * time.Hour) // what is left of it ends
		post(n, "a", "closed", "three")
		time.Sleep(time.Second)
		penpalOf(n, "a").wants(t, "the sender two days later", "", "closed:one:closed closed:two:closed closed:three:closed")
	})
}

func TestG12_AFailingMessageIsTriedAgain(t *testing.T) {
	penpals(t, func(n *actortest.Node) {
		ids := post(n, "a", "b", "twice", "panic", "three")
		time.Sleep(time.Minute)
		b := penpalOf(n, "b")
		b.wants(t, "the receiver", "a:twice a:panic a:three", "")
		if b.Seen != 3 {
			t.Errorf("failed runs have left a trace: %d", b.Seen)
		}
		var runs []int
		for _, id := range ids {
			runs = append(runs, letterRuns.get(string(id)))
		}
		if !slices.Equal(runs, []int{3, 2, 1}) {
			t.Errorf("the handlers have run %d times, want 3, 2 and 1", runs)
		}
	})
}

// A message whose handler keeps failing is parked after ten tries, and lets those behind it
// pass.
func TestG12_AParkedMessageLetsOthersPass(t *testing.T) {
	for _, to := range []string{"b", "troubled"} {
		penpals(t, func(n *actortest.Node) {
			id := post(n, "a", to, "fail", "next")[0]
			a := n.Actor("penpal", "a")
			time.Sleep(time.Second)
			if got := actortest.Call[[]string](a, "getParked"); len(got) > 0 || actortest.Call[bool](a, "cancel", id) {
				t.Errorf("on its way the message is among the scheduled ones, as %v, or can be canceled", got)
			}
			time.Sleep(time.Hour)
			penpalOf(n, "a").wants(t, "the sender", "", "")
			if to == "b" {
				penpalOf(n, "b").wants(t, "the receiver", "a:next", "")
				if runs := letterRuns.get(string(id)); runs != 10 {
					t.Errorf("the handler has run %d times, want 10", runs)
				}
			}
			n.Restart()
			time.Sleep(time.Hour)
			if runs := letterRuns.get(string(id)); runs > 10 {
				t.Errorf("the parked message has run again after a restart")
			}
			parked := len(a.Scheduled())
			for _, got := range actortest.Call[[]string](a, "getParked") {
				if want := fmt.Sprintf("missive to penpal [%q]: ", to); !strings.HasPrefix(got, want) || !strings.HasSuffix(got, "as asked") {
					t.Errorf("scheduled is %s, want it to begin with %s", got, want)
				}
			}
			if canceled := actortest.Call[bool](a, "cancel", id); !canceled || parked == 0 || len(a.Scheduled()) != parked-1 {
				t.Errorf("it is canceled: %v; %d of %d are left", canceled, len(a.Scheduled()), parked)
			}
		})
	}
}

func TestG12_MessagesSurviveRestartsAndSleep(t *testing.T) {
	penpals(t, func(n *actortest.Node) {
		for i := range 20 {
			post(n, "a", "b", fmt.Sprint("reply ", i))
			n.Restart()
			if i%5 == 0 {
				time.Sleep(time.Hour)
			}
		}
		time.Sleep(time.Hour)
		var want, wantReplies []string
		for i := range 20 {
			want, wantReplies = append(want, fmt.Sprint("a:reply ", i)), append(wantReplies, fmt.Sprint("b:re: reply ", i))
		}
		penpalOf(n, "b").wants(t, "the receiver", strings.Join(want, " "), "")
		penpalOf(n, "a").wants(t, "the sender", strings.Join(wantReplies, " "), "")
	})
}
