package sqlite

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"time"

	"github.com/troupe-dev/troupe/backend/store/internal/record"
)

// errDamaged is the error of a file that SQLite can read, but whose content is wrong.
var errDamaged = errors.New("its content does not fit together")

// index is the part of the file that is in memory: the locations of the journal's
// commits, and the actors that have some there or were used lately. Store.mu guards it.
type index struct {
	byNum map[int64]*resident
	byID  map[string]*resident // those whose id is known
	rows  []row                // of the journal, oldest first; only the writer changes them
	bytes int64                // of rows
	dirty int64                // bytes of the states that are in no snapshot
	swept int                  // number of residents forgotten so far
}

// row is one row of the journal.
type row struct {
	id     int64
	bytes  int64
	at     time.Time   // when it was written, or the file was opened
	actors []*resident // one for each of its commits, in their order
}

// resident is an actor in memory. Store.mu guards everything but the writer's fields.
type resident struct {
	// Only the writer changes these, holding mu. It may read them without mu.
	num       int64
	rev       uint64 // newest durable revision
	head      uint64 // and number of the newest entry
	locations []location

	// Loading the actor completes these; see index.keep.
	id      string         // empty until the actor is used by its id
	saved   uint64         // its snapshot's revision; 0 also if that is not known yet
	record  *record.Record // all of its commits applied; nil: in the file only
	dirty   int64          // its part of index.dirty
	unsaved int64          // bytes of the journal since the snapshot, about
	used    time.Time

	// The writer's.
	group   int64      // that the next two belong to
	next    record.End // the actor's position after the group's commits so far
	failed  bool       // one of them does not follow
	due     bool       // in Store.due
	blocked int64      // not snapshotted before this time, in Unix nanoseconds
	plan    int64      // that the next two belong to
	planned bool       // to be saved
	trimmed int        // number of its locations to drop
}

// isBlocked reports whether the actor's last snapshot failed a short time ago.
func (r *resident) isBlocked(now time.Time) bool { return now.UnixNano() < r.blocked }

// longReplay reports whether loading the actor reads so much of the journal that it
// needs a snapshot. A large state, or many connections and callers, are not written for a
// few short commits.
func (r *resident) longReplay() bool {
	size := int64(r.record.Size())
	return r.unsaved >= max(256<<10, 2*size) || r.rev-r.saved >= 1000 && r.unsaved >= size
}

// location is where a commit is in the journal.
type location struct {
	row      int64
	off, len uint32
	head     uint64 // number of the newest entry after it
}

func newIndex() index {
	return index{byNum: map[int64]*resident{}, byID: map[string]*resident{}}
}

// push adds a row to the journal's end.
func (x *index) push(r row) {
	x.rows = append(x.rows, r)
	x.bytes += r.bytes
}

// forget drops from memory what the file has of an actor that is saved.
func (x *index) forget(r *resident) {
	r.record = nil
	x.updateDirty(r)
	if len(r.locations) == 0 {
		delete(x.byNum, r.num)
		delete(x.byID, r.id)
		x.swept++
	}
}

// pop forgets the n oldest rows of the journal.
func (x *index) pop(n int) {
	for _, row := range x.rows[:n] {
		x.bytes -= row.bytes
		for _, r := range row.actors {
			r.locations = r.locations[1:]
			if len(r.locations) == 0 {
				r.locations = nil
			}
		}
	}
	clear(x.rows[:n])
	x.rows = x.rows[n:]
}

// first is the revision of an actor's oldest commit in the journal.
func (r *resident) first() uint64 { return r.rev + 1 - uint64(len(r.locations)) }

// locationsAfter returns the locations of the commits that have entries above a number.
func (r *resident) locationsAfter(after uint64) []location {
	i := sort.Search(len(r.locations), func(i int) bool { return r.locations[i].head > after })
	return r.locations[i:]
}

// appendLocation encodes a location as it is stored. Its offset follows from the
// locations before it.
func appendLocation(dst []byte, num int64, rev uint64, p location) []byte {
	if len(dst) > 0 {
		dst = append(dst, ' ')
	}
	dst = strconv.AppendInt(dst, num, 10)
	dst = strconv.AppendUint(append(dst, ' '), rev, 10)
	dst = strconv.AppendUint(append(dst, ' '), p.head, 10)
	return strconv.AppendUint(append(dst, ' '), uint64(p.len), 10)
}

// scan makes the index of a file from its journal. It reads the rows without
// their commits, and many rows at a time, which is several times faster.
func scan(ctx context.Context, db querier, now time.Time) (*index, error) {
	rows, err := db.QueryContext(ctx, "SELECT group_concat(id || ' ' || places, char(10) ORDER BY id) FROM groups GROUP BY id / 1000 ORDER BY id / 1000")
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	x := newIndex()
	var lines sql.RawBytes
	for rows.Next() {
		if err := rows.Scan(&lines); err != nil {
			return nil, err
		}
		for line := range bytes.SplitSeq(lines, []byte{'\n'}) {
			id, locations, ok := cutNumber(line)
			if !ok {
				return nil, fmt.Errorf("a row of the journal: %w", errDamaged)
			}
			if err := x.scanRow(&row{id: int64(id), at: now}, locations); err != nil {
				return nil, err
			}
		}
	}
	return &x, rows.Err()
}

func (x *index) scanRow(row *row, locations []byte) error {
	bad := func(what string) error {
		return fmt.Errorf("row %d of the journal, %s: %w", row.id, what, errDamaged)
	}
	off := uint32(1) // after the bracket
	stored := len(locations)
	for len(locations) > 0 {
		var n [4]uint64
		for i := range n {
			var ok bool
			if n[i], locations, ok = cutNumber(locations); !ok {
				return bad("its locations")
			}
		}
		num, rev, p := int64(n[0]), n[1], location{row: row.id, off: off, len: uint32(n[3]), head: n[2]}
		r := x.byNum[num]
		if r == nil {
			r = &resident{num: num, rev: rev - 1}
			x.byNum[num] = r
		}
		if rev != r.rev+1 || p.head < r.head {
			return bad(fmt.Sprint("revision ", rev, " of actor ", num))
		}
		r.rev, r.head = rev, p.head
		r.locations = append(r.locations, p)
		r.unsaved += int64(p.len)
		row.actors = append(row.actors, r)
		off += p.len + 1 // and a comma
	}
	row.bytes = rowSize(int(off), stored, len(row.actors))
	x.push(*row)
	return nil
}

// cutNumber cuts a number and the space after it off b.
func cutNumber(b []byte) (n uint64, rest []byte, ok bool) {
	i := 0
	for ; i < len(b) && b[i] != ' '; i++ {
		d := b[i] - '0'
		if d > 9 || i > 18 {
			return 0, nil, false
		}
		n = n*10 + uint64(d)
	}
	return n, b[min(i+1, len(b)):], i > 0
}
