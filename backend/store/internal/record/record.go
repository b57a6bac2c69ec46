// Package record applies the commits of one actor. Stores share it.
package record

import (
	"cmp"
	"fmt"
	"maps"
	"slices"

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
}

// Of returns the Record of a snapshot.
func Of(s *store.Snapshot) *Record {
	r := &Record{
		Name: s.Name, Key: slices.Clone(s.Key), Log: s.Log,
		Rev: s.Rev, Head: s.Head, State: text.Of(s.State), NextConn: s.NextConn,
	}
	r.keep(s.Conns, s.Callers)
	return r
}

// Size returns about how many bytes a snapshot of the actor takes.
func (r *Record) Size() int { return r.State.Len() + r.rest }

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
	Size      int // of the state, in bytes
}

// End returns the actor's position.
func (r *Record) End() End { return End{r.Rev, r.Head, r.State.Len()} }

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
	next := End{c.Rev, e.Head + uint64(len(c.Entries)), e.Size}
	if c.State != nil {
		next.Size = len(c.State)
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

// Apply applies a commit, which must follow. It shares the state's bytes with the
// commit and copies everything else.
func (r *Record) Apply(c *store.Commit) {
	if r.Rev == 0 {
		r.Name, r.Key = c.Name, slices.Clone(c.Key)
	}
	r.Log, r.Rev, r.Head, r.NextConn = c.Log, c.Rev, r.Head+uint64(len(c.Entries)), c.NextConn
	if c.State != nil {
		r.State = text.Of(c.State)
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
}

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

// Snapshot returns the Record as a store returns it. The caller may change
// everything but the bytes of states without changing the Record.
func (r *Record) Snapshot(actor string) *store.Snapshot {
	s := &store.Snapshot{
		Actor: actor, Name: r.Name, Key: slices.Clone(r.Key), Log: r.Log,
		Rev: r.Rev, Head: r.Head, State: r.State.Bytes(), NextConn: r.NextConn,
		Conns:   slices.SortedFunc(maps.Values(r.Conns), func(a, b store.Conn) int { return cmp.Compare(a.Num, b.Num) }),
		Callers: slices.SortedFunc(maps.Values(r.Callers), func(a, b store.Caller) int { return cmp.Compare(a.ID, b.ID) }),
	}
	for i := range s.Callers {
		s.Callers[i].Answers = slices.Clone(s.Callers[i].Answers)
	}
	return s
}
