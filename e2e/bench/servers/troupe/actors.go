package main

import (
	"time"

	"github.com/google/uuid"

	"github.com/troupe-dev/troupe/backend/actor"
)

// Message is a message of a room, about 150 bytes of JSON.
type Message struct {
	ID        string `json:"id"`
	UserID    string `json:"userId"`
	Text      string `json:"text"`
	Timestamp int64  `json:"timestamp"`
}

// MessageReceived is the event of a new message.
type MessageReceived Message

var registry = actor.NewRegistry(
	actor.Define[Room]("room", actor.Emits[MessageReceived]()),
	actor.Define[Crowd]("crowd", actor.Emits[MessageReceived]()),
	actor.Define[Shelves]("shelves"),
	actor.Define[Shelf]("shelf", actor.WithOptions(actor.Options{IdleAfter: 2 * time.Second})),
)

// Room is the room that every peer has. It keeps the last 100 messages.
type Room struct {
	Messages actor.List[Message] `json:"messages"`
}

// SendMessage is the job of the benchmark.
func (r *Room) SendMessage(c *actor.Context[actor.NoState], userID, text string) Message {
	m := Message{uuid.NewString(), userID, text, c.Now().UnixMilli()}
	if r.Messages.Len() == 100 {
		r.Messages.Delete(0, 1)
	}
	r.Messages.Append(m)
	c.Broadcast(MessageReceived(m))
	return m
}

// Crowd keeps no messages: its only cost is their delivery.
type Crowd struct {
	joined int
}

// Member is the connection state in a crowd.
type Member struct {
	Number int `json:"number"` // how many joined before
}

// CreateConnState numbers connections in the order in which they join.
func (r *Crowd) CreateConnState(*actor.ConnectContext, struct{}) Member {
	r.joined++
	return Member{r.joined - 1}
}

// Say broadcasts to everyone.
func (*Crowd) Say(c *actor.Context[Member], userID, text string) {
	c.Broadcast(said(c, userID, text))
}

// SayEach sends to everyone, one by one.
func (*Crowd) SayEach(c *actor.Context[Member], userID, text string) {
	m := said(c, userID, text)
	for conn := range c.Conns() {
		conn.Send(m)
	}
}

// SayTo sends to the first n connections.
func (*Crowd) SayTo(c *actor.Context[Member], userID, text string, n int) {
	c.Broadcast(said(c, userID, text), actor.Where(func(conn *actor.Conn[Member]) bool { return conn.State().Number < n }))
}

func said(c *actor.Context[Member], userID, text string) MessageReceived {
	return MessageReceived{uuid.NewString(), userID, text, c.Now().UnixMilli()}
}

// Shelf keeps messages in a plain field.
type Shelf struct {
	Messages []Message `json:"messages"`
	Next     int       `json:"next"`
}

// Fill makes the state about that many bytes of JSON.
func (s *Shelf) Fill(c *actor.Context[actor.NoState], bytes int) {
	s.Messages = append(s.Messages, stock(c, bytes)...)
}

// Put replaces the oldest message.
func (s *Shelf) Put(c *actor.Context[actor.NoState], userID, text string) {
	if len(s.Messages) == 0 {
		s.Messages = make([]Message, 1)
	}
	s.Messages[s.Next%len(s.Messages)] = Message{uuid.NewString(), userID, text, c.Now().UnixMilli()}
	s.Next++
}

// Shelves is Shelf with a List in place of the field.
type Shelves struct {
	Messages actor.List[Message] `json:"messages"`
	Next     int                 `json:"next"`
}

// Fill makes the state about that many bytes of JSON.
func (s *Shelves) Fill(c *actor.Context[actor.NoState], bytes int) {
	s.Messages.Append(stock(c, bytes)...)
}

// Put replaces the oldest message.
func (s *Shelves) Put(c *actor.Context[actor.NoState], userID, text string) {
	s.Messages.Set(s.Next%s.Messages.Len(), Message{uuid.NewString(), userID, text, c.Now().UnixMilli()})
	s.Next++
}

func stock(c *actor.Context[actor.NoState], bytes int) (messages []Message) {
	for ; bytes > 0; bytes -= 150 {
		messages = append(messages, Message{uuid.NewString(), "user-0001", "something that was said a while ago", c.Now().UnixMilli()})
	}
	return messages
}
