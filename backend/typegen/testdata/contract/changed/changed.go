// Package changed differs from base: in what posts say of their authors, by an
// action that was renamed, and by params.
package changed

import "github.com/troupe-dev/troupe/backend/actor"

type Room struct{}

type Post struct {
	Text string
	By   Author
}

type Author struct {
	Name string `json:"name"`
}

type Left struct{ Name string }

func (Room) OnBeforeConnect(_ *actor.ConnectContext, name string)       {}
func (Room) Posts(*actor.Context[actor.NoState]) []Post                 { return nil }
func (Room) Speak(_ *actor.Context[actor.NoState], userID, text string) {}
func (Room) Count(*actor.Context[actor.NoState]) int                    { return 0 }

var Registry = actor.NewRegistry(actor.Define[Room]("room", actor.Emits[Left]()))
