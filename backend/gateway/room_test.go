package gateway_test

import (
	"strings"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
)

// Room is the actor of these tests.
type Room struct {
	Said int `json:"said"`
}

// RoomParams are what a client passes to connect().
type RoomParams struct {
	Refuse string `json:"refuse,omitempty"` // the code to be refused with
	Greet  bool   `json:"greet,omitempty"`  // newcomers get a welcome, everybody a joined
	NapMs  int    `json:"napMs,omitempty"`  // how long connecting takes
}

type (
	// Said is numbered and goes to subscribers.
	Said string
	// Whispered goes to one connection, subscribed or not.
	Whispered string
	// Moved is volatile.
	Moved string
	// Joined announces a newcomer to all.
	Joined string
	// Welcome greets a newcomer.
	Welcome string
)

type roomContext = actor.Context[actor.NoState]

func (r *Room) OnBeforeConnect(_ *actor.ConnectContext, p RoomParams) error {
	time.Sleep(time.Duration(p.NapMs) * time.Millisecond)
	if p.Refuse != "" {
		return &actor.Error{Code: p.Refuse, Message: "not you", Metadata: []string{"why"}}
	}
	return nil
}

func (r *Room) OnConnect(c *roomContext) {
	var p RoomParams
	if c.Conn().Params(&p) && p.Greet {
		c.Broadcast(Joined(c.Conn().ID()))
		c.Conn().Send(Welcome("hello"))
	}
}

// Say changes the state, broadcasts and returns the count.
func (r *Room) Say(c *roomContext, text string) int {
	r.Said++
	c.Broadcast(Said(text))
	return r.Said
}

// SayToEach is Say, to one connection after the other.
func (r *Room) SayToEach(c *roomContext, text string) {
	r.Said++
	for conn := range c.Conns() {
		conn.Send(Said(text))
	}
}

// SayWhere is Say, to those connections for which a function is true: all.
func (r *Room) SayWhere(c *roomContext, text string) {
	r.Said++
	c.Broadcast(Said(text), actor.Where(func(*actor.Conn[actor.NoState]) bool { return true }))
}

// Forget changes the state and returns nothing.
func (r *Room) Forget(c *roomContext) { r.Said = 0; c.Broadcast(Said("forgotten")) }

// End destroys the room.
func (r *Room) End(c *roomContext) string {
	c.Broadcast(Said("the end"))
	c.Destroy()
	return "gone"
}

// Mark changes the state and emits nothing.
func (r *Room) Mark(_ *roomContext) int { r.Said++; return r.Said }

// Echo is read-only.
func (r Room) Echo(_ *roomContext, text string) string { return text }

// Count is read-only.
func (r Room) Count(_ *roomContext) int { return r.Said }

// Big is read-only and returns n bytes.
func (r Room) Big(_ *roomContext, n int) string { return strings.Repeat("b", n) }

// Nap takes some time.
func (r Room) Nap(_ *roomContext, ms int) { time.Sleep(time.Duration(ms) * time.Millisecond) }

// Kick ends the connection with an id.
func (r *Room) Kick(c *roomContext, id string) {
	for conn := range c.Conns() {
		if conn.ID() == id {
			conn.Disconnect("kicked")
		}
	}
}

// Fail fails with a code of its own.
func (r *Room) Fail(_ *roomContext, code string) error {
	r.Said = -1 // is undone
	return &actor.Error{Code: code, Message: "as you wish", Metadata: map[string]int{"n": 1}}
}

// Panic panics.
func (r *Room) Panic(_ *roomContext) { panic("asked to") }

// Whisper sends to the connection with an id.
func (r *Room) Whisper(c *roomContext, to, text string) int {
	n := 0
	for conn := range c.Conns() {
		if conn.ID() == to {
			conn.Send(Whispered(text))
			n++
		}
	}
	return n
}

// Move broadcasts a volatile event.
func (r *Room) Move(c *roomContext, to string) { c.Broadcast(Moved(to), actor.Volatile) }

// MoveLatest broadcasts positions of which only the newest matters.
func (r *Room) MoveLatest(c *roomContext, key string, n int) {
	for i := range n {
		c.Broadcast(Moved(key+strings.Repeat("i", i)), actor.Latest(key))
	}
}

// Burst says n texts of a size.
func (r *Room) Burst(c *roomContext, n, size int) {
	for range n {
		r.Said++
		c.Broadcast(Said(strings.Repeat("x", size)))
	}
}

// Bounce ends the calling connection.
func (r *Room) Bounce(c *roomContext) {
	c.Conn().Send(Whispered("goodbye"))
	c.Conn().Disconnect("bounced")
}

// Me needs a connection.
func (r Room) Me(c *roomContext) string { return c.Conn().ID() }

func defineRoom(o actor.Options) *actor.Definition {
	return actor.Define[Room]("room",
		actor.Emits[Said](), actor.Emits[Whispered](), actor.Emits[Moved](), actor.Emits[Joined](), actor.Emits[Welcome](),
		actor.WithOptions(o))
}
