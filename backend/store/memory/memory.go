// Package memory is a Store that keeps everything in memory. It is as fast as a
// store can be and loses everything when the process ends. Use it for tests of
// actors, and where nothing needs to survive a restart.
//
// States, connections and callers stay until their actor drops them. Entries are
// retained for a time and up to a size that all actors share; see Options.
package memory

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/troupe-dev/troupe/backend/internal/overlay"
	"github.com/troupe-dev/troupe/backend/internal/rope"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/record"
)

// Options of a Store. The zero value is right for most.
type Options struct {
	// Retention is the minimum time for which entries are kept, room permitting.
	// Zero means 3 minutes: the resume window of 2 minutes and 60 seconds more.
	// If it is shorter than the resume window, connections that come back in time
	// may have lost events.
	Retention time.Duration

	// MaxBytes limits the entries of all actors together; the oldest are dropped
	// first, of any actor. Zero means 64 MiB. It does not limit states, connections
	// and callers.
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

// Store is a store.Store in memory. Make one with New. A second runtime on the same
// Store finds the data of the first one, as after a restart.
type Store struct {
	options Options

	// One mutex for everything: a commit holds it for less than a microsecond, and
	// the retained commits of all actors are one queue.
	mu       sync.Mutex
	actors   map[string]*member
	retained queue
	bytes    int64     // of the retained entries
	now      time.Time // the newest commit's
	secrets  map[string][]byte
	ids      *rope.Rope[string]     // of all actors, in their order
	dues     *rope.Rope[store.Wake] // of all actors that have one, in their order
}

var _ store.Store = (*Store)(nil)

// member is one actor. Store.mu guards it.
type member struct {
	record.Record               // its Items are those of the newest commit only
	entries       entries       // the retained ones; the last one has the number Head
	items         overlay.Items // of all tables
}

// New makes an empty Store.
func New(options Options) *Store {
	return &Store{
		options: options.withDefaults(), actors: make(map[string]*member), secrets: make(map[string][]byte),
		ids: rope.New[string](ropePart, nil), dues: rope.New[store.Wake](ropePart, nil),
	}
}

// Immediate implements store.Store: Commit never waits.
func (s *Store) Immediate() bool { return true }

// Close implements store.Store. It does nothing: a test may use the Store after it
// to simulate a restart.
func (s *Store) Close() error { return nil }

// JournalBytes returns the size of the retained entries of all actors.
func (s *Store) JournalBytes() int64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.bytes
}

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

// commitLocked stores one commit, or returns why it cannot.
func (s *Store) commitLocked(c *store.Commit) error {
	m, known := s.actors[c.Actor]
	if !known {
		m = &member{}
	}
	if _, err := m.End().Then(c); err != nil {
		return err
	}
	s.actors[c.Actor] = m
	if !known {
		s.setIDLocked(c.Actor, true)
	}
	due := m.Due
	m.Apply(c)
	m.fold()
	s.keepLocked(m, c)
	if m.Forgotten {
		delete(s.actors, c.Actor)
		s.setIDLocked(c.Actor, false)
		m.Due = 0
	}
	s.setDueLocked(c.Actor, due, m.Due)
	return nil
}

// keepLocked retains the entries of a commit.
func (s *Store) keepLocked(m *member, c *store.Commit) {
	if s.now.IsZero() || c.Time.After(s.now) {
		s.now = c.Time
	}
	if len(c.Entries) == 0 {
		return
	}
	size := int64(0)
	for i := range c.Entries {
		size += int64(m.entries.push(&c.Entries[i], c.Time))
	}
	size += commitSize
	s.bytes += size
	s.retained.push(retained{actor: m, time: c.Time, bytes: size, entries: len(c.Entries)})
}

// trimLocked drops the entries of the oldest commits that are over a limit.
func (s *Store) trimLocked() {
	for {
		oldest := s.retained.first()
		if oldest == nil || s.bytes <= s.options.MaxBytes && s.now.Sub(oldest.time) <= s.options.Retention {
			return
		}
		for range oldest.entries {
			oldest.actor.entries.pop()
		}
		s.bytes -= oldest.bytes
		s.retained.pop()
	}
}

// Load implements store.Store.
func (s *Store) Load(_ context.Context, actor string) (*store.Snapshot, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, known := s.actors[actor]
	if !known {
		return nil, fmt.Errorf("load actor %s: %w", actor, store.ErrNotFound)
	}
	return m.Snapshot(actor), nil
}

// Entries implements store.Store.
func (s *Store) Entries(_ context.Context, actor string, after uint64, limit, maxBytes int) ([]store.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, known := s.actors[actor]
	if !known || limit <= 0 || max(after, m.Served) >= m.Head {
		return nil, nil
	}
	var entries []store.Entry
	size := 0
	m.entries.after(max(after, m.Served), func(e store.Entry) bool {
		size += len(e.Data)
		if len(entries) == limit || len(entries) > 0 && size > maxBytes {
			return false
		}
		entries = append(entries, e)
		return true
	})
	return entries, nil
}

// Replies implements store.Store.
func (s *Store) Replies(_ context.Context, actor, caller string, above uint64, limit, maxBytes int) ([]store.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, known := s.actors[actor]
	if !known || limit <= 0 {
		return nil, nil
	}
	var replies []store.Entry
	size := 0
	m.entries.after(m.Served, func(e store.Entry) bool {
		if e.Caller == caller && e.Call > above {
			replies = append(replies, e)
			size += len(e.Data)
			for len(replies) > limit || len(replies) > 1 && size > maxBytes {
				size -= len(replies[0].Data)
				replies = replies[1:]
			}
		}
		return true
	})
	return replies, nil
}
