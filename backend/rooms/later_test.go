package rooms_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor/actortest"
	"github.com/troupe-dev/troupe/backend/rooms"
)

func in(d time.Duration) rooms.Timing { return rooms.Timing{At: time.Now().Add(d).UnixMilli()} }

func later(room actortest.Caller) []rooms.Later {
	return actortest.Call[[]rooms.Later](room, "getLater")
}

func TestChat_sendsLater(t *testing.T) {
	actortest.Run(t, rooms.Registry, func(n *actortest.Node) {
		room := n.Actor("chatRoom", "general")
		ada, bob := room.Connect(member{UserID: "ada", Name: "Ada"}), room.Connect(member{UserID: "bob"})
		actortest.Call[any](ada, "sendTimed", "ada", "tomorrow", in(24*time.Hour))
		actortest.Call[any](ada, "sendTimed", "ada", "soon", in(time.Hour))
		waiting := later(ada)
		if len(waiting) != 2 || waiting[0].Text != "soon" || waiting[1].Text != "tomorrow" {
			t.Errorf("waiting: got %+v", waiting)
		}
		changes := actortest.Events[rooms.LaterChanged](ada)
		same(t, "what Ada's pages get", changes[len(changes)-1].Later, waiting)
		same(t, "what Bob's get", len(actortest.Events[rooms.LaterChanged](bob)), 0)
		same(t, "for Bob", later(bob), []rooms.Later{})

		time.Sleep(time.Hour - time.Millisecond)
		same(t, "a moment before", len(actortest.Events[rooms.MessageReceived](bob)), 0)
		time.Sleep(time.Millisecond)
		got := actortest.Events[rooms.MessageReceived](bob)
		if len(got) != 1 || got[0].Text != "soon" || got[0].Name != "Ada" || got[0].Timestamp != time.Now().UnixMilli() {
			t.Errorf("after an hour: got %+v", got)
		}

		n.Restart() // what waits is stored
		ada.Resume()
		bob.Resume()
		time.Sleep(23 * time.Hour)
		same(t, "after a day", texts(actortest.Events[rooms.MessageReceived](bob)), []string{"soon", "tomorrow"})
		same(t, "nothing waits", later(ada), []rooms.Later{})
	})
}

func TestChat_cancelsWhatIsSentLater(t *testing.T) {
	chat(t, func(room *actortest.Actor) {
		ada, bob := room.Connect(member{UserID: "ada"}), room.Connect(member{UserID: "bob"})
		actortest.Call[any](ada, "sendTimed", "ada", "never", in(time.Minute))
		id := later(ada)[0].ID
		if err := bob.Fail("cancelLater", id); err.Code != "not_yours" {
			t.Errorf("another user: got %v, want not_yours", err)
		}
		actortest.Call[any](ada, "cancelLater", id)
		actortest.Call[any](ada, "cancelLater", id) // again: no error
		same(t, "waiting", later(ada), []rooms.Later{})
		time.Sleep(time.Hour)
		same(t, "sent", len(actortest.Events[rooms.MessageReceived](ada)), 0)
	})
}

func TestChat_messagesDeleteThemselves(t *testing.T) {
	chat(t, func(room *actortest.Actor) {
		ada := room.Connect(member{UserID: "ada"})
		brief := rooms.Timing{KeepMs: time.Minute.Milliseconds()}
		actortest.Call[any](ada, "sendTimed", "ada", "one", brief)
		actortest.Call[any](ada, "sendTimed", "ada", "two", brief)
		got := actortest.Call[[]rooms.Message](ada, "getMessages")
		if len(got) != 2 || got[0].DeletedAt != time.Now().Add(time.Minute).UnixMilli() {
			t.Fatalf("got %+v", got)
		}
		actortest.Call[any](ada, "deleteMessage", got[1].ID)
		time.Sleep(time.Minute)
		same(t, "left", actortest.Call[[]rooms.Message](ada, "getMessages"), []rooms.Message{})
		deleted := []rooms.MessageDeleted{{MessageID: got[1].ID}, {MessageID: got[0].ID}}
		same(t, "deleted", actortest.Events[rooms.MessageDeleted](ada), deleted)
	})
}

func TestChat_sendsLaterForAWhile(t *testing.T) {
	chat(t, func(room *actortest.Actor) {
		ada := room.Connect(member{UserID: "ada"})
		timing := in(time.Minute)
		timing.KeepMs = 1000
		actortest.Call[any](ada, "sendTimed", "ada", "hi", timing)
		time.Sleep(time.Minute)
		same(t, "sent", texts(actortest.Call[[]rooms.Message](ada, "getMessages")), []string{"hi"})
		time.Sleep(time.Second)
		same(t, "left", len(actortest.Call[[]rooms.Message](ada, "getMessages")), 0)
	})
}

func TestChat_timesAreLimited(t *testing.T) {
	chat(t, func(room *actortest.Actor) {
		ada := room.Connect(member{UserID: "ada"})
		for _, timing := range []rooms.Timing{in(400 * 24 * time.Hour), {KeepMs: -1}, {KeepMs: 1 << 60}} {
			if err := ada.Fail("sendTimed", "ada", "hi", timing); err.Code != "bad_time" {
				t.Errorf("%+v: got %v, want bad_time", timing, err)
			}
		}
		if err := ada.Fail("sendTimed", "bob", "hi", in(time.Minute)); err.Code != "wrong_user" {
			t.Errorf("as another user: got %v, want wrong_user", err)
		}
		actortest.Call[any](ada, "sendTimed", "ada", "at once", in(-time.Hour))
		same(t, "a time that is over", texts(actortest.Events[rooms.MessageReceived](ada)), []string{"at once"})
		for i := range 20 {
			actortest.Call[any](ada, "sendTimed", "ada", fmt.Sprint(i), in(time.Hour))
		}
		if err := ada.Fail("sendTimed", "ada", "21", in(time.Hour)); err.Code != "too_many_later" {
			t.Errorf("got %v, want too_many_later", err)
		}
		time.Sleep(time.Hour)
		same(t, "all at once", len(actortest.Events[rooms.MessageReceived](ada)), 21)
	})
}
