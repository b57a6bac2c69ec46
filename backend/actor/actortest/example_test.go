package actortest_test

import (
	"slices"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/actor/actortest"
)

// GuestBook is the actor under test.
type GuestBook struct {
	Entries []string `json:"entries"`
}

// Guest is what a client connects with, and the state of its connection.
type Guest struct {
	Name string `json:"name"`
}

// Signed is emitted for each entry.
type Signed struct {
	Name string `json:"name"`
	Text string `json:"text"`
}

func (b *GuestBook) CreateConnState(_ *actor.ConnectContext, g Guest) (Guest, error) {
	if g.Name == "" {
		return Guest{}, actor.Errorf("no_name", "a guest has a name")
	}
	return g, nil
}

func (b *GuestBook) Sign(c *actor.Context[Guest], text string) (int, error) {
	if text == "" {
		return 0, actor.Errorf("empty", "an entry has a text")
	}
	b.Entries = append(b.Entries, text)
	c.Broadcast(Signed{c.Conn().State().Name, text})
	return len(b.Entries), nil
}

func (b GuestBook) Guests(c *actor.Context[Guest]) []string {
	names := []string{}
	for conn := range c.Conns() {
		names = append(names, conn.State().Name)
	}
	return names
}

var registry = actor.NewRegistry(actor.Define[GuestBook]("guestBook", actor.Emits[Signed]()))

// testGuestBook would be TestGuestBook in a test file of your own.
func testGuestBook(t *testing.T) {
	actortest.Run(t, registry, func(n *actortest.Node) {
		book := n.Actor("guestBook", "lobby")
		ada, bob := book.Connect(Guest{"ada"}), book.Connect(Guest{"bob"})

		if got := actortest.Call[int](ada, "sign", "hello"); got != 1 {
			t.Errorf("got %d entries, want 1", got)
		}
		if err := ada.Fail("sign", ""); err.Code != "empty" {
			t.Errorf("got %v, want empty", err)
		}
		bob.Drop() // his train is in a tunnel
		actortest.Call[int](ada, "sign", "where are you?")
		time.Sleep(time.Minute) // takes no time
		bob.Resume()
		want := []Signed{{"ada", "hello"}, {"ada", "where are you?"}}
		if got := actortest.Events[Signed](bob); !slices.Equal(got, want) {
			t.Errorf("bob got %v, want %v", got, want)
		}

		n.Restart() // of the server: connections may come back within their window
		bob.Resume()
		if ok, reason := bob.Recovered(); !ok {
			t.Errorf("bob lost something: %s", reason)
		}
		time.Sleep(3 * time.Minute) // ada does not
		if got, want := actortest.Call[[]string](book, "guests"), []string{"bob"}; !slices.Equal(got, want) {
			t.Errorf("got guests %q, want %q", got, want)
		}
	})
}

// An actor with its test: calls, events, a lost socket, a restart of the server.
func Example() {
	_ = testGuestBook // go test runs it
}
