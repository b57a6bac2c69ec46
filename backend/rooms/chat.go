package rooms

import (
	"cmp"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/troupe-dev/troupe/backend/actor"
)

// Limits of a chat room. All members are one event, which must stay well below the largest
// message (1 MiB of JSON).
const (
	maxMembers      = 200
	maxMessageRunes = 2000
	maxNameRunes    = 64
	newestMessages  = 200 // of getMessages
	maxPage         = 100 // messages
)

// ChatRoom is a room in which people talk. Its exported fields are its state, and its
// methods whose first parameter is an *actor.Context are its actions.
type ChatRoom struct {
	History actor.Table[uint64, Message] `json:"history"` // all messages, oldest first
	Later   actor.Map[string, Later]     `json:"later"`   // those that are sent at a later time, by ID
}

// Message is a chat message.
type Message struct {
	ID        string `json:"id"` // its key in History
	UserID    string `json:"userId"`
	Name      string `json:"name,omitempty"` // the author's, if the connection has one
	Text      string `json:"text"`
	Timestamp int64  `json:"timestamp"`           // Unix milliseconds
	DeletedAt int64  `json:"deletedAt,omitempty"` // when it deletes itself, Unix milliseconds
}

// Events of a chat room. An event's name is its type's name in lowerCamel: clients listen
// to "messageReceived".
type (
	// MessageReceived is a new message, sent to everyone.
	MessageReceived Message

	// MessageDeleted is sent to everyone when a message is deleted.
	MessageDeleted struct {
		MessageID string `json:"messageId"`
	}

	// MembersChanged has the current members.
	MembersChanged struct {
		Members []Member `json:"members"`
	}

	// Typing is sent to the others when someone starts or stops typing.
	Typing struct {
		UserID string `json:"userId"`
		Name   string `json:"name"`
		Typing bool   `json:"typing"`
	}

	// LaterChanged has the messages that a user will send later. It is sent to that user.
	LaterChanged struct {
		Later []Later `json:"later"`
	}
)

// Member is the state of a connection to a chat room: its user. A client that connects
// without params is anonymous: its UserID is empty.
type Member struct {
	UserID string `json:"userId"`
	Name   string `json:"name"`
}

// ChatParams are the params that a client passes to connect().
type ChatParams struct {
	UserID string `json:"userId,omitempty"`
	Name   string `json:"name,omitempty"`
}

// CreateConnState makes the state of a new connection from its params.
func (r *ChatRoom) CreateConnState(_ *actor.ConnectContext, p ChatParams) (Member, error) {
	if utf8.RuneCountInString(p.UserID) > maxNameRunes || utf8.RuneCountInString(p.Name) > maxNameRunes {
		return Member{}, actor.Errorf("name_too_long", "a name has at most %d characters", maxNameRunes)
	}
	return Member{UserID: cmp.Or(p.UserID, p.Name), Name: cmp.Or(p.Name, p.UserID)}, nil
}

// OnConnect runs when a connection joins. An error refuses it.
func (r *ChatRoom) OnConnect(c *actor.Context[Member]) error {
	if len(r.GetMembers(c)) > maxMembers {
		return actor.Errorf("room_full", "a room takes at most %d people", maxMembers)
	}
	r.arrived(c)
	return nil
}

// OnResume runs when a connection comes back after its socket was lost.
func (r *ChatRoom) OnResume(c *actor.Context[Member]) { r.arrived(c) }

// OnDrop runs when the socket of a connection is lost; it may come back.
func (r *ChatRoom) OnDrop(c *actor.Context[Member]) { r.left(c) }

// OnDisconnect runs when a connection is over.
func (r *ChatRoom) OnDisconnect(c *actor.Context[Member]) { r.left(c) }

// arrived sends the members: to everyone if they have changed, else to the newcomer.
func (r *ChatRoom) arrived(c *actor.Context[Member]) {
	changed := MembersChanged{Members: r.GetMembers(c)}
	if c.Conn().State().UserID == "" {
		c.Conn().Send(changed)
	} else {
		c.Broadcast(changed)
	}
}

func (r *ChatRoom) left(c *actor.Context[Member]) {
	if c.Conn().State().UserID != "" {
		c.Broadcast(MembersChanged{Members: r.GetMembers(c)})
	}
}

// SendMessage adds a message, sends it to everyone, and returns it.
func (r *ChatRoom) SendMessage(c *actor.Context[Member], userID, text string) (Message, error) {
	m, err := newMessage(c, userID, text)
	if err != nil {
		return Message{}, err
	}
	return r.post(c, m), nil
}

// newMessage returns a message of the caller.
func newMessage(c *actor.Context[Member], userID, text string) (Message, error) {
	if strings.TrimSpace(text) == "" {
		return Message{}, actor.Errorf("empty_message", "a message needs a text")
	}
	if n := utf8.RuneCountInString(text); n > maxMessageRunes {
		return Message{}, actor.Errorf("message_too_long", "a message has at most %d characters, this one has %d", maxMessageRunes, n)
	}
	if userID == "" || utf8.RuneCountInString(userID) > maxNameRunes || !isOrAnonymous(c, userID) {
		return Message{}, actor.Errorf("wrong_user", "this connection cannot speak for %q", userID)
	}
	m := Message{UserID: userID, Text: text}
	if c.HasConn() {
		m.Name = c.Conn().State().Name
	}
	return m, nil
}

// post adds a message to the history and sends it to everyone.
func (r *ChatRoom) post(c *actor.Context[Member], m Message) Message {
	m.Timestamp = c.Now().UnixMilli()
	key := r.History.Append(m)
	m.ID = strconv.FormatUint(key, 10)
	r.History.Set(key, m)
	c.Broadcast(MessageReceived(m))
	return m
}

// fromList returns the key and the message in the history for one of the List in which rooms
// once kept the newest messages.
func fromList(i int, m Message) (uint64, Message) {
	key := uint64(i) + 1
	m.ID = strconv.FormatUint(key, 10)
	return key, m
}

// DeleteMessage deletes a message. It succeeds if the message does not exist.
func (r *ChatRoom) DeleteMessage(c *actor.Context[Member], messageID string) error {
	key, ok := keyOf(messageID)
	if !ok {
		return nil
	}
	m, ok := r.History.Get(key)
	if !ok {
		return nil
	}
	if !isOrAnonymous(c, m.UserID) {
		return actor.Errorf("not_yours", "only its author can delete a message")
	}
	r.remove(c, key, m)
	return nil
}

// remove removes a message from the history and from the pages.
func (r *ChatRoom) remove(c *actor.Context[Member], key uint64, m Message) {
	r.History.Delete(key)
	c.Broadcast(MessageDeleted{MessageID: m.ID})
}

// keyOf returns the key of a message in the history. No message has an ID that is not a number.
func keyOf(messageID string) (key uint64, ok bool) {
	key, err := strconv.ParseUint(messageID, 10, 64)
	return key, err == nil
}

// SetTyping tells the others whether the caller is typing.
func (r *ChatRoom) SetTyping(c *actor.Context[Member], typing bool) {
	me := c.Conn().State()
	// Only the latest value matters: it is not sent again after a reconnect, and a newer
	// one replaces one that is still waiting to be sent.
	c.Broadcast(Typing{UserID: me.UserID, Name: me.Name, Typing: typing}, actor.Except(c.Conn()), actor.Latest(me.UserID))
}

// GetMessages returns the newest messages: 200, or as many as are 256 KiB of JSON, oldest
// first. Its value receiver makes it a read-only action.
func (r ChatRoom) GetMessages(*actor.Context[Member]) []Message {
	messages := []Message{}
	for _, item := range r.History.Page(actor.Before[uint64](nil), newestMessages).Items {
		messages = append(messages, item.Value)
	}
	return messages
}

// GetPage returns the last n messages before a key, or of all if it is null: 100 at most.
func (r ChatRoom) GetPage(_ *actor.Context[Member], before *uint64, n int) actor.Page[uint64, Message] {
	return r.History.Page(actor.Before(before), min(max(n, 1), maxPage))
}

// GetMembers returns the members: every user who is online, once.
func (r ChatRoom) GetMembers(c *actor.Context[Member]) []Member {
	members, seen := []Member{}, map[string]bool{}
	for conn := range c.Conns() {
		m := conn.State()
		if m.UserID != "" && conn.Online() && !seen[m.UserID] {
			members, seen[m.UserID] = append(members, m), true
		}
	}
	return members
}

// isOrAnonymous reports whether the caller may act for a user: a connection with a user
// acts for that user only. Nothing verifies the user; an app with accounts would
// identify it in OnAuth, and check in OnAccess who may do what.
func isOrAnonymous(c *actor.Context[Member], userID string) bool {
	if !c.HasConn() {
		return true
	}
	me := c.Conn().State().UserID
	return me == "" || me == userID
}
