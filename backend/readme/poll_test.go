package readme

import (
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
)

func TestPollClosesByItself(t *testing.T) {
	actortest.Run(t, polls, func(n *actortest.Node) {
		poll := n.Actor("poll", "lunch")
		actortest.Call[any](poll, "start", 60)
		if got := poll.Scheduled(); len(got) != 1 || got[0].Name != "close" {
			t.Errorf("got %+v, want the end of the poll", got)
		}
		n.Crash() // the server is killed, and starts again

		time.Sleep(time.Hour) // takes no time
		if actortest.Call[bool](poll, "isOpen") {
			t.Error("it is open after an hour")
		}
	})
}

func TestPollMessages(t *testing.T) {
	mails := map[string]int{} // by key
	failures := 2
	defer func(before func(to, key string) error) { sendMail = before }(sendMail)
	sendMail = func(to, key string) error {
		mails[key]++
		if failures--; failures >= 0 {
			return errors.New("the service does not answer")
		}
		return nil
	}
	actortest.Run(t, polls, func(n *actortest.Node) {
		poll := n.Actor("poll", "lunch")
		ada := poll.Connect(nil)
		actortest.Call[any](poll, "start", 60)
		actortest.Call[any](poll, "start", 120) // replaces what has its name
		id := actortest.Call[actor.MessageID](poll, "remind", "ada@example.com")
		bob := actortest.Call[actor.MessageID](poll, "remind", "bob@example.com")
		if !actortest.Call[bool](poll, "forget", bob) || actortest.Call[bool](poll, "forget", bob) {
			t.Error("a message can be canceled once")
		}
		if got, want := actortest.Call[[]string](poll, "waiting"), []string{"closeVote close", "reminder "}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if !actortest.Call[bool](poll, "extend") {
			t.Error("there is nothing to cancel")
		}
		time.Sleep(25 * time.Hour)
		if got := actortest.Events[VoteClosed](ada); len(got) != 0 {
			t.Errorf("got %v, but the end was canceled", got)
		}
		if len(mails) != 1 || mails[string(id)] != 3 {
			t.Errorf("got %v, want three tries with the key %s", mails, id)
		}

		actortest.Call[any](poll, "start", 1)
		actortest.Call[any](poll, "remind", "ada@example.com")
		time.Sleep(25 * time.Hour)
		if got := actortest.Events[VoteClosed](ada); !slices.Equal(got, []VoteClosed{{3}}) {
			t.Errorf("got %v, want the end of the third round", got)
		}
		if len(mails) != 1 || len(poll.Scheduled()) != 0 {
			t.Errorf("a refused reminder: got %v and %v", mails, poll.Scheduled())
		}
	})
}
