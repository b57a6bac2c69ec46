package rooms_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
	"github.com/troupe-dev/troupe/backend/rooms"
)

type member = rooms.ChatParams

// chat runs a test with a chat room.
func chat(t *testing.T, test func(room *actortest.Actor)) {
	actortest.Run(t, rooms.Registry, func(n *actortest.Node) { test(n.Actor("chatRoom", "general")) })
}

// texts returns the texts of messages.
func texts[M rooms.Message | rooms.MessageReceived](messages []M) []string {
	var all []string
	for _, m := range messages {
		all = append(all, rooms.Message(m).Text)
	}
	return all
}

// lastMembers returns the user ids of the newest membersChanged.
func lastMembers(t *testing.T, conn *actortest.Conn) []string {
	t.Helper()
	changes := actortest.Events[rooms.MembersChanged](conn)
	if len(changes) == 0 {
		t.Fatal("no membersChanged")
	}
	return userIDs(changes[len(changes)-1].Members)
}

func userIDs(members []rooms.Member) []string {
	var ids []string
	for _, m := range members {
		ids = append(ids, m.UserID)
	}
	return ids
}

// code returns the code of an error of an actor, "" if it is none.
func code(err error) string {
	var e *actor.Error
	if !errors.As(err, &e) {
		return ""
	}
	return e.Code
}

func same(t *testing.T, what string, got, want any) {
	t.Helper()
	if fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%s: got %v, want %v", what, got, want)
	}
}

func TestChat_broadcastsMessages(t *testing.T) {
	chat(t, func(room *actortest.Actor) {
		ada := room.Connect(member{UserID: "ada", Name: "Ada"})
		bob := room.Connect(nil)
		sent := actortest.Call[rooms.Message](ada, "sendMessage", "ada", "hi")
		if sent.ID == "" || sent.UserID != "ada" || sent.Name != "Ada" || sent.Text != "hi" || sent.Timestamp != time.Now().UnixMilli() {
			t.Errorf("got %+v", sent)
		}
		for _, conn := range []*actortest.Conn{ada, bob} {
			same(t, "received", actortest.Events[rooms.MessageReceived](conn), []rooms.MessageReceived{rooms.MessageReceived(sent)})
		}
		same(t, "getMessages", actortest.Call[[]rooms.Message](room, "getMessages"), []rooms.Message{sent})
	})
}

func TestChat_callWithoutConnection(t *testing.T) {
	chat(t, func(room *actortest.Actor) {
		bob := room.Connect(nil)
		sent := actortest.Call[rooms.Message](room, "sendMessage", "user-123", "over HTTP")
		same(t, "received", texts(actortest.Events[rooms.MessageReceived](bob)), []string{"over HTTP"})
		same(t, "name", sent.Name, "")
	})
}

func TestChat_refusesMessages(t *testing.T) {
	chat(t, func(room *actortest.Actor) {
		ada := room.Connect(member{UserID: "ada"})
		tests := []struct{ userID, text, code string }{
			{"ada", "", "empty_message"},
			{"ada", " \n\t ", "empty_message"},
			{"ada", strings.Repeat("ä", 2001), "message_too_long"},
			{"bob", "hi", "wrong_user"},
			{"", "hi", "wrong_user"},
		}
		for _, test := range tests {
			if err := ada.Fail("sendMessage", test.userID, test.text); err.Code != test.code {
				t.Errorf("%s says %.9q: got %v, want %s", test.userID, test.text, err, test.code)
			}
		}
		same(t, "received", actortest.Events[rooms.MessageReceived](ada), []rooms.MessageReceived{})
		actortest.Call[rooms.Message](ada, "sendMessage", "ada", strings.Repeat("ä", 2000))
	})
}

func TestChat_authorsDeleteTheirMessages(t *testing.T) {
	chat(t, func(room *actortest.Actor) {
		ada, bob, guest := room.Connect(member{UserID: "ada"}), room.Connect(member{UserID: "bob"}), room.Connect(nil)
		first := actortest.Call[rooms.Message](ada, "sendMessage", "ada", "one")
		second := actortest.Call[rooms.Message](ada, "sendMessage", "ada", "two")
		if err := bob.Fail("deleteMessage", first.ID); err.Code != "not_yours" {
			t.Errorf("another user: got %v, want not_yours", err)
		}
		actortest.Call[any](ada, "deleteMessage", first.ID)
		actortest.Call[any](ada, "deleteMessage", first.ID) // again: no event
		actortest.Call[any](guest, "deleteMessage", "unknown")
		same(t, "deleted", actortest.Events[rooms.MessageDeleted](bob), []rooms.MessageDeleted{{MessageID: first.ID}})
		same(t, "left", actortest.Call[[]rooms.Message](bob, "getMessages"), []rooms.Message{second})

		// The event has the message's own id, so that it removes it from every list.
		actortest.Call[any](ada, "deleteMessage", "0"+second.ID)
		same(t, "deleted", actortest.Events[rooms.MessageDeleted](bob)[1:], []rooms.MessageDeleted{{MessageID: second.ID}})
	})
}

func TestChat_keepsAllMessages(t *testing.T) {
	chat(t, func(room *actortest.Actor) {
		ada := room.Connect(nil)
		for i := range 203 {
			actortest.Call[rooms.Message](ada, "sendMessage", "ada", fmt.Sprint(i))
		}
		var before *uint64
		var all []string
		for pages := 1; ; pages++ {
			page := actortest.Call[actor.Page[uint64, rooms.Message]](ada, "getPage", before, 1000)
			var part []string
			for _, item := range page.Items {
				same(t, "id", item.Value.ID, fmt.Sprint(item.Key))
				part = append(part, item.Value.Text)
			}
			all = append(part, all...)
			if !page.HasBefore {
				same(t, "pages of 100", pages, 3)
				break
			}
			before = &page.Items[0].Key
		}
		if len(all) != 203 || all[0] != "0" || all[202] != "202" {
			t.Errorf("got %d messages, want all 203: %v", len(all), all)
		}
		got := texts(actortest.Call[[]rooms.Message](room.Connect(nil), "getMessages"))
		if len(got) != 200 || got[0] != "3" || got[199] != "202" {
			t.Errorf("got %d messages, from %s to %s; want the last 200", len(got), got[0], got[len(got)-1])
		}
	})
}

// All messages are one reply: users' texts must not make it too large.
func TestChat_messagesFitIntoOneReply(t *testing.T) {
	chat(t, func(room *actortest.Actor) {
		ada := room.Connect(nil)
		for range 40 {
			actortest.Call[rooms.Message](ada, "sendMessage", "ada", strings.Repeat("<", 2000)) // 6 bytes each in JSON
		}
		if got := actortest.Call[[]rooms.Message](room.Connect(nil), "getMessages"); len(got) != 21 {
			t.Errorf("got %d messages, want the 21 that are 256 KiB of JSON", len(got))
		}
	})
}

func TestChat_presence(t *testing.T) {
	chat(t, func(room *actortest.Actor) {
		ada := room.Connect(member{UserID: "ada", Name: "Ada"})
		same(t, "alone", lastMembers(t, ada), []string{"ada"})

		bob := room.Connect(member{UserID: "bob"})
		tab := room.Connect(member{UserID: "bob"})
		same(t, "two tabs are one member", lastMembers(t, ada), []string{"ada", "bob"})
		same(t, "the newcomer", lastMembers(t, tab), []string{"ada", "bob"})

		tab.Close()
		same(t, "one tab closed", lastMembers(t, ada), []string{"ada", "bob"})
		bob.Drop()
		same(t, "link lost", lastMembers(t, ada), []string{"ada"})
		bob.Resume()
		same(t, "link back", lastMembers(t, ada), []string{"ada", "bob"})
		bob.Close()
		same(t, "gone", lastMembers(t, ada), []string{"ada"})
		same(t, "getMembers", userIDs(actortest.Call[[]rooms.Member](room, "getMembers")), []string{"ada"})
	})
}

func TestChat_fullRoom(t *testing.T) {
	chat(t, func(room *actortest.Actor) {
		var first *actortest.Conn
		for i := range 200 {
			conn := room.Connect(member{UserID: fmt.Sprint("user ", i)})
			if i == 0 {
				first = conn
			}
		}
		_, err := room.TryConnect(member{UserID: "one too many"})
		same(t, "the code", code(err), "room_full")
		room.Connect(member{UserID: "user 1"}) // a second tab of a member
		first.Drop()
		room.Connect(member{UserID: "in its place"})
		first.Resume() // a member may resume even in a full room
	})
}

func TestChat_guestsAreNotMembers(t *testing.T) {
	chat(t, func(room *actortest.Actor) {
		ada := room.Connect(member{Name: "ada"})
		ada.Clear()
		guest := room.Connect(nil)
		same(t, "what the guest sees", lastMembers(t, guest), []string{"ada"})
		guest.Drop()
		guest.Resume()
		guest.Close()
		same(t, "ada's events about it", len(actortest.Events[rooms.MembersChanged](ada)), 0)
	})
}

func TestChat_refusesLongNames(t *testing.T) {
	chat(t, func(room *actortest.Actor) {
		for _, params := range []member{{UserID: strings.Repeat("a", 65)}, {Name: strings.Repeat("ä", 65)}} {
			if _, err := room.TryConnect(params); code(err) != "name_too_long" {
				t.Errorf("%+v: got %v, want name_too_long", params, err)
			}
		}
		room.Connect(member{Name: strings.Repeat("ä", 64)})
	})
}

func TestChat_typing(t *testing.T) {
	chat(t, func(room *actortest.Actor) {
		ada, bob := room.Connect(member{UserID: "ada", Name: "Ada"}), room.Connect(member{UserID: "bob"})
		actortest.Call[any](ada, "setTyping", true)
		got := actortest.Events[rooms.Typing](bob)
		if !slices.Equal(got, []rooms.Typing{{UserID: "ada", Name: "Ada", Typing: true}}) {
			t.Errorf("bob: got %v, want Ada typing", got)
		}
		same(t, "ada", len(actortest.Events[rooms.Typing](ada)), 0)
		if err := room.Fail("setTyping", true); err.Code != "connection_required" {
			t.Errorf("without a connection: got %v, want connection_required", err)
		}
	})
}

func TestChat_resume(t *testing.T) {
	chat(t, func(room *actortest.Actor) {
		ada, bob := room.Connect(nil), room.Connect(nil)
		actortest.Call[rooms.Message](ada, "sendMessage", "ada", "1")
		bob.Drop()
		actortest.Call[rooms.Message](ada, "sendMessage", "ada", "2")
		time.Sleep(time.Minute)
		actortest.Call[rooms.Message](ada, "sendMessage", "ada", "3")
		same(t, "while away", texts(actortest.Events[rooms.MessageReceived](bob)), []string{"1"})
		bob.Resume()
		same(t, "after that", texts(actortest.Events[rooms.MessageReceived](bob)), []string{"1", "2", "3"})
	})
}
