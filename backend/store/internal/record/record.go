// Package record applies the commits of one actor. Stores share it.
package record

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/troupe-dev/troupe/backend/internal/overlay"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/text"
)

// Record is an actor after some of its commits, without the entries of its log.
// The zero Record is an actor before its first one. It is not safe for use by
// several goroutines.
type Record struct {
	Name     string
	Key      []string
	Log      string
	Rev      uint64
	Head     uint64
	State    text.Text
	NextConn uint32
	Conns    map[uint32]store.Conn
	Callers  map[string]store.Caller
	rest     int // bytes of Conns and Callers, about

	Version      int
	Born         int64
	CallersSince int64
	Tables       map[int]store.Table
	NextMessage  uint64
	Floor        uint64
	Messages     map[uint64]store.Message
	Senders      map[string]store.Sender
	Due          int64 // Unix milliseconds; 0: never
	Ended        *store.Ended
	Tombstone    bool

	Changed   int64          // the time of the newest commit, in Unix milliseconds; 0: not known
	Served    uint64         // entries up to this one are not served: they are of an earlier life
	Forgotten bool           // the tombstone is no longer needed
	Items     overlay.Items  // edits of items; what they mean is up to the store
	Wiped     uint64         // the revision that dropped all items before Items; 0: none
	Dropped   map[int]uint64 // the same for single tables
}

// Of returns the Record of a snapshot.
func Of(s *store.Snapshot) *Record {
	r := &Record{
		Name: s.Name, Key: slices.Clone(s.Key), Log: s.Log,
		Rev: s.Rev, Head: s.Head, State: text.Of(s.State), NextConn: s.NextConn,
		Version: s.Version, Born: s.Born, CallersSince: s.CallersSince,
		NextMessage: s.NextMessage, Floor: s.Floor, Ended: s.Ended, Tombstone: s.Tombstone,
	}
	if !s.Due.IsZero() {
		r.Due = s.Due.UnixMilli()
	}
	if !s.Changed.IsZero() {
		r.Changed = s.Changed.UnixMilli()
	}
	r.keep(s.Conns, s.Callers)
	r.keepMore(s.Tables, s.Messages, s.Senders)
	return r
}

// SnapshotSize returns about how many bytes a snapshot of the actor takes.
func (r *Record) SnapshotSize() int { return r.State.Len() + r.rest }

func connSize(c store.Conn) int {
	const fixed = 64
	return fixed + len(c.ID) + len(c.State)
}

func callerSize(c store.Caller) int {
	const fixed, answer = 64, 16
	size := fixed + len(c.ID) + len(c.Print)
	for _, a := range c.Answers {
		size += answer + len(a.Result) + len(a.Code) + len(a.Message) + len(a.Metadata)
	}
	return size
}

// End is the position of an actor after a commit. The next commit must follow it.
type End struct {
	Rev, Head uint64
	Size      int  // of the state, in bytes
	Tombstone bool // the actor is destroyed
}

// End returns the actor's position.
func (r *Record) End() End { return End{r.Rev, r.Head, r.State.Len(), r.Tombstone} }

// Then returns where an actor at e is after a commit, or an error that wraps
// store.ErrConflict if the commit does not follow.
func (e End) Then(c *store.Commit) (End, error) {
	if c.Rev != e.Rev+1 {
		return e, fmt.Errorf("revision %d of actor %s, %d is stored: %w", c.Rev, c.Actor, e.Rev, store.ErrConflict)
	}
	for i := range c.Entries {
		if want := e.Head + 1 + uint64(i); c.Entries[i].Seq != want {
			return e, fmt.Errorf("entry %d of actor %s, want %d: %w", c.Entries[i].Seq, c.Actor, want, store.ErrConflict)
		}
	}
	next := End{c.Rev, e.Head + uint64(len(c.Entries)), e.Size, e.Tombstone}
	if c.End == store.Destroyed {
		next.Size, next.Tombstone = 0, true
	}
	if c.State != nil {
		next.Size, next.Tombstone = len(c.State), false
		return next, nil
	}
	for _, edit := range c.Edits {
		if edit.At < 0 || edit.Cut < 0 || edit.At > next.Size-edit.Cut {
			return e, fmt.Errorf("an edit of actor %s beyond the end of its state: %w", c.Actor, store.ErrConflict)
		}
		next.Size += len(edit.Put) - edit.Cut
	}
	return next, nil
}

// Apply applies a commit, which must follow. It shares the bytes of states, items and
// messages with the commit and copies everything else.
func (r *Record) Apply(c *store.Commit) {
	if r.Rev == 0 {
		r.Name = c.Name
	}
	if r.Rev == 0 || r.Tombstone || c.End == store.Destroyed {
		r.Key = slices.Clone(c.Key)
	}
	if c.End == store.Destroyed {
		r.destroy(c)
	}
	r.Log, r.Rev, r.Head, r.NextConn = c.Log, c.Rev, r.Head+uint64(len(c.Entries)), c.NextConn
	if c.State != nil {
		r.State = text.Of(c.State)
		r.Tombstone, r.Forgotten = false, false
	} else {
		for _, e := range c.Edits {
			r.State.Edit(e.At, e.Cut, e.Put)
		}
	}
	r.keep(c.Conns, c.Callers)
	for _, num := range c.Gone {
		if conn, ok := r.Conns[num]; ok {
			r.rest -= connSize(conn)
			delete(r.Conns, num)
		}
	}
	for _, id := range c.GoneCallers {
		if caller, ok := r.Callers[id]; ok {
			r.rest -= callerSize(caller)
			delete(r.Callers, id)
		}
	}
	r.applyMore(c)
	if c.End == store.Destroyed {
		r.Served, r.Tombstone, r.Forgotten = r.Head, true, false
	}
	if c.End == store.Forgotten {
		r.Forgotten = r.Tombstone
	}
}

// destroy drops what a tombstone does not have.
func (r *Record) destroy(c *store.Commit) {
	r.State, r.Conns, r.Tables, r.rest = text.Text{}, nil, nil, 0
	r.Items, r.Wiped, r.Dropped = overlay.Items{}, c.Rev, nil
	for id, caller := range r.Callers {
		caller.Answers = nil
		r.Callers[id] = caller
		r.rest += callerSize(caller)
	}
	maps.DeleteFunc(r.Messages, func(_ uint64, m store.Message) bool { return m.To == "" || m.Parked != "" })
	r.Due = 0
	r.Ended = &store.Ended{At: c.Time, Order: cmp.Or(c.NextMessage, r.NextMessage), Log: c.Log}
}

// applyMore applies the fields of a commit of which the zero value means that nothing
// changes.
func (r *Record) applyMore(c *store.Commit) {
	r.Changed = c.Time.UnixMilli()
	r.Version = cmp.Or(c.Version, r.Version)
	r.Born = cmp.Or(c.Born, r.Born)
	r.CallersSince = cmp.Or(c.CallersSince, r.CallersSince)
	r.NextMessage = cmp.Or(c.NextMessage, r.NextMessage)
	r.Floor = cmp.Or(c.Floor, r.Floor)
	if !c.Due.IsZero() {
		r.Due = DueOf(c.Due)
	}
	r.keepMore(c.Tables, c.Messages, c.Senders)
	for _, t := range c.Tables {
		if t.Field == "" {
			r.Items.Drop(t.ID)
			if r.Dropped == nil {
				r.Dropped = map[int]uint64{}
			}
			r.Dropped[t.ID] = c.Rev
		}
	}
	for _, e := range c.Items {
		r.Items.Set(e.Table, overlay.Item{Item: store.Item{Key: e.Key, Value: e.Value, Version: e.Version}, Rev: c.Rev})
	}
	for _, id := range c.GoneMessages {
		delete(r.Messages, id)
	}
	for _, id := range c.GoneSenders {
		delete(r.Senders, id)
	}
}

// DueOf returns the Due of a commit in Unix milliseconds: 0 means never.
func DueOf(t time.Time) int64 { return max(t.UnixMilli(), 0) }

func (r *Record) keep(conns []store.Conn, callers []store.Caller) {
	if len(conns) > 0 && r.Conns == nil {
		r.Conns = make(map[uint32]store.Conn)
	}
	for _, conn := range conns {
		if old, ok := r.Conns[conn.Num]; ok {
			r.rest -= connSize(old)
		}
		r.rest += connSize(conn)
		r.Conns[conn.Num] = conn
	}
	if len(callers) > 0 && r.Callers == nil {
		r.Callers = make(map[string]store.Caller)
	}
	for _, caller := range callers {
		caller.Answers = slices.Clone(caller.Answers)
		if old, ok := r.Callers[caller.ID]; ok {
			r.rest -= callerSize(old)
		}
		r.rest += callerSize(caller)
		r.Callers[caller.ID] = caller
	}
}

func (r *Record) keepMore(tables []store.Table, messages []store.Message, senders []store.Sender) {
	if len(tables) > 0 && r.Tables == nil {
		r.Tables = make(map[int]store.Table)
	}
	for _, t := range tables {
		r.Tables[t.ID] = t
	}
	if len(messages) > 0 && r.Messages == nil {
		r.Messages = make(map[uint64]store.Message)
	}
	for _, m := range messages {
		m.Key = slices.Clone(m.Key)
		r.Messages[m.ID] = m
	}
	if len(senders) > 0 && r.Senders == nil {
		r.Senders = make(map[string]store.Sender)
	}
	for _, s := range senders {
		s.Refused = slices.Clone(s.Refused)
		r.Senders[s.ID] = s
	}
}

// Parked returns the number of parked messages.
func (r *Record) Parked() (n int) {
	for _, m := range r.Messages {
		if m.Parked != "" {
			n++
		}
	}
	return n
}

// Info returns what List returns of the actor.
func (r *Record) Info(actor string) store.ActorInfo {
	info := store.ActorInfo{
		Actor: actor, Name: r.Name, Key: slices.Clone(r.Key), Rev: r.Rev, Bytes: r.Size(),
		Conns: len(r.Conns), Parked: r.Parked(), Due: Milli(r.Due), Changed: Milli(r.Changed), Destroyed: r.Tombstone,
	}
	return info
}

// Size returns the size of the state and the tables, in bytes.
func (r *Record) Size() int64 {
	size := int64(r.State.Len())
	for _, t := range r.Tables {
		size += t.Bytes
	}
	return size
}

// Milli is a time in Unix milliseconds, of which 0 is none.
func Milli(ms int64) time.Time {
	if ms == 0 {
		return time.Time{}
	}
	return time.UnixMilli(ms).UTC()
}

// Snapshot returns the Record as a store returns it. The caller may change
// everything but the bytes of states, items and messages without changing the Record.
func (r *Record) Snapshot(actor string) *store.Snapshot {
	s := r.Rest(actor)
	s.State = r.State.Bytes()
	return s
}

// Rest is Snapshot without the state.
func (r *Record) Rest(actor string) *store.Snapshot {
	s := &store.Snapshot{
		Actor: actor, Name: r.Name, Key: slices.Clone(r.Key), Log: r.Log,
		Rev: r.Rev, Head: r.Head, NextConn: r.NextConn,
		Conns:   sorted(r.Conns, func(a, b store.Conn) int { return cmp.Compare(a.Num, b.Num) }),
		Callers: sorted(r.Callers, func(a, b store.Caller) int { return cmp.Compare(a.ID, b.ID) }),

		Version: r.Version, Born: r.Born, CallersSince: r.CallersSince, NextMessage: r.NextMessage, Floor: r.Floor,
		Tables:   sorted(r.Tables, func(a, b store.Table) int { return cmp.Compare(a.ID, b.ID) }),
		Messages: sorted(r.Messages, func(a, b store.Message) int { return cmp.Compare(a.ID, b.ID) }),
		Senders:  sorted(r.Senders, func(a, b store.Sender) int { return cmp.Compare(a.ID, b.ID) }),
		Due:      Milli(r.Due), Changed: Milli(r.Changed), Tombstone: r.Tombstone,
	}
	for i := range s.Callers {
		s.Callers[i].Answers = slices.Clone(s.Callers[i].Answers)
	}
	for i := range s.Messages {
		s.Messages[i].Key = slices.Clone(s.Messages[i].Key)
	}
	for i := range s.Senders {
		s.Senders[i].Refused = slices.Clone(s.Senders[i].Refused)
	}
	if r.Ended != nil {
		ended := *r.Ended
		s.Ended = &ended
	}
	return s
}

func sorted[K comparable, V any](m map[K]V, compare func(a, b V) int) []V {
	if len(m) == 0 {
		return nil
	}
	return slices.SortedFunc(maps.Values(m), compare)
}
