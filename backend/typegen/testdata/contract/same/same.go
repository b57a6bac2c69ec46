// Package same offers what base does, written in another way.
package same

import "github.com/troupe-dev/troupe/backend/actor"

// Author of something.
type Author struct {
	Name string // a comment
}

type Post struct {
	Text string `json:"Text"`
	By   Author
}

type Room struct{ Kept []Post }

// Say says something.
func (*Room) Say(_ *actor.Context[actor.NoState], user, words string) {}
func (r Room) Count(*actor.Context[actor.NoState]) int                { return len(r.Kept) }
func (r Room) Posts(*actor.Context[actor.NoState]) []Post             { return r.Kept }

type Left struct{ Name string }

// nap is a message that the room sends to itself: it is stored, but no part of the contract.
type nap struct{ Of Author }

func (r *Room) nap(_ *actor.Context[actor.NoState], _ nap) error { return nil }

var registry = actor.NewRegistry(actor.Define[Room]("room", actor.Emits[Left](), actor.Handles((*Room).nap)))
