package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
	"github.com/troupe-dev/troupe/backend/store/internal/record"
)

// errNothing is the error of an actor that has only a row in the table actors. That
// row is written together with the actor's first commit.
var errNothing = fmt.Errorf("it has neither a snapshot nor a commit: %w", journal.ErrDamaged)

// querier is a connection, a transaction or a pool.
type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
}

// errNoID is the error of an actor of which the file has only a number.
var errNoID = fmt.Errorf("it has no id: %w", journal.ErrDamaged)

// readID returns the id of an actor.
func readID(ctx context.Context, db querier, num int64) (id string, err error) {
	err = db.QueryRowContext(ctx, "SELECT id FROM actors WHERE num = ?", num).Scan(&id)
	if errors.Is(err, sql.ErrNoRows) {
		err = fmt.Errorf("actor number %d: %w", num, errNoID)
	}
	return id, err
}

// integer is a column that should have an integer. SQLite would store anything.
type integer struct{ sql.NullInt64 }

// Scan implements sql.Scanner.
func (i *integer) Scan(value any) error {
	switch value.(type) {
	case int64, nil:
		return i.NullInt64.Scan(value)
	}
	return fmt.Errorf("%v is not an integer: %w", value, journal.ErrDamaged)
}

// errAhead is the error of an actor whose snapshot is newer than its newest commit.
var errAhead = fmt.Errorf("its snapshot is ahead of the journal: %w", journal.ErrDamaged)

// Load implements store.Store.
func (s *Store) Load(ctx context.Context, actor string) (*store.Snapshot, error) {
	snapshot, err := s.load(ctx, actor)
	if err != nil {
		return nil, fmt.Errorf("load actor %s: %w", actor, err)
	}
	return snapshot, nil
}

func (s *Store) load(ctx context.Context, actor string) (*store.Snapshot, error) {
	for waited := false; ; {
		s.recover(ctx)
		s.mu.Lock()
		if r := s.index.ByID[actor]; r != nil && r.Record != nil {
			defer s.mu.Unlock()
			r.Used = s.options.now()
			return r.Record.Snapshot(actor), nil
		}
		reader, swept, failure := s.reader, s.index.Swept, s.failure
		s.mu.Unlock()
		if reader == nil {
			return nil, failure
		}

		loaded, err := readSnapshot(ctx, reader, actor)
		if err != nil {
			return nil, err
		}
		s.options.afterRead()
		s.mu.Lock()
		r := s.index.ByNum[loaded.Num]
		switch {
		case s.reader != reader, r == nil && s.index.Swept != swept:
			s.mu.Unlock()
			continue // what was read says nothing about the index as it is
		case r == nil && loaded.Rev == 0 && !waited: // its first commit is being written
			s.mu.Unlock()
			s.awaitWriter()
			waited = true
			continue
		case r == nil && loaded.Rev == 0:
			s.mu.Unlock()
			return nil, errNothing
		case r != nil && r.Record == nil:
			// The journal has more of it. The locations are copied before the read
			// transaction starts: a commit that is trimmed in between is in the
			// snapshot that the transaction sees.
			locations, first := slices.Clone(r.Locations), r.First()
			s.mu.Unlock()
			if loaded, err = readActor(ctx, reader, actor, locations, first); err != nil {
				return nil, err
			}
			s.options.afterRead()
			s.mu.Lock()
			if s.reader != reader || s.index.ByNum[loaded.Num] == nil && s.index.Swept != swept {
				s.mu.Unlock()
				continue
			}
		}
		if r := s.index.ByNum[loaded.Num]; r != nil && loaded.Rev > r.Rev {
			s.mu.Unlock()
			return nil, errAhead
		}
		r = s.index.Keep(loaded, s.options.now())
		snapshot := cmp.Or(r.Record, loaded.Record).Snapshot(actor)
		s.mu.Unlock()
		return snapshot, nil
	}
}

// awaitWriter returns when the group that is being written is in the index.
func (s *Store) awaitWriter() {
	s.writing.Lock()
	defer s.writing.Unlock()
}

// readActor reads an actor in one read transaction: its snapshot, and its later
// commits in the journal. locations are those of the revisions from first on.
func readActor(ctx context.Context, db *sql.DB, actor string, locations []journal.Location, first uint64) (*journal.Resident, error) {
	tx, err := db.BeginTx(ctx, &sql.TxOptions{ReadOnly: true})
	if err != nil {
		return nil, err
	}
	defer tx.Rollback() // it only reads
	r, err := readSnapshot(ctx, tx, actor)
	if err != nil {
		return nil, err
	}
	return r, replay(ctx, tx, r, locations, first)
}

// readSnapshot reads an actor's snapshot. An actor without one is returned at
// revision 0: all of its commits are in the journal.
func readSnapshot(ctx context.Context, db querier, actor string) (*journal.Resident, error) {
	r := &journal.Resident{ID: actor, Record: &record.Record{}}
	var key []byte
	var rev, head, nextConn, sum integer
	var state, conns, callers []byte
	err := db.QueryRowContext(ctx, `SELECT a.num, a.name, a.key, a.log, s.rev, s.head, s.next_conn, s.sum,
			CAST(s.state AS BLOB), CAST(s.conns AS BLOB), CAST(s.callers AS BLOB)
		FROM actors a LEFT JOIN snapshots s ON s.actor = a.num WHERE a.id = ?`, actor).
		Scan(&r.Num, &r.Record.Name, &key, &r.Record.Log, &rev, &head, &nextConn, &sum, &state, &conns, &callers)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, store.ErrNotFound
	} else if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(key, &r.Record.Key); err != nil {
		return nil, fmt.Errorf("the key: %w: %w", journal.ErrDamaged, err)
	}
	if !rev.Valid {
		return r, nil
	}
	if int64(journal.Checksum(state, conns, callers)) != sum.Int64 {
		return nil, fmt.Errorf("the snapshot does not have its checksum: %w", journal.ErrDamaged)
	}
	snapshot := store.Snapshot{
		Name: r.Record.Name, Key: r.Record.Key, Log: r.Record.Log,
		Rev: uint64(rev.Int64), Head: uint64(head.Int64), State: state, NextConn: uint32(nextConn.Int64),
	}
	if err := errors.Join(json.Unmarshal(conns, &snapshot.Conns), json.Unmarshal(callers, &snapshot.Callers)); err != nil {
		return nil, fmt.Errorf("the snapshot: %w: %w", journal.ErrDamaged, err)
	}
	r.Record = record.Of(&snapshot)
	r.Rev, r.Head, r.Saved = snapshot.Rev, snapshot.Head, snapshot.Rev
	return r, nil
}

// replay applies the actor's commits that come after its snapshot.
func replay(ctx context.Context, db querier, r *journal.Resident, locations []journal.Location, first uint64) error {
	if r.Rev >= first {
		locations = locations[min(r.Rev+1-first, uint64(len(locations))):]
	}
	return readCommits(ctx, db, locations, func(j *journal.Commit) (bool, error) {
		c, err := j.Decode(&r.Record.State)
		if err != nil {
			return false, err
		}
		if c.Actor, c.Name, c.Key, c.Log = r.ID, r.Record.Name, r.Record.Key, r.Record.Log; j.Actor != r.Num {
			return false, fmt.Errorf("a commit of another actor: %w", journal.ErrDamaged)
		}
		end, err := r.Record.End().Then(c)
		if err == nil && j.Edits != nil && end.Size != j.Size {
			err = errors.New("the state does not have its size")
		}
		if err != nil {
			return false, fmt.Errorf("%w: %w", journal.ErrDamaged, err)
		}
		r.Record.Apply(c)
		r.Rev, r.Head = r.Record.Rev, r.Record.Head
		return true, nil
	})
}

// readCommits calls f with the commits at locations, in order, until f returns
// false. It skips commits in rows that were trimmed meanwhile.
func readCommits(ctx context.Context, db querier, locations []journal.Location, f func(*journal.Commit) (bool, error)) error {
	for len(locations) > 0 {
		n := 1
		for n < len(locations) && locations[n].Row == locations[0].Row {
			n++
		}
		row, err := readRow(ctx, db, locations[0].Row)
		if err != nil {
			return err
		}
		for _, p := range locations[:n] {
			if row == nil {
				break
			}
			if int(p.Off+p.Len) > len(row) {
				return fmt.Errorf("row %d of the journal is too short: %w", p.Row, journal.ErrDamaged)
			}
			var j journal.Commit
			if err := json.Unmarshal(row[p.Off:p.Off+p.Len], &j); err != nil {
				return fmt.Errorf("row %d of the journal: %w: %w", p.Row, journal.ErrDamaged, err)
			}
			if more, err := f(&j); err != nil || !more {
				return err
			}
		}
		locations = locations[n:]
	}
	return nil
}

// readRow returns the commits of a row of the journal, nil if there is no such
// row.
func readRow(ctx context.Context, db querier, id int64) ([]byte, error) {
	var sum integer
	var commits []byte
	err := db.QueryRowContext(ctx, "SELECT sum, CAST(commits AS BLOB) FROM groups WHERE id = ?", id).Scan(&sum, &commits)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, nil
	} else if err != nil {
		return nil, err
	}
	if int64(journal.Checksum(commits)) != sum.Int64 {
		return nil, fmt.Errorf("row %d of the journal does not have its checksum: %w", id, journal.ErrDamaged)
	}
	return commits, nil
}

// Entries implements store.Store.
func (s *Store) Entries(ctx context.Context, actor string, after uint64, limit, maxBytes int) ([]store.Entry, error) {
	entries, err := s.entries(ctx, actor, after, limit, maxBytes)
	if err != nil {
		return nil, fmt.Errorf("read the log of actor %s: %w", actor, err)
	}
	return entries, nil
}

func (s *Store) entries(ctx context.Context, actor string, after uint64, limit, maxBytes int) ([]store.Entry, error) {
	reader, locations, err := s.findLocations(ctx, actor, after)
	if err != nil || limit <= 0 {
		return nil, err
	}
	var entries []store.Entry
	size := 0
	err = readCommits(ctx, reader, locations, func(j *journal.Commit) (bool, error) {
		for _, e := range j.Entries {
			if e.Seq <= after {
				continue
			}
			if n := len(entries); n > 0 && e.Seq != entries[n-1].Seq+1 {
				return false, nil // the entries between were trimmed meanwhile
			}
			size += len(e.Data)
			if len(entries) == limit || len(entries) > 0 && size > maxBytes {
				return false, nil
			}
			e.Time = time.UnixMilli(j.Time)
			entries = append(entries, e)
		}
		s.options.afterRead()
		return true, nil
	})
	return entries, err
}

// findLocations returns the locations of the actor's commits that have entries above
// a number, and the file that they are in. An unknown actor has none.
func (s *Store) findLocations(ctx context.Context, actor string, after uint64) (*sql.DB, []journal.Location, error) {
	for {
		s.recover(ctx)
		s.mu.Lock()
		reader, failure := s.reader, s.failure
		r := s.index.ByID[actor]
		var locations []journal.Location
		if r != nil {
			locations = slices.Clone(r.LocationsAfter(after))
		}
		s.mu.Unlock()
		if reader == nil {
			return nil, nil, failure
		}
		if r != nil {
			return reader, locations, nil
		}
		// The index may have the actor without its id. load adds the id.
		if _, err := s.load(ctx, actor); errors.Is(err, store.ErrNotFound) {
			return reader, nil, nil
		} else if err != nil {
			return nil, nil, err
		}
	}
}

// Names returns how many actors of each definition are stored. It reads about 100
// bytes of each actor.
func (s *Store) Names(ctx context.Context) (map[string]int, error) {
	s.recover(ctx)
	s.mu.Lock()
	reader, failure := s.reader, s.failure
	s.mu.Unlock()
	if reader == nil {
		return nil, failure
	}
	rows, err := reader.QueryContext(ctx, "SELECT name, count(*) FROM actors GROUP BY name")
	if err != nil {
		return nil, err
	}
	defer rows.Close() // rows.Err has its error
	names := map[string]int{}
	for rows.Next() {
		var name string
		var n int
		if err := rows.Scan(&name, &n); err != nil {
			return nil, err
		}
		names[name] = n
	}
	return names, rows.Err()
}

// Connected implements store.Store.
func (s *Store) Connected(ctx context.Context, f func(actor string) bool) error {
	err := s.connected(ctx, f)
	if err != nil {
		return fmt.Errorf("find connections: %w", err)
	}
	return nil
}

func (s *Store) connected(ctx context.Context, f func(actor string) bool) error {
	s.recover(ctx)
	s.mu.Lock()
	reader, failure := s.reader, s.failure
	seen := map[int64]bool{} // true: the index is newer than the snapshot
	for num, r := range s.index.ByNum {
		seen[num] = r.Record != nil || r.Saved != r.Rev
	}
	s.mu.Unlock()
	if reader == nil {
		return failure
	}
	for num, resident := range seen {
		if !resident {
			continue
		}
		id, err := readID(ctx, reader, num)
		if err != nil && !damaged(err) {
			return err
		}
		var snapshot *store.Snapshot
		if err == nil {
			snapshot, err = s.load(ctx, id)
		}
		if err != nil {
			s.options.Logger.Error("the connections of an actor cannot be ended: it cannot be loaded", "actor", id, "number", num, "error", err)
			continue // the other actors are not affected
		}
		if len(snapshot.Conns) > 0 && !f(id) {
			return nil
		}
	}
	// In pages: f may take long, and SQLite cannot restart its log while a statement
	// is open.
	type actor struct {
		num int64
		id  string
	}
	for last, page := int64(0), []actor(nil); ; page = page[:0] {
		rows, err := reader.QueryContext(ctx, `SELECT a.num, a.id FROM snapshots s JOIN actors a ON a.num = s.actor
			WHERE s.connected > 0 AND s.actor > ? ORDER BY s.actor LIMIT 256`, last)
		if err != nil {
			return err
		}
		for rows.Next() {
			var a actor
			if err := rows.Scan(&a.num, &a.id); err != nil {
				return errors.Join(err, rows.Close())
			}
			page = append(page, a)
		}
		if err := errors.Join(rows.Err(), rows.Close()); err != nil {
			return err
		}
		if len(page) == 0 {
			return nil
		}
		for _, a := range page {
			if !seen[a.num] && !f(a.id) {
				return nil
			}
		}
		last = page[len(page)-1].num
	}
}
