// Package memory is a Store that keeps everything in memory: it is as fast as a
// store can be and forgets all when the process ends. It is the default for
// development and what tests of actors run on.
//
// States, connections and callers stay until an actor drops them. Entries are
// retained for a time and up to a size that all actors share, see Options.
package memory

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// Options of a Store. The zero value is right for most.
type Options struct {
	// Retention is for how long entries are kept at least, room permitting.
	// Zero means 3 minutes: the resume window of 2 minutes and 60 seconds more.
	// Shorter than the resume window, connections that come back in time are
	// told that they lost events.
	Retention time.Duration

	// MaxBytes is how much the entries of all actors may take together; the
	// oldest go first, whoever's they are. Zero means 64 MiB. It does not limit
	// states, connections and callers.
	MaxBytes int64
}

func (o Options) withDefaults() Options {
	if o.Retention <= 0 {
		o.Retention = 3 * time.Minute
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 64 << 20
	}
	return o
}

// Store is a store.Store in memory. Make one with New. A Store outlives the
// runtime that uses it: a second runtime on the same Store finds what the first
// one left, as after a restart.
type Store struct {
	options Options

	// One mutex for all: a commit holds it for less than a microsecond, and the
	// retained commits are one queue over all actors.
	mu       sync.Mutex
	actors   map[string]*record
	retained queue
	bytes    int64     // of the retained entries
	now      time.Time // the newest commit's
}

var _ store.Store = (*Store)(nil)

// record is one actor. Store.mu guards it.
type record struct {
	name     string
	key      []string
	log      string
	rev      uint64
	head     uint64
	state    []byte
	nextConn uint32
	conns    map[uint32]store.Conn
	callers  map[string]store.Caller
	entries  []store.Entry // those retained, in order; the last one is numbered head
}

// New makes an empty Store.
func New(options Options) *Store {
	return &Store{options: options.withDefaults(), actors: make(map[string]*record)}
}

// Immediate implements store.Store: nothing here waits.
func (s *Store) Immediate() bool { return true }

// Close implements store.Store. There is nothing to do, and a test may go on to
// use the Store in order to simulate a restart.
func (s *Store) Close() error { return nil }

// Commit implements store.Store.
func (s *Store) Commit(_ context.Context, group []*store.Commit) []error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var errs []error
	var failed map[string]bool // actors with a failed commit in this group
	for i, c := range group {
		err := error(nil)
		if failed[c.Actor] {
			err = fmt.Errorf("revision %d of actor %s follows one that failed: %w", c.Rev, c.Actor, store.ErrConflict)
		} else {
			err = s.commitLocked(c)
		}
		if err != nil {
			if errs == nil {
				errs = make([]error, len(group))
				failed = make(map[string]bool)
			}
			errs[i] = err
			failed[c.Actor] = true
		}
	}
	s.trimLocked()
	return errs
}

// commitLocked keeps one commit, or returns why it cannot be.
func (s *Store) commitLocked(c *store.Commit) error {
	r, known := s.actors[c.Actor]
	if !known {
		r = &record{}
	}
	if c.Rev != r.rev+1 {
		return fmt.Errorf("revision %d of actor %s, %d is stored: %w", c.Rev, c.Actor, r.rev, store.ErrConflict)
	}
	for i := range c.Entries {
		if want := r.head + 1 + uint64(i); c.Entries[i].Seq != want {
			return fmt.Errorf("entry %d of actor %s, want %d: %w", c.Entries[i].Seq, c.Actor, want, store.ErrConflict)
		}
	}
	if !known {
		r.name, r.key = c.Name, slices.Clone(c.Key)
		s.actors[c.Actor] = r
	}
	r.log, r.rev, r.nextConn = c.Log, c.Rev, c.NextConn
	if c.State != nil {
		r.state = c.State
	}
	if len(c.Conns) > 0 && r.conns == nil {
		r.conns = make(map[uint32]store.Conn)
	}
	for _, conn := range c.Conns {
		r.conns[conn.Num] = conn
	}
	for _, num := range c.Gone {
		delete(r.conns, num)
	}
	if len(c.Callers) > 0 && r.callers == nil {
		r.callers = make(map[string]store.Caller)
	}
	for _, caller := range c.Callers {
		caller.Answers = slices.Clone(caller.Answers)
		r.callers[caller.ID] = caller
	}
	for _, id := range c.GoneCallers {
		delete(r.callers, id)
	}
	s.keepLocked(r, c)
	return nil
}

// keepLocked retains the entries of a commit.
func (s *Store) keepLocked(r *record, c *store.Commit) {
	if s.now.IsZero() || c.Time.After(s.now) {
		s.now = c.Time
	}
	if len(c.Entries) == 0 {
		return
	}
	size := int64(0)
	for _, e := range c.Entries {
		e.Time = c.Time
		e.Target.Conns = slices.Clone(e.Target.Conns)
		r.entries = append(r.entries, e)
		size += entrySize(&e)
	}
	r.head += uint64(len(c.Entries))
	s.bytes += size
	s.retained.push(retained{actor: r, time: c.Time, bytes: size, entries: len(c.Entries)})
}

// trimLocked lets go of the oldest commits' entries that are over a limit.
func (s *Store) trimLocked() {
	for {
		oldest := s.retained.first()
		if oldest == nil || s.bytes <= s.options.MaxBytes && s.now.Sub(oldest.time) <= s.options.Retention {
			return
		}
		r, n := oldest.actor, oldest.entries
		clear(r.entries[:n])
		r.entries = r.entries[n:]
		if len(r.entries) == 0 {
			r.entries = nil // a quiet actor holds no empty array
		}
		s.bytes -= oldest.bytes
		s.retained.pop()
	}
}

// Load implements store.Store.
func (s *Store) Load(_ context.Context, actor string) (*store.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, known := s.actors[actor]
	if !known {
		return nil, fmt.Errorf("load actor %s: %w", actor, store.ErrNotFound)
	}
	snapshot := &store.Snapshot{
		Actor: actor, Name: r.name, Key: slices.Clone(r.key), Log: r.log,
		Rev: r.rev, Head: r.head, State: r.state, NextConn: r.nextConn,
		Conns:   slices.SortedFunc(maps.Values(r.conns), func(a, b store.Conn) int { return cmp.Compare(a.Num, b.Num) }),
		Callers: slices.SortedFunc(maps.Values(r.callers), func(a, b store.Caller) int { return cmp.Compare(a.ID, b.ID) }),
	}
	for i := range snapshot.Callers {
		snapshot.Callers[i].Answers = slices.Clone(snapshot.Callers[i].Answers)
	}
	return snapshot, nil
}

// Entries implements store.Store.
func (s *Store) Entries(_ context.Context, actor string, after uint64, limit, maxBytes int) ([]store.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, known := s.actors[actor]
	if !known || limit <= 0 || after >= r.head {
		return nil, nil
	}
	from := r.entries
	if oldest := r.head + 1 - uint64(len(from)); after >= oldest {
		from = from[after+1-oldest:]
	}
	n, size := 0, 0
	for n < min(limit, len(from)) {
		size += len(from[n].Data)
		if n > 0 && size > maxBytes {
			break
		}
		n++
	}
	entries := slices.Clone(from[:n])
	for i := range entries {
		entries[i].Target.Conns = slices.Clone(entries[i].Target.Conns)
	}
	return entries, nil
}

// Connected implements store.Store.
func (s *Store) Connected(_ context.Context, f func(actor string) bool) error {
	s.mu.Lock()
	var actors []string
	for id, r := range s.actors {
		if len(r.conns) > 0 {
			actors = append(actors, id)
		}
	}
	s.mu.Unlock()
	for _, id := range actors {
		if !f(id) {
			break
		}
	}
	return nil
}

// entrySize is about what an entry takes, in bytes.
func entrySize(e *store.Entry) int64 {
	const fixed = 160 // the struct and its share of the queue
	return int64(fixed + len(e.Data) + len(e.Event) + len(e.Caller) + 4*len(e.Target.Conns))
}
