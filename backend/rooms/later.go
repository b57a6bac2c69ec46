package rooms

import (
	"cmp"
	"slices"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
)

// Limits of messages with a time. All of a user's are one event, see chat.go.
const (
	maxLaterOfUser = 20
	maxLater       = 500 // of a room
	maxTiming      = 366 * 24 * time.Hour
)

// Timing says when a message is sent, and when it deletes itself.
type Timing struct {
	At     int64 `json:"at,omitempty"`     // when it is sent, Unix milliseconds; omit it to send now
	KeepMs int64 `json:"keepMs,omitempty"` // milliseconds until it is deleted; omit it to keep the message
}

// Later is a message that is sent at a later time.
type Later struct {
	ID     string `json:"id"` // for cancelLater
	UserID string `json:"userId"`
	Name   string `json:"name,omitempty"`
	Text   string `json:"text"`
	At     int64  `json:"at"` // Unix milliseconds
	KeepMs int64  `json:"keepMs,omitempty"`
}

// Messages that a chat room schedules to itself. They are durable: the room handles them at
// their time, also if the server was down meanwhile.
type (
	// publish sends a Later. Its ID is that of the message.
	publish struct{}

	// vanish deletes a message.
	vanish struct {
		Key uint64 `json:"key"`
	}
)

// SendTimed sends a message at a time, or one that deletes itself, or both. A time that is
// over means now.
func (r *ChatRoom) SendTimed(c *actor.Context[Member], userID, text string, t Timing) error {
	m, err := newMessage(c, userID, text)
	if err != nil {
		return err
	}
	wait := time.UnixMilli(t.At).Sub(c.Now())
	if wait > maxTiming || t.KeepMs < 0 || t.KeepMs > maxTiming.Milliseconds() {
		return actor.Errorf("bad_time", "a message is sent, and deletes itself, within a year")
	}
	if wait <= 0 {
		r.postFor(c, m, t.KeepMs)
		return nil
	}
	if r.Later.Len() >= maxLater || len(r.laterOf(userID)) >= maxLaterOfUser {
		return actor.Errorf("too_many_later", "at most %d messages can wait to be sent", maxLaterOfUser)
	}
	id := string(c.Schedule(time.UnixMilli(t.At), publish{}))
	r.Later.Set(id, Later{ID: id, UserID: userID, Name: m.Name, Text: text, At: t.At, KeepMs: t.KeepMs})
	r.laterChanged(c, userID)
	return nil
}

// CancelLater removes a message that is not sent yet. It succeeds if there is none.
func (r *ChatRoom) CancelLater(c *actor.Context[Member], id string) error {
	later, ok := r.Later.Get(id)
	if !ok {
		return nil
	}
	if !isOrAnonymous(c, later.UserID) {
		return actor.Errorf("not_yours", "only its author can cancel a message")
	}
	c.Cancel(actor.MessageID(id))
	r.Later.Delete(id)
	r.laterChanged(c, later.UserID)
	return nil
}

// GetLater returns the messages that the caller will send, the next one first.
func (r ChatRoom) GetLater(c *actor.Context[Member]) []Later {
	return r.laterOf(c.Conn().State().UserID)
}

// publish handles the time of a Later: that it is sent, and no longer waits, is one commit.
func (r *ChatRoom) publish(c *actor.Context[Member], _ publish) error {
	id := string(c.MessageID())
	later, ok := r.Later.Get(id)
	if !ok {
		return nil
	}
	r.Later.Delete(id)
	r.laterChanged(c, later.UserID)
	r.postFor(c, Message{UserID: later.UserID, Name: later.Name, Text: later.Text}, later.KeepMs)
	return nil
}

// vanish handles the time of a message that deletes itself. Its author may have been faster.
func (r *ChatRoom) vanish(c *actor.Context[Member], v vanish) error {
	if m, ok := r.History.Get(v.Key); ok {
		r.remove(c, v.Key, m)
	}
	return nil
}

// postFor posts a message that deletes itself after keepMs milliseconds; 0: never.
func (r *ChatRoom) postFor(c *actor.Context[Member], m Message, keepMs int64) {
	if keepMs == 0 {
		r.post(c, m)
		return
	}
	until := c.Now().Add(time.Duration(keepMs) * time.Millisecond)
	m.DeletedAt = until.UnixMilli()
	key, _ := keyOf(r.post(c, m).ID)
	c.Schedule(until, vanish{Key: key})
}

// laterOf returns the messages that a user will send, the next one first.
func (r ChatRoom) laterOf(userID string) []Later {
	all := []Later{}
	for _, later := range r.Later.All() {
		if later.UserID == userID {
			all = append(all, later)
		}
	}
	slices.SortFunc(all, func(a, b Later) int { return cmp.Compare(a.At, b.At) })
	return all
}

// laterChanged sends a user what they will send later.
func (r *ChatRoom) laterChanged(c *actor.Context[Member], userID string) {
	changed := LaterChanged{Later: r.laterOf(userID)}
	c.Broadcast(changed, actor.Where(func(conn *actor.Conn[Member]) bool { return conn.State().UserID == userID }))
}
