package sqlite

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
	"github.com/troupe-dev/troupe/backend/store/internal/record"
)

// errNothing is the error of an actor that has only a row in the table actors. That
// row is written together with the actor's first commit.
var errNothing = fmt.Errorf("it has neither a snapshot nor a commit: %w", journal.ErrDamaged)

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

// reader reads actors, from memory and through the pool. All methods may be called at
// the same time.
type reader struct {
	*catalog
	options Options
	writer  *writer // opens the file again after an error
	decoded journal.Decoded
}

// Load implements store.Store.
func (rd *reader) Load(ctx context.Context, actor string) (*store.Snapshot, error) {
	snapshot, err := rd.load(ctx, actor)
	if err != nil {
		return nil, fmt.Errorf("load actor %s: %w", actor, err)
	}
	return snapshot, nil
}

func (rd *reader) load(ctx context.Context, actor string) (snapshot *store.Snapshot, err error) {
	err = rd.withRecord(ctx, actor, func(_ *journal.Resident, r *record.Record) { snapshot = r.Snapshot(actor) })
	return snapshot, err
}

// withRecord calls f with an actor and its record, while it holds mu. The record is that
// of the actor or, if that has changed while it was read, an older one.
func (rd *reader) withRecord(ctx context.Context, actor string, f func(*journal.Resident, *record.Record)) error {
	for waited := false; ; {
		rd.writer.reopen(ctx)
		rd.mu.Lock()
		if r := rd.index.ByID[actor]; r != nil && r.Record != nil {
			defer rd.mu.Unlock()
			r.Used = rd.options.now()
			f(r, r.Record)
			return nil
		}
		reader, swept, failure := rd.pool, rd.index.Swept, rd.failure
		rd.mu.Unlock()
		if reader == nil {
			return failure
		}

		loaded, err := readSnapshot(ctx, reader, actor)
		if err != nil {
			return err
		}
		rd.options.afterRead()
		rd.mu.Lock()
		r := rd.index.ByNum[loaded.Num]
		switch {
		case rd.pool != reader, r == nil && rd.index.Swept != swept:
			rd.mu.Unlock()
			continue // what was read says nothing about the index as it is
		case r == nil && loaded.Rev == 0 && !waited: // its first commit is being written
			rd.mu.Unlock()
			rd.writer.await()
			waited = true
			continue
		case r == nil && loaded.Rev == 0:
			rd.mu.Unlock()
			return errNothing
		case r != nil && r.Record == nil:
			// The journal has more of it. The locations are copied before the read
			// transaction starts: a commit that is trimmed in between is in the
			// snapshot that the transaction sees.
			locations, first := slices.Clone(r.Locations), r.First()
			rd.mu.Unlock()
			if loaded, err = readActor(ctx, reader, actor, locations, first); err != nil {
				return err
			}
			rd.options.afterRead()
			rd.mu.Lock()
			if rd.pool != reader || rd.index.ByNum[loaded.Num] == nil && rd.index.Swept != swept {
				rd.mu.Unlock()
				continue
			}
		}
		if r := rd.index.ByNum[loaded.Num]; r != nil && loaded.Rev > r.Rev {
			rd.mu.Unlock()
			return errAhead
		}
		r = rd.index.Keep(loaded, rd.options.now())
		f(r, cmp.Or(r.Record, loaded.Record))
		rd.mu.Unlock()
		return nil
	}
}

// readActor reads an actor in one read transaction: its snapshot, and its later
// commits in the journal. locations are those of the revisions from first on.
func readActor(ctx context.Context, db *pool, actor string, locations []journal.Location, first uint64) (*journal.Resident, error) {
	tx, err := db.begin(ctx)
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
func readSnapshot(ctx context.Context, db snapshotReader, actor string) (*journal.Resident, error) {
	r := &journal.Resident{ID: actor, Due: -1, Record: &record.Record{}}
	var key []byte
	var rev, head, nextConn, sum, version, due, changed integer
	var state, conns, callers, encoded []byte
	err := db.snapshotOf(ctx, actor).
		Scan(&r.Num, &r.Record.Name, &key, &r.Record.Log, &r.Stored.Owner,
			&rev, &head, &nextConn, &sum, &state, &conns, &callers, &version, &due, &changed, &encoded)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, store.ErrNotFound
	} else if err != nil {
		return nil, err
	}
	if err := json.Unmarshal(key, &r.Record.Key); err != nil {
		return nil, fmt.Errorf("the key: %w: %w", journal.ErrDamaged, err)
	}
	r.Stored.RestOwner = r.Num
	if !rev.Valid {
		return r, nil
	}
	rest, err := journal.DecodeRest(encoded)
	if err != nil {
		return nil, err
	}
	if rest.Owner != 0 {
		r.Stored.RestOwner = rest.Owner
	}
	r.Stored.Gen, r.Stored.CallerRows = rest.Gen, rest.CallerRows
	if pool, isPool := db.(*pool); isPool && (rest.Gen != 0 || rest.CallerRows) {
		return readSnapshotAt(ctx, pool, actor)
	}
	if rest.Gen != 0 {
		if state, err = readPieces(ctx, db, r.Stored.RestOwner, rest.Gen, rest.Pieces); err != nil {
			return nil, err
		}
	}
	if int64(journal.Checksum(state, conns, callers, encoded)) != sum.Int64 {
		return nil, fmt.Errorf("the snapshot does not have its checksum: %w", journal.ErrDamaged)
	}
	snapshot := store.Snapshot{
		Name: r.Record.Name, Key: r.Record.Key, Log: r.Record.Log,
		Rev: uint64(rev.Int64), Head: uint64(head.Int64), State: state, NextConn: uint32(nextConn.Int64),
		Version: int(version.Int64), Born: rest.Born, CallersSince: rest.CallersSince,
		NextMessage: rest.NextMessage, Floor: rest.Floor, Tables: rest.Tables, Messages: rest.Messages, Senders: rest.Senders,
		Due: record.Milli(due.Int64), Changed: record.Milli(changed.Int64), Ended: rest.Ended, Tombstone: rest.Tombstone,
	}
	if err := errors.Join(json.Unmarshal(conns, &snapshot.Conns), json.Unmarshal(callers, &snapshot.Callers)); err != nil {
		return nil, fmt.Errorf("the snapshot: %w: %w", journal.ErrDamaged, err)
	}
	if rest.CallerRows {
		if snapshot.Callers, err = readCallers(ctx, db, r.Stored.RestOwner); err != nil {
			return nil, err
		}
	}
	r.Record = record.Of(&snapshot)
	r.Record.Forgotten = rest.Forgotten
	r.Rev, r.Head, r.Saved = snapshot.Rev, snapshot.Head, snapshot.Rev
	return r, nil
}

// readSnapshotAt is readSnapshot for an actor that has rows in several tables.
func readSnapshotAt(ctx context.Context, db *pool, actor string) (*journal.Resident, error) {
	tx, err := db.begin(ctx)
	if err != nil {
		return nil, err
	}
	defer tx.Rollback() // it only reads
	return readSnapshot(ctx, tx, actor)
}

// readPieces reads a state that is in n pieces.
func readPieces(ctx context.Context, db querier, owner, gen int64, n int) ([]byte, error) {
	rows, err := db.QueryContext(ctx, "SELECT CAST(part AS BLOB) FROM pieces WHERE owner = ? AND gen = ? ORDER BY n", owner, gen)
	if err != nil {
		return nil, err
	}
	defer rows.Close() // rows.Err has its error
	state := make([]byte, 0, min(n, 1<<12)*pieceBytes)
	var part sql.RawBytes
	for ; rows.Next(); n-- {
		if err := rows.Scan(&part); err != nil {
			return nil, err
		}
		state = append(state, part...)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if n != 0 {
		return nil, fmt.Errorf("pieces of the state are missing: %w", journal.ErrDamaged)
	}
	return state, nil
}

// readCallers reads callers that have rows of their own, by id.
func readCallers(ctx context.Context, db querier, owner int64) ([]store.Caller, error) {
	rows, err := db.QueryContext(ctx, "SELECT sum, CAST(record AS BLOB) FROM callers WHERE owner = ? ORDER BY id", owner)
	if err != nil {
		return nil, err
	}
	defer rows.Close() // rows.Err has its error
	var callers []store.Caller
	var text sql.RawBytes
	for rows.Next() {
		var sum integer
		if err := rows.Scan(&sum, &text); err != nil {
			return nil, err
		}
		var c store.Caller
		if int64(journal.Checksum(text)) != sum.Int64 {
			return nil, fmt.Errorf("a caller does not have its checksum: %w", journal.ErrDamaged)
		}
		if err := json.Unmarshal(text, &c); err != nil {
			return nil, fmt.Errorf("a caller: %w: %w", journal.ErrDamaged, err)
		}
		callers = append(callers, c)
	}
	return callers, rows.Err()
}

// replay applies the actor's commits that come after its snapshot.
func replay(ctx context.Context, db querier, r *journal.Resident, locations []journal.Location, first uint64) error {
	if r.Rev >= first {
		locations = locations[min(r.Rev+1-first, uint64(len(locations))):]
	}
	log := r.Record.Log // the newest
	return readCommits(ctx, db, locations, func(j *journal.Commit) (bool, error) {
		c, err := j.Decode(&r.Record.State)
		if err != nil {
			return false, err
		}
		if c.Actor, c.Name, c.Key, c.Log = r.ID, r.Record.Name, r.Record.Key, log; j.Actor != r.Num {
			return false, fmt.Errorf("a commit of another actor: %w", journal.ErrDamaged)
		}
		if j.EndLog != "" {
			c.Log = j.EndLog
		}
		end, err := r.Record.End().Then(c)
		if err == nil && j.Edits != nil && end.Size != j.Size {
			err = errors.New("the state does not have its size")
		}
		if err != nil {
			return false, fmt.Errorf("%w: %w", journal.ErrDamaged, err)
		}
		r.Apply(c)
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

// openReader returns the connections that read, or why there are none.
func (rd *reader) openReader(ctx context.Context) (*pool, error) {
	rd.writer.reopen(ctx)
	rd.mu.Lock()
	defer rd.mu.Unlock()
	if rd.pool == nil {
		return nil, rd.failure
	}
	return rd.pool, nil
}
