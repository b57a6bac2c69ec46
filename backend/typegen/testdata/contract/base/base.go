// Package base has a registry that same and changed are compared with.
package base

import "github.com/troupe-dev/troupe/backend/actor"

// Room is a room.
type Room struct{}

type Post struct {
	Text string
	By   Author
}

// Author wrote something.
type Author struct{ Name string }

type Left struct{ Name string }

func (Room) Posts(*actor.Context[actor.NoState]) []Post               { return nil }
func (Room) Say(_ *actor.Context[actor.NoState], userID, text string) {}
func (Room) Count(*actor.Context[actor.NoState]) int                  { return 0 }

var Registry = actor.NewRegistry(actor.Define[Room]("room", actor.Emits[Left]()))
