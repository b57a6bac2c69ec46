package jetstream

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/troupe-dev/troupe/backend/store"
)

// Options of a Store. The zero value is right for most.
type Options struct {
	// Space keeps the streams and subjects of several clusters in one NATS apart. At most 32
	// letters and digits of ASCII; empty for the only one.
	Space string

	// Replicas is the number of servers that have each message. Zero means 3. Only what is
	// on the disks of most of them is acknowledged. 2 is no better than 1.
	Replicas int

	// Retention is the minimum time for which entries are kept, room permitting.
	// Zero means 3 minutes: the resume window of 2 minutes and 60 seconds more.
	Retention time.Duration

	// MaxBytes limits the journal; the oldest commits are trimmed first, of any actor. Zero
	// means 64 MiB. The journal may exceed it, up to CapBytes, by twice the size of the
	// states that have changed.
	MaxBytes int64

	// CapBytes is the hard limit of the journal: over it, a commit waits until enough
	// snapshots are written to trim it. Zero means 1 GiB.
	CapBytes int64

	// Lease is for how long the newest message of the journal lets the node answer without
	// asking. It is what a cluster waits for when a node dies. Zero: Valid is always false.
	Lease time.Duration

	// Timeout is how long a commit is tried until its outcome is unknown. Zero means 15 s.
	Timeout time.Duration

	// Logger gets problems. Nil means slog.Default().
	Logger *slog.Logger

	idleAfter time.Duration        // after this long without use, an actor's state leaves memory
	tick      time.Duration        // between upkeep without commits
	now       func() time.Time     // for tests
	boot      func() time.Duration // for tests: see bootTime
	tryTime   time.Duration        // for tests; 0: see tryTime
	longest   int                  // bytes of a message, for tests; 0: what the server takes

	// before is called before a page, a head and a delete; for tests.
	before func(op string) error
}

func (o Options) withDefaults() Options {
	o.Replicas = cmp.Or(o.Replicas, 3)
	o.Retention = cmp.Or(o.Retention, 3*time.Minute)
	o.MaxBytes = cmp.Or(o.MaxBytes, 64<<20)
	o.CapBytes = max(cmp.Or(o.CapBytes, 1<<30), o.MaxBytes)
	o.Timeout = cmp.Or(o.Timeout, 15*time.Second)
	o.idleAfter = cmp.Or(o.idleAfter, 30*time.Second)
	o.tryTime = cmp.Or(o.tryTime, tryTime)
	o.tick = cmp.Or(o.tick, time.Second)
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.now == nil {
		o.now = time.Now
	}
	if o.before == nil {
		o.before = func(string) error { return nil }
	}
	if o.boot == nil {
		o.boot = bootTime
	}
	return o
}

// Store is a store.Store in JetStream: one incarnation of a node. Make one with Open, and
// give it partitions with Adopt or TakeOver. It is also a store.Owner.
type Store struct {
	*reader
	writer  *writer
	keeper  *keeper
	adopter adopter
	tidier  *tidier

	recaller *recaller

	done     chan struct{}
	workers  sync.WaitGroup
	closing  sync.Once
	closeErr error
}

var (
	_ store.Store = (*Store)(nil)
	_ store.Owner = (*Store)(nil)
)

// Open makes a store with a new journal. It makes the streams if they do not exist. The
// connection is the caller's, who closes it after the store. See Connect.
func Open(ctx context.Context, nc *nats.Conn, o Options) (*Store, error) {
	o = o.withDefaults()
	c, err := newClient(nc, o)
	if err != nil {
		return nil, fmt.Errorf("open the store in JetStream: %w", err)
	}
	s, err := openRestored(ctx, c, o)
	if err != nil {
		c.direct.close()
		return nil, fmt.Errorf("open the store in JetStream: %w", err)
	}
	return s, nil
}

// openRestored is open, unless the streams are being filled.
func openRestored(ctx context.Context, c *client, o Options) (*Store, error) {
	if err := c.makeStreams(ctx, o.Replicas); err != nil {
		return nil, err
	}
	if err := c.checkRestored(ctx); err != nil {
		_ = wait(ctx, time.Second) // so that who tries again does not do so all the time
		return nil, err
	}
	s, err := open(ctx, c, o)
	if err != nil {
		return nil, err
	}
	// A restore looks for journals after it has set its marker.
	if err := c.checkRestored(ctx); err != nil {
		s.Abandon()
		return nil, err
	}
	return s, nil
}

// open makes a store with a new journal in streams that exist.
func open(ctx context.Context, c *client, o Options) (*Store, error) {
	own := &ownJournal{client: c, incarnation: newID(), lease: o.Lease, boot: o.boot, lost: make(chan struct{})}
	own.subject = c.journalOf(own.incarnation)
	const headers = 4 << 10
	longest := int(c.nc.MaxPayload()) - headers
	if o.longest > 0 {
		longest = o.longest
	}
	rd := &reader{catalog: newCatalog(), heads: &heads{client: c, own: own, directories: newDirectories(), longest: longest, before: o.before}, journals: journals{c}, options: o}
	k := newKeeper(rd)
	recall := &recaller{keeper: k, kick: make(chan struct{}, 1)}
	s := &Store{reader: rd, writer: &writer{reader: rd, keeper: k}, keeper: k, adopter: adopter{k, recall}, tidier: &tidier{rd, map[string]quietJournal{}},
		recaller: recall, done: make(chan struct{})}
	own.writing.Lock()
	err := own.append(ctx, openedMessage(), func(seq uint64) { own.first = seq })
	own.writing.Unlock()
	if err != nil {
		return nil, err
	}
	s.workers.Go(func() { k.run(s.done) })
	s.workers.Go(func() { s.recaller.run(s.done) })
	if o.Lease > 0 {
		s.workers.Go(func() { own.renew(s.done) })
	}
	return s, nil
}

// Commit implements store.Store. It writes the group as one message of the journal, or as
// several if it is large, which are on the disks of most servers when it returns.
func (s *Store) Commit(ctx context.Context, commits []*store.Commit) []error {
	return s.writer.Commit(ctx, commits)
}

// List implements store.Store. It knows the actors of this store's partitions only, in the
// order of partitions and, in one, of ids.
func (s *Store) List(ctx context.Context, q store.ListQuery) (store.ListPage, error) {
	return lister{s.reader}.List(ctx, q)
}

// Names implements store.Store. It counts the actors of this store's partitions only.
func (s *Store) Names(ctx context.Context) (map[string]int, error) {
	return lister{s.reader}.Names(ctx)
}

// Immediate implements store.Store: commits wait for the servers.
func (s *Store) Immediate() bool { return false }

// Unclean reports whether a node whose actors were adopted had ended without closing its
// store, for example because it was killed.
func (s *Store) Unclean() bool {
	s.catalog.mu.Lock()
	defer s.catalog.mu.Unlock()
	return s.unclean
}

// Close saves every actor that has changed and ends the journal, so that nobody waits for
// the lease. Only the first call does something.
func (s *Store) Close() error {
	s.closing.Do(func() { s.closeErr = s.end(context.Background()) })
	return s.closeErr
}

func (s *Store) end(ctx context.Context) error {
	close(s.done)
	s.workers.Wait()
	defer s.direct.close()
	if s.Deposed() {
		return nil
	}
	if err := s.keeper.saveDirty(ctx); err != nil {
		return fmt.Errorf("close the store in JetStream: %w", err)
	}
	if _, err := s.own.end(ctx); err != nil {
		return fmt.Errorf("close the store in JetStream: %w", err)
	}
	return nil
}
