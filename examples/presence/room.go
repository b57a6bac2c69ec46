package main

import (
	"unicode/utf8"

	"github.com/troupe-dev/troupe/backend/actor"
)

// Room is a room with people in it. Who is here is not state of the room: it is its
// connections.
type Room struct{}

// Visitor is the state of a connection, and what a client passes to connect().
type Visitor struct {
	Name string `json:"name"`
}

// Person is someone who is here, once for each of their tabs.
type Person struct {
	ID   string `json:"id"` // of the connection
	Name string `json:"name"`
	Away bool   `json:"away"` // the link is lost, and may come back
}

// PeopleChanged says who is here now.
type PeopleChanged struct {
	People []Person `json:"people"`
}

// CreateConnState makes the state of a new connection. An error refuses it.
func (r *Room) CreateConnState(_ *actor.ConnectContext, v Visitor) (Visitor, error) {
	if n := utf8.RuneCountInString(v.Name); n < 1 || n > 40 {
		return v, actor.Errorf("bad_name", "a name has 1 to 40 characters")
	}
	return v, nil
}

// OnConnect runs when a connection has joined.
func (r *Room) OnConnect(c *actor.Context[Visitor]) { r.announce(c) }

// OnDisconnect runs when a connection has ended, and is no longer in c.Conns().
func (r *Room) OnDisconnect(c *actor.Context[Visitor]) { r.announce(c) }

// OnDrop runs when a connection has lost its link. It ends if it does not come back
// within the resume window, 2 minutes.
func (r *Room) OnDrop(c *actor.Context[Visitor]) { r.announce(c) }

// OnResume runs when a connection is back.
func (r *Room) OnResume(c *actor.Context[Visitor]) { r.announce(c) }

// People returns who is here.
func (r Room) People(c *actor.Context[Visitor]) []Person {
	var people []Person
	for conn := range c.Conns() {
		people = append(people, Person{ID: conn.ID(), Name: conn.State().Name, Away: !conn.Online()})
	}
	return people
}

func (r *Room) announce(c *actor.Context[Visitor]) {
	c.Broadcast(PeopleChanged{r.People(c)})
}
