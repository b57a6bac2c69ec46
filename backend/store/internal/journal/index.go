package journal

import (
	"cmp"
	"errors"
	"fmt"
	"sort"
	"strconv"
	"time"

	"github.com/troupe-dev/troupe/backend/internal/rope"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/pages"
	"github.com/troupe-dev/troupe/backend/store/internal/record"
)

// ErrDamaged is the error of a file that SQLite can read, but whose content is wrong.
var ErrDamaged = errors.New("its content does not fit together")

// Index is the part of the file that is in memory: the locations of the journal's
// commits, and the actors that have some there or were used lately. The store guards it.
type Index struct {
	ByNum map[int64]*Resident
	ByID  map[string]*Resident // those whose id is known
	Rows  []Row                // of the journal, oldest first; only the writer changes them
	Bytes int64                // of rows
	Dirty int64                // bytes of the states that are in no snapshot
	Swept int                  // number of residents forgotten so far
	dues  *rope.Rope[Due]      // of the residents that have one, in their order
}

// Due is when an actor is due. The index and the file have the same order of them.
type Due struct {
	At  int64 // Unix milliseconds
	Num int64 // of the actor
}

// Compare is negative if d comes before e.
func (d Due) Compare(e Due) int { return cmp.Or(cmp.Compare(d.At, e.At), cmp.Compare(d.Num, e.Num)) }

// SetDue sets the Due of a resident.
func (x *Index) SetDue(r *Resident, at int64) {
	if r.Due == at {
		return
	}
	find := func(at int64) (int, bool) {
		return x.dues.Search(func(d *Due) int { return d.Compare(Due{at, r.Num}) })
	}
	if r.Due > 0 {
		if i, found := find(r.Due); found {
			x.dues.Replace(i, 1)
		}
	}
	if r.Due = at; at > 0 {
		i, _ := find(at)
		x.dues.Replace(i, 0, Due{at, r.Num})
	}
}

// DueAfter returns the Dues of residents behind one, at most n.
func (x *Index) DueAfter(after Due, before int64, n int) []Due {
	i, found := x.dues.Search(func(d *Due) int { return d.Compare(after) })
	if found {
		i++
	}
	var dues []Due
	for _, d := range x.dues.From(i) {
		if len(dues) == n || d.At >= before {
			break
		}
		dues = append(dues, *d)
	}
	return dues
}

// Row is one row of the journal.
type Row struct {
	ID     int64
	Bytes  int64
	At     time.Time   // when it was written, or the file was opened
	Actors []*Resident // one for each of its commits, in their order
}

// Resident is an actor in memory. The store's mutex guards
// everything but the writer's fields.
type Resident struct {
	// Only the writer changes these, holding the mutex. It may read them without.
	Num       int64
	Rev       uint64 // newest durable revision
	Head      uint64 // and number of the newest entry
	Locations []Location

	// Loading the actor completes these; see Index.Keep.
	ID      string         // empty until the actor is used by its id
	Saved   uint64         // its snapshot's revision; 0 also if that is not known yet
	Record  *record.Record // all of its commits applied; nil: in the file only
	dirty   int64          // its part of Index.Dirty
	Unsaved int64          // bytes of the journal since the snapshot, about
	Used    time.Time
	Due     int64  // the actor's Due in Unix milliseconds, 0: never; -1: its snapshot has it
	DueRev  uint64 // the newest revision in the journal that has set it
	Served  uint64 // entries up to this one are not served: they are of an earlier life
	Ended   bool   // it was destroyed before, as far as the journal or the record says

	// Stored is what the snapshot says of the actor's rows in other tables.
	Stored Stored

	// Message has the snapshot, in a store that keeps snapshots in messages. Nil: not known.
	Message *Message

	// The writer's.
	Group   int64      // that the next two belong to
	Next    record.End // the actor's position after the group's commits so far
	Failed  bool       // one of them does not follow
	Waiting bool       // in Planner.Due
	Slicing bool       // is being saved in slices, or will be
	Damaged bool       // its commits do not follow each other: it cannot be read
	Leaving bool       // its tombstone is being removed: no commit follows it
	Blocked int64      // not snapshotted before this time, in Unix nanoseconds
	plan    int64      // that the next two belong to
	planned bool       // to be saved
	trimmed int        // number of its locations to drop
}

// Stored is which rows besides its snapshot belong to an actor. The writer changes it,
// holding the mutex.
type Stored struct {
	Owner      int64             // of its items
	RestOwner  int64             // of the snapshot's pieces and callers
	Gen        int64             // of the snapshot's pieces; 0: the state is in the snapshot
	CallerRows bool              // callers have rows
	Touched    map[string]uint64 // and those of these callers are not up to date, since the newest revision of each
}

// Message is a message that has a snapshot.
type Message struct {
	Seq    uint64             // 0: there is none
	Pieces int                // further messages that it has needed so far
	Roots  map[int]pages.Root // of its tables. It is not changed
}

// Apply applies a commit to the actor's record.
func (r *Resident) Apply(c *store.Commit) {
	r.Record.Apply(c)
	if !r.Stored.CallerRows {
		return
	}
	if r.Stored.Touched == nil {
		r.Stored.Touched = map[string]uint64{}
	}
	for i := range c.Callers {
		r.Stored.Touched[c.Callers[i].ID] = c.Rev
	}
	for _, id := range c.GoneCallers {
		r.Stored.Touched[id] = c.Rev
	}
}

// IsBlocked reports whether the actor's last snapshot failed a short time ago.
func (r *Resident) IsBlocked(now time.Time) bool { return now.UnixNano() < r.Blocked }

// LongReplay reports whether loading the actor reads so much of the journal that it
// needs a snapshot. A large state, or many connections and callers, are not written for a
// few short commits.
func (r *Resident) LongReplay() bool {
	size := int64(r.Record.SnapshotSize())
	return r.Unsaved >= max(256<<10, 2*size) || r.Rev-r.Saved >= 1000 && r.Unsaved >= size
}

// Location is where a commit is in the journal.
type Location struct {
	Row      int64
	Off, Len uint32
	Head     uint64 // number of the newest entry after it
}

// NewIndex returns an Index without commits.
func NewIndex() Index {
	const part = 256
	return Index{ByNum: map[int64]*Resident{}, ByID: map[string]*Resident{}, dues: rope.New[Due](part, nil)}
}

// Push adds a row to the journal's end.
func (x *Index) Push(r Row) {
	x.Rows = append(x.Rows, r)
	x.Bytes += r.Bytes
}

// Forget drops from memory what the file has of an actor that is saved.
func (x *Index) Forget(r *Resident) {
	r.Record = nil
	x.UpdateDirty(r)
	if len(r.Locations) == 0 {
		x.SetDue(r, -1)
		delete(x.ByNum, r.Num)
		delete(x.ByID, r.ID)
		x.Swept++
	}
}

// Keep makes an actor that was read resident. If it is resident already, Keep
// completes it, unless it has changed since it was read.
func (x *Index) Keep(loaded *Resident, now time.Time) *Resident {
	r := x.ByNum[loaded.Num]
	if r == nil {
		r = loaded
		x.ByNum[r.Num] = r
	}
	if r.ID == "" {
		r.ID = loaded.ID
	}
	x.ByID[r.ID] = r
	r.Used = now
	if r.Record == nil && r.Rev == loaded.Rev {
		r.Record, r.Saved, r.Stored = loaded.Record, loaded.Saved, loaded.Stored
		x.SetDue(r, r.Record.Due)
		r.Served, r.Ended = max(r.Served, r.Record.Served), r.Ended || r.Record.Ended != nil
		x.UpdateDirty(r)
	}
	return r
}

// UpdateDirty updates the number of bytes of the actor's state that no snapshot has.
func (x *Index) UpdateDirty(r *Resident) {
	bytes := int64(0)
	if r.Rev != r.Saved && r.Record != nil {
		bytes = int64(r.Record.State.Len())
	}
	x.Dirty += bytes - r.dirty
	r.dirty = bytes
}

// Pop forgets the n oldest rows of the journal.
func (x *Index) Pop(n int) {
	for _, row := range x.Rows[:n] {
		x.Bytes -= row.Bytes
		for _, r := range row.Actors {
			if len(r.Locations) > 1 && r.Locations[0].Row == row.ID {
				r.Locations = r.Locations[1:]
			} else if len(r.Locations) == 1 && r.Locations[0].Row == row.ID {
				r.Locations = nil
			}
		}
	}
	clear(x.Rows[:n])
	x.Rows = x.Rows[n:]
}

// First is the revision of an actor's oldest commit in the journal.
func (r *Resident) First() uint64 { return r.Rev + 1 - uint64(len(r.Locations)) }

// LocationsAfter returns the locations of the commits that have entries above a number.
func (r *Resident) LocationsAfter(after uint64) []Location {
	after = max(after, r.Served)
	i := sort.Search(len(r.Locations), func(i int) bool { return r.Locations[i].Head > after })
	return r.Locations[i:]
}

// appendLocation encodes a location as it is stored: four numbers, and then tokens that
// begin with a letter: d and the commit's Due in Unix milliseconds, x if it destroys the
// actor. Its offset follows from the locations before it.
func appendLocation(dst []byte, num int64, c *store.Commit, p Location) []byte {
	if len(dst) > 0 {
		dst = append(dst, ' ')
	}
	dst = strconv.AppendInt(dst, num, 10)
	dst = strconv.AppendUint(append(dst, ' '), c.Rev, 10)
	dst = strconv.AppendUint(append(dst, ' '), p.Head, 10)
	dst = strconv.AppendUint(append(dst, ' '), uint64(p.Len), 10)
	return AppendTokens(dst, c)
}

// AppendTokens adds the tokens of a commit to its location.
func AppendTokens(dst []byte, c *store.Commit) []byte {
	if !c.Due.IsZero() {
		dst = strconv.AppendInt(append(dst, " d"...), record.DueOf(c.Due), 10)
	}
	if c.End == store.Destroyed {
		dst = append(dst, " x"...)
	}
	return dst
}

// Tokens is what the tokens behind a location say.
type Tokens struct {
	Due       int64 // Unix milliseconds, 0: never, -1: it has not changed
	Destroyed bool
}

// CutTokens cuts the tokens, and the space after them, off what follows a location's
// numbers.
func CutTokens(b []byte) (t Tokens, rest []byte, ok bool) {
	t.Due = -1
	for len(b) > 0 && b[0] >= 'a' {
		switch token := b[0]; token {
		case 'd':
			var n uint64
			if n, b, ok = CutNumber(b[1:]); !ok {
				return t, nil, false
			}
			t.Due = int64(n)
		case 'x':
			t.Destroyed = true
			if b = b[1:]; len(b) > 0 {
				if b[0] != ' ' {
					return t, nil, false
				}
				b = b[1:]
			}
		default:
			return t, nil, false
		}
	}
	if t.Destroyed {
		t.Due = max(t.Due, 0)
	}
	return t, b, true
}

// ApplyTokens applies the tokens of an actor's newest commit.
func (x *Index) ApplyTokens(r *Resident, t Tokens) {
	if t.Destroyed {
		r.Served, r.Ended = r.Head, true
	}
	if t.Due >= 0 {
		x.SetDue(r, t.Due)
		r.DueRev = r.Rev
	}
}

// Add adds a row of the journal; locations is its column of them.
func (x *Index) Add(row *Row, locations []byte) error {
	bad := func(what string) error {
		return fmt.Errorf("row %d of the journal, %s: %w", row.ID, what, ErrDamaged)
	}
	off := uint32(1) // after the bracket
	stored := len(locations)
	for len(locations) > 0 {
		var n [4]uint64
		for i := range n {
			var ok bool
			if n[i], locations, ok = CutNumber(locations); !ok {
				return bad("its locations")
			}
		}
		num, rev, p := int64(n[0]), n[1], Location{Row: row.ID, Off: off, Len: uint32(n[3]), Head: n[2]}
		r := x.ByNum[num]
		if r == nil {
			r = &Resident{Num: num, Rev: rev - 1, Due: -1}
			x.ByNum[num] = r
		}
		if rev != r.Rev+1 || p.Head < r.Head {
			return bad(fmt.Sprint("revision ", rev, " of actor ", num))
		}
		r.Rev, r.Head = rev, p.Head
		if len(locations) > 0 && locations[0] >= 'a' {
			var t Tokens
			var ok bool
			if t, locations, ok = CutTokens(locations); !ok {
				return bad("its tokens")
			}
			x.ApplyTokens(r, t)
		}
		r.Locations = append(r.Locations, p)
		r.Unsaved += int64(p.Len)
		row.Actors = append(row.Actors, r)
		off += p.Len + 1 // and a comma
	}
	row.Bytes = RowSize(int(off), stored, len(row.Actors))
	x.Push(*row)
	return nil
}

// CutNumber cuts a number and the space after it off b.
func CutNumber(b []byte) (n uint64, rest []byte, ok bool) {
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
