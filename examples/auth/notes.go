package main

import (
	"context"
	"slices"

	"github.com/troupe-dev/troupe/backend/actor"
)

// Notes are the notes of one user, whose name is the key: notes ["ada"].
type Notes struct {
	Texts actor.List[string] `json:"texts"`
}

// Listed is an event with all notes, oldest first. A connection gets it when it opens.
type Listed struct {
	Texts []string `json:"texts"`
}

// Added is an event: there is a new note.
type Added struct {
	Text string `json:"text"`
}

// User is the identity of a request. The zero value means nobody.
type User struct {
	Name string `json:"name"`
}

// OnAuth says which user makes a request: before a connection is opened or resumed, and
// before a call without a connection.
func (Notes) OnAuth(_ context.Context, r *actor.AuthRequest) (User, error) {
	name := userOf(r.Header.Cookie(sessionCookie))
	if name == "" {
		return User{}, actor.Errorf("unauthorized", "please sign in")
	}
	return User{name}, nil
}

// OnAccess says who may do anything here: connect, call an action, with a connection or
// without, create the notes, or look them up.
func (Notes) OnAccess(c *actor.AccessContext) error {
	if !slices.Equal(c.Key(), actor.Key{actor.Auth[User](c).Name}) {
		return actor.Errorf("forbidden", "these notes are not yours")
	}
	return nil
}

// OnConnect sends a new connection what there is.
func (n *Notes) OnConnect(c *actor.Context[actor.NoState]) {
	c.Conn().Send(Listed{n.Texts.Values()})
}

// Add adds a note.
func (n *Notes) Add(c *actor.Context[actor.NoState], text string) error {
	if text == "" || len(text) > 1000 || n.Texts.Len() >= 1000 {
		return actor.Errorf("bad_note", "you can have up to 1000 notes of 1 to 1000 bytes")
	}
	n.Texts.Append(text)
	c.Broadcast(Added{text})
	return nil
}
