package sqlite

import (
	"cmp"
	"context"
	"encoding/binary"
	"maps"
	"slices"

	"github.com/troupe-dev/troupe/backend/internal/overlay"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
	"github.com/troupe-dev/troupe/backend/store/internal/text"
)

const (
	// sliceBytes is the most that one transaction writes of an actor that is too large
	// for one: while it is written, the commits of other actors wait.
	sliceBytes = journal.SliceBytes

	// pieceBytes is the size of the pieces of a state that is larger than sliceBytes.
	pieceBytes = 256 << 10

	// scatterBytes is what writing an item counts that is not next to the one before: the
	// page that it is on.
	scatterBytes = 8 << 10

	// callerBytes is about the most that one transaction writes of callers that have rows. It is less
	// than of items, as strangers can have much of it written.
	callerBytes = sliceBytes / 4

	// columnBytes is the size up to which all callers of an actor are in its snapshot.
	columnBytes = 4 << 10
)

// save is the snapshot of an actor at one revision, on its way into the file. All but
// its last row may be written ahead, a slice at a time: replaying the commits over them
// has the same result. It belongs to the writer.
type save struct {
	actor *journal.Resident
	rev   uint64
	rest  *store.Snapshot // without the state
	state text.Text
	edits []itemEdit // of items, to be written to their rows

	forgotten  bool
	changed    int64
	bytes      int64
	wiped      bool     // the items need a new owner
	dropped    []int    // tables
	callers    []string // to be written to their rows, in order
	callerRows bool
	first      bool  // they had none before
	stale      bool  // and an earlier save may have left some
	apart      int   // every how many-th caller is one of callers
	unsaved    int64 // of the actor, when the save was made

	began bool
	olds  [2]int64 // owners whose rows nobody needs after this, unless one is owner
	owner int64
	gen   int64
	at    int // bytes of the state that are written
	n     int // pieces
	sum   uint32
}

// itemEdit is an edit of an item.
type itemEdit struct {
	table int
	overlay.Item
}

// follows reports whether no other integer key is between two edits.
func (e *itemEdit) follows(before *itemEdit) bool {
	const integer = 8 // bytes
	return e.table == before.table && len(e.Key) == integer && len(before.Key) == integer &&
		binary.BigEndian.Uint64(e.Key) == binary.BigEndian.Uint64(before.Key)+1
}

// newSave makes the snapshot of a complete actor. The actor may change while it is
// written.
func newSave(c *catalog, r *journal.Resident) *save {
	c.mu.Lock()
	defer c.mu.Unlock()
	rec := r.Record
	v := &save{
		actor: r, rev: rec.Rev, rest: rec.Rest(r.ID), state: rec.State.Freeze(), forgotten: rec.Forgotten, changed: rec.Changed,
		bytes: rec.Size(), wiped: rec.Wiped != 0, unsaved: r.Unsaved,
		callerRows: r.Stored.CallerRows, owner: r.Stored.Owner, olds: [2]int64{r.Stored.Owner, r.Stored.RestOwner},
	}
	for table := range rec.Dropped {
		v.dropped = append(v.dropped, table)
	}
	rec.Items.All(func(table int, item overlay.Item) bool {
		v.edits = append(v.edits, itemEdit{table, item})
		return true
	})
	switch {
	case v.callerRows && !v.wiped:
		v.callers = slices.Sorted(maps.Keys(r.Stored.Touched))
	case v.callerRows:
		v.callers = slices.Sorted(maps.Keys(rec.Callers))
	}
	return v
}

// step writes one slice inside a transaction. It reports whether that was the last one.
func (v *save) step(ctx context.Context, w *writer) (done bool, err error) {
	f := w.files
	if !v.began {
		if err := v.begin(ctx, w); err != nil {
			return false, err
		}
	}
	switch {
	case len(v.edits) > 0:
		return false, v.writeItems(ctx, f)
	case v.gen != 0 && v.at < v.state.Len():
		return false, v.writePieces(ctx, f)
	case v.stale:
		return false, v.deleteStale(ctx, f)
	case len(v.callers) > 0:
		return false, v.writeCallers(ctx, f)
	}
	return true, v.finish(ctx, f)
}

func (v *save) begin(ctx context.Context, w *writer) error {
	v.began = true
	if !v.callerRows && v.columnOverflows() {
		// The snapshot before says that there are no rows, so nobody reads them before the last one.
		v.callerRows, v.first, v.stale = true, true, true
		for i := range v.rest.Callers {
			v.callers = append(v.callers, v.rest.Callers[i].ID)
		}
	}
	v.apart = max(len(v.rest.Callers)/max(len(v.callers), 1), 1)
	if v.wiped {
		w.lastNum++
		v.owner = w.lastNum
		_, err := w.files.conn.ExecContext(ctx, "UPDATE actors SET owner = ? WHERE num = ?", v.owner, v.actor.Num)
		if err == nil {
			_, err = w.files.conn.ExecContext(ctx, "UPDATE meta SET last = ?", v.owner)
		}
		if err != nil {
			return err
		}
	}
	if v.stale { // rows that this save leaves are garbage unless finish is reached
		if err := w.files.garbage.add(ctx, v.owner, leftCallers); err != nil {
			return err
		}
	}
	if v.state.Len() <= sliceBytes {
		return nil
	}
	// Pieces of a save that did not end may be there, and garbage that says that all pieces
	// of some generations are: those of this one are not.
	err := w.files.conn.QueryRowContext(ctx, `SELECT 1 + max(
		coalesce((SELECT max(gen) FROM pieces WHERE owner = ?1), 0),
		coalesce((SELECT -2 - min(tbl) FROM garbage WHERE owner = ?1 AND tbl BETWEEN ?2 AND -2), 0))`, v.owner, unfinished/2).Scan(&v.gen)
	if err != nil {
		return err
	}
	v.gen = max(v.gen, v.actor.Stored.Gen+1)
	return w.files.garbage.add(ctx, v.owner, piecesOf(v.gen)) // unless finish is reached
}

// writeItems writes edits of items to their rows.
func (v *save) writeItems(ctx context.Context, f *files) error {
	set, err := f.conn.PrepareContext(ctx, "INSERT OR REPLACE INTO items (owner, tbl, key, version, value) VALUES (?, ?, ?, ?, CAST(? AS TEXT))")
	if err != nil {
		return err
	}
	defer set.Close() // it has no result
	size := 0
	var before itemEdit
	for len(v.edits) > 0 && size < sliceBytes {
		e := v.edits[0]
		if e.Value == nil {
			_, err = f.conn.ExecContext(ctx, "DELETE FROM items WHERE owner = ? AND tbl = ? AND key = ?", v.owner, e.table, nonNil(e.Key))
		} else {
			_, err = set.ExecContext(ctx, v.owner, e.table, nonNil(e.Key), e.Version, []byte(e.Value))
		}
		if err != nil {
			return err
		}
		size += len(e.Key) + len(e.Value)
		if !e.follows(&before) {
			size += scatterBytes
		}
		before, v.edits = e, v.edits[1:]
	}
	return nil
}

// writePieces writes some pieces of the state.
func (v *save) writePieces(ctx context.Context, f *files) error {
	for end := v.at + sliceBytes/2; v.at < min(end, v.state.Len()); v.n++ {
		part := v.state.AppendRange(nil, v.at, min(pieceBytes, v.state.Len()-v.at))
		v.sum = journal.AddChecksum(v.sum, part)
		if _, err := f.conn.ExecContext(ctx, "INSERT INTO pieces (owner, gen, n, part) VALUES (?, ?, ?, CAST(? AS TEXT))", v.owner, v.gen, v.n, part); err != nil {
			return err
		}
		v.at += len(part)
	}
	return nil
}

// finish writes the row of the snapshot and what goes with it.
func (v *save) finish(ctx context.Context, f *files) error {
	r, rest := v.actor, v.rest
	conns, callers := []byte{'['}, []byte{'['}
	for i := range rest.Conns {
		conns = journal.AppendConn(append(conns, journal.Separator(i, "")...), &rest.Conns[i])
	}
	if !v.callerRows {
		for i := range rest.Callers {
			callers = journal.AppendCaller(append(callers, journal.Separator(i, "")...), &rest.Callers[i])
		}
	}
	conns, callers = append(conns, ']'), append(callers, ']')
	more := journal.Rest{
		More: journal.More{
			Born: rest.Born, CallersSince: rest.CallersSince, NextMessage: rest.NextMessage, Floor: rest.Floor,
			Tables: rest.Tables, Messages: rest.Messages, Senders: rest.Senders,
		},
		Ended: rest.Ended, Tombstone: rest.Tombstone, Forgotten: v.forgotten, Gen: v.gen, Pieces: v.n, CallerRows: v.callerRows,
	}
	if v.owner != r.Num {
		more.Owner = v.owner
	}
	var state []byte
	if v.gen == 0 {
		state = v.state.Bytes()
	}
	encoded := more.Encode()
	parked := 0
	for i := range rest.Messages {
		if rest.Messages[i].Parked != "" {
			parked++
		}
	}
	ended := int64(0)
	switch {
	case v.forgotten:
		ended = forgottenMark
	case rest.Tombstone:
		ended = max(rest.Ended.At.UnixMilli(), forgottenMark+1)
	}
	due := int64(0)
	if !rest.Due.IsZero() {
		due = rest.Due.UnixMilli()
	}
	sum := int64(journal.AddChecksum(v.sum, state, conns, callers, encoded))
	var err error
	if encoded == nil && rest.Version == 0 && due == 0 {
		_, err = f.insertPlain.ExecContext(ctx, r.Num, int64(rest.Rev), int64(rest.Head), rest.NextConn, len(rest.Conns), sum, nonNil(state), conns, callers, v.changed)
	} else {
		_, err = f.insertSnapshot.ExecContext(ctx, r.Num, int64(rest.Rev), int64(rest.Head), rest.NextConn, len(rest.Conns),
			sum, nonNil(state), conns, callers, rest.Version, due, parked, ended, v.changed, v.bytes, nonNil(encoded))
	}
	if err != nil {
		return err
	}
	for _, owner := range v.olds {
		if owner != v.owner {
			if err := f.garbage.add(ctx, owner, allRows); err != nil {
				return err
			}
		}
	}
	for _, table := range v.dropped {
		if err := f.garbage.add(ctx, v.owner, table); err != nil {
			return err
		}
	}
	if v.first {
		if err := f.garbage.drop(ctx, v.owner, leftCallers); err != nil {
			return err
		}
	}
	if v.gen != 0 {
		if err := f.garbage.drop(ctx, v.owner, piecesOf(v.gen)); err != nil {
			return err
		}
	}
	if r.Stored.Gen != 0 || v.gen > 1 {
		return f.garbage.add(ctx, v.owner, piecesBefore(max(v.gen, r.Stored.Gen+1)))
	}
	return nil
}

// nonNil makes an empty text or key of nil, which would be NULL.
func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// columnOverflows reports whether the callers are too large for the snapshot's row.
func (v *save) columnOverflows() bool {
	var text []byte
	size := 0
	for i := range v.rest.Callers {
		text = journal.AppendCaller(text[:0], &v.rest.Callers[i])
		if size += len(text) + 1; size >= columnBytes {
			return true
		}
	}
	return false
}

// deleteStale deletes some rows of callers.
func (v *save) deleteStale(ctx context.Context, f *files) error {
	left, err := f.garbage.deleteRows(ctx, callerRows, v.owner, leftCallers, callerBytes)
	v.stale = left <= 0
	return err
}

// writeCallers writes some rows of callers that have changed.
func (v *save) writeCallers(ctx context.Context, f *files) error {
	var text []byte
	for size := 0; len(v.callers) > 0 && size < callerBytes; v.callers = v.callers[1:] {
		id := v.callers[0]
		i, found := slices.BinarySearchFunc(v.rest.Callers, id, func(c store.Caller, id string) int { return cmp.Compare(c.ID, id) })
		var err error
		if text = text[:0]; !found {
			_, err = f.conn.ExecContext(ctx, "DELETE FROM callers WHERE owner = ? AND id = ?", v.owner, id)
			size += scatterBytes
		} else {
			text = journal.AppendCaller(text, &v.rest.Callers[i])
			_, err = f.setCaller.ExecContext(ctx, v.owner, id, int64(journal.Checksum(text)), text)
			size += len(text) + min(scatterBytes, v.apart*len(text)) // those next to each other share pages
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// apply updates the index once the snapshot is durable. Hold mu.
func (v *save) apply(w *writer) {
	r := v.actor
	r.Saved, r.Unsaved = v.rev, max(r.Unsaved-v.unsaved, 0)
	w.index.UpdateDirty(r)
	was := r.Stored
	r.Stored = journal.Stored{Owner: v.owner, RestOwner: v.owner, Gen: v.gen, CallerRows: v.callerRows}
	rec := r.Record
	if rec.Rev != v.rev { // commits since then
		if r.Stored.CallerRows && !was.CallerRows {
			r.Stored.Touched = map[string]uint64{}
			for id := range rec.Callers {
				r.Stored.Touched[id] = rec.Rev
			}
			for i := range v.rest.Callers {
				r.Stored.Touched[v.rest.Callers[i].ID] = rec.Rev
			}
		} else {
			r.Stored.Touched = was.Touched
			maps.DeleteFunc(r.Stored.Touched, func(_ string, rev uint64) bool { return rev <= v.rev })
		}
	}
	if rec.Wiped <= v.rev {
		rec.Wiped = 0
	}
	maps.DeleteFunc(rec.Dropped, func(_ int, rev uint64) bool { return rev <= v.rev })
	if rec.Items.Len() > 0 {
		rec.Items.Until(v.rev)
	}
	if v.forgotten {
		w.tombstones.nums = append(w.tombstones.nums, r.Num)
	}
}
