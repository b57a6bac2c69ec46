package main

import (
	"slices"
	"strings"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor/actortest"
)

func TestRoom(t *testing.T) {
	actortest.Run(t, Registry, func(n *actortest.Node) {
		room := n.Actor("room", "lobby")
		ada := room.Connect(Visitor{"Ada"})
		bob := room.Connect(Visitor{"Bob"})
		bob.Drop()
		bob.Resume()
		bob.Close()

		var got []string
		for _, changed := range actortest.Events[PeopleChanged](ada) {
			var names []string
			for _, person := range changed.People {
				if person.Away {
					person.Name += " (away)"
				}
				names = append(names, person.Name)
			}
			got = append(got, strings.Join(names, ", "))
		}
		want := []string{"Ada", "Ada, Bob", "Ada, Bob (away)", "Ada, Bob", "Ada"}
		if !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
		if _, err := room.TryConnect(Visitor{}); err == nil {
			t.Error("a visitor without a name got in")
		}
	})
}
