// Package journal is what stores share that keep the commits of all actors in one
// journal: how a commit is encoded, where the commits of each actor are, and when
// actors are snapshotted so that the journal can be trimmed.
package journal

import (
	"encoding/json"
	"fmt"
	"hash/crc32"
	"strconv"
	"time"
	"unicode/utf8"

	"github.com/troupe-dev/troupe/backend/internal/delta"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/record"
	"github.com/troupe-dev/troupe/backend/store/internal/text"
)

// rowBytes is the size at which the encoder starts another row of the journal:
// reading one commit reads all of its row.
const rowBytes = 64 << 10

// rowSpare is more than the other columns of a row of the journal take, in bytes.
const rowSpare = 128 << 10

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Checksum is a CRC-32C over all parts.
func Checksum(parts ...[]byte) uint32 { return AddChecksum(0, parts...) }

// AddChecksum continues the Checksum of earlier parts.
func AddChecksum(sum uint32, parts ...[]byte) uint32 {
	for _, b := range parts {
		sum = crc32.Update(sum, castagnoli, b)
	}
	return sum
}

// Commit is a commit as stored in the journal. AppendCommit encodes it without
// encoding/json, because encoding is most of the cost of a commit.
type Commit struct {
	Actor       int64           `json:"a"`
	Rev         uint64          `json:"r"`
	Time        int64           `json:"t"` // Unix milliseconds
	State       json.RawMessage `json:"s"` // whole; or
	Delta       json.RawMessage `json:"d"` // from the revision before, see package delta; or
	Edits       []delta.Edit    `json:"u"` // of the state, in order. None of the three: unchanged
	Sum         uint32          `json:"x"` // of the state, with a delta
	Size        int             `json:"z"` // of the state, with edits
	NextConn    uint32          `json:"n"`
	Entries     []store.Entry   `json:"e"`
	Conns       []store.Conn    `json:"c"`
	Gone        []uint32        `json:"g"`
	Callers     []store.Caller  `json:"k"`
	GoneCallers []string        `json:"l"`
	More
	Items        []item       `json:"items"`
	GoneMessages []uint64     `json:"goneMessages"`
	GoneSenders  []string     `json:"goneSenders"`
	Due          *int64       `json:"due"` // Unix milliseconds; 0: never
	End          store.Ending `json:"end"`
	EndLog       string       `json:"log"` // the log of the life that ended
	Identity     *Identity    `json:"o"`   // see AppendIdentity
}

// Identity is what a store without a catalog of actors keeps in the commits that change
// it: the first one of an actor, and those of a tombstone.
type Identity struct {
	Name string   `json:"n"`
	Key  []string `json:"k"`
	Log  string   `json:"l"`
}

// Decode returns the stored parts of the Apply that was passed to the store; state
// is the actor's state before it.
func (j *Commit) Decode(state *text.Text) (*store.Commit, error) {
	c := &store.Commit{
		Rev: j.Rev, Time: time.UnixMilli(j.Time), State: j.State, Entries: j.Entries, NextConn: j.NextConn,
		Conns: j.Conns, Gone: j.Gone, Callers: j.Callers, GoneCallers: j.GoneCallers,
	}
	if j.Delta != nil {
		var err error
		if c.State, err = delta.Apply(state.Bytes(), j.Delta); err != nil {
			return nil, fmt.Errorf("%w: %w", ErrDamaged, err)
		}
		if Checksum(c.State) != j.Sum {
			return nil, fmt.Errorf("the state does not have its checksum: %w", ErrDamaged)
		}
	}
	j.decodeMore(c)
	for _, e := range j.Edits {
		c.Edits = append(c.Edits, store.Edit(e))
	}
	for i := range c.Entries {
		c.Entries[i].Time = c.Time
	}
	return c, nil
}

// Encoder encodes the rows of a group. It reuses its buffers for the next group. It
// belongs to the writer.
type Encoder struct {
	rows    []EncodedRow
	n       int   // rows of this group
	LastRow int64 // id of the newest row in the file
	MaxRow  int   // the longest row that SQLite takes, in bytes
}

// EncodedRow is a row that is being written.
type EncodedRow struct {
	Row
	Locations []Location
	Index     []byte // the locations as stored
	Commits   []byte
}

// RowSize returns the size of a row of the journal, in the file and in the index.
func RowSize(commits, locations, n int) int64 {
	const row, location = 120, 40
	return int64(commits + locations + row + n*location)
}

// Reset begins a group.
func (e *Encoder) Reset() { e.n = 0 }

// Rows returns the rows of the group. They are valid until the next Reset.
func (e *Encoder) Rows() []EncodedRow { return e.rows[:e.n] }

// Add adds a commit of an actor, after which the actor is at end. It returns an error
// for a commit that is too long for a row, and then adds nothing.
func (e *Encoder) Add(r *Resident, c *store.Commit, end record.End) error {
	if e.n == 0 || len(e.rows[e.n-1].Commits) >= rowBytes {
		if e.n == len(e.rows) {
			e.rows = append(e.rows, EncodedRow{})
		}
		w := &e.rows[e.n]
		e.n++
		w.Row = Row{ID: e.LastRow + int64(e.n)}
		w.Locations, w.Index, w.Commits = w.Locations[:0], w.Index[:0], w.Commits[:0]
	}
	w := &e.rows[e.n-1]
	if len(w.Commits) == 0 {
		w.Commits = append(w.Commits, '[')
	} else {
		w.Commits[len(w.Commits)-1] = ',' // in place of the bracket
	}
	off := len(w.Commits)
	w.Commits = AppendCommit(w.Commits, r.Num, c, end.Size)
	if n := len(w.Commits); n > e.MaxRow-rowSpare {
		if w.Commits[off-1] = ']'; off == 1 { // it is the first one
			e.n--
		}
		w.Commits = w.Commits[:off]
		return fmt.Errorf("the commit has %d bytes, which is more than a row can have", n-off)
	}
	p := Location{Row: w.ID, Off: uint32(off), Len: uint32(len(w.Commits) - off), Head: end.Head}
	w.Commits = append(w.Commits, ']')
	w.Locations = append(w.Locations, p)
	w.Index = appendLocation(w.Index, r.Num, c, p)
	w.Actors = append(w.Actors, r)
	w.Bytes = RowSize(len(w.Commits), len(w.Index), len(w.Actors))
	return nil
}

// AppendCommit encodes a commit as Commit decodes it. Fields that are JSON are
// copied. size is the size of the state after the commit.
func AppendCommit(b []byte, num int64, c *store.Commit, size int) []byte {
	b = strconv.AppendInt(append(b, `{"a":`...), num, 10)
	b = strconv.AppendUint(append(b, `,"r":`...), c.Rev, 10)
	b = strconv.AppendInt(append(b, `,"t":`...), c.Time.UnixMilli(), 10)
	b = strconv.AppendUint(append(b, `,"n":`...), uint64(c.NextConn), 10)
	switch {
	case c.State != nil:
		b = appendState(b, c.Base, c.State)
	case len(c.Edits) > 0:
		for i, e := range c.Edits {
			b = delta.AppendEdit(append(b, Separator(i, `,"u":[`)...), delta.Edit(e))
		}
		b = strconv.AppendInt(append(b, `],"z":`...), int64(size), 10)
	}
	for i := range c.Entries {
		b = appendEntry(append(b, Separator(i, `,"e":[`)...), &c.Entries[i])
	}
	b = closeList(b, len(c.Entries))
	for i := range c.Conns {
		b = AppendConn(append(b, Separator(i, `,"c":[`)...), &c.Conns[i])
	}
	b = closeList(b, len(c.Conns))
	for i, num := range c.Gone {
		b = strconv.AppendUint(append(b, Separator(i, `,"g":[`)...), uint64(num), 10)
	}
	b = closeList(b, len(c.Gone))
	for i := range c.Callers {
		b = AppendCaller(append(b, Separator(i, `,"k":[`)...), &c.Callers[i])
	}
	b = closeList(b, len(c.Callers))
	for i, id := range c.GoneCallers {
		b = AppendString(append(b, Separator(i, `,"l":[`)...), id)
	}
	b = closeList(b, len(c.GoneCallers))
	return append(appendMore(b, c), '}')
}

// AppendIdentity adds the Identity of a commit to the commit that b ends with.
func AppendIdentity(b []byte, c *store.Commit) []byte {
	b = AppendString(append(b[:len(b)-1], `,"o":{"n":`...), c.Name)
	for i, k := range c.Key {
		b = AppendString(append(b, Separator(i, `,"k":[`)...), k)
	}
	b = closeList(b, len(c.Key))
	return append(AppendString(append(b, `,"l":`...), c.Log), "}}"...)
}

// Separator returns the text before item i of a list that starts with start.
func Separator(i int, start string) string {
	if i == 0 {
		return start
	}
	return ","
}

func closeList(b []byte, n int) []byte {
	if n == 0 {
		return b
	}
	return append(b, ']')
}

func appendState(b, base, state []byte) []byte {
	if base != nil {
		if d, ok := delta.Append(append(b, `,"d":`...), base, state); ok {
			return strconv.AppendUint(append(d, `,"x":`...), uint64(Checksum(state)), 10)
		}
	}
	return append(append(b, `,"s":`...), state...)
}

func appendEntry(b []byte, e *store.Entry) []byte {
	b = strconv.AppendUint(append(b, `{"s":`...), e.Seq, 10)
	if e.Event != "" {
		b = AppendString(append(b, `,"e":`...), e.Event)
	}
	if e.Direct {
		b = append(b, `,"direct":true`...)
	}
	if e.Target.Mode != store.ToAll {
		b = strconv.AppendUint(append(b, `,"to":{"m":`...), uint64(e.Target.Mode), 10)
		for i, num := range e.Target.Conns {
			b = strconv.AppendUint(append(b, Separator(i, `,"c":[`)...), uint64(num), 10)
		}
		b = append(closeList(b, len(e.Target.Conns)), '}')
	}
	if e.Caller != "" {
		b = AppendString(append(b, `,"caller":`...), e.Caller)
	}
	if e.Call != 0 {
		b = strconv.AppendUint(append(b, `,"call":`...), e.Call, 10)
	}
	if e.Data != nil {
		b = append(append(b, `,"d":`...), e.Data...)
	}
	return append(b, '}')
}

// AppendConn encodes a connection.
func AppendConn(b []byte, c *store.Conn) []byte {
	b = strconv.AppendUint(append(b, `{"n":`...), uint64(c.Num), 10)
	b = AppendString(append(b, `,"id":`...), c.ID)
	b = strconv.AppendUint(append(b, `,"start":`...), c.Start, 10)
	if c.Joined != 0 {
		b = strconv.AppendUint(append(b, `,"join":`...), c.Joined, 10)
	}
	if c.State != nil {
		b = append(append(b, `,"state":`...), c.State...)
	}
	if c.Version != 0 {
		b = strconv.AppendInt(append(b, `,"v":`...), int64(c.Version), 10)
	}
	if c.Subject != "" {
		b = AppendString(append(b, `,"sub":`...), c.Subject)
	}
	return append(b, '}')
}

// AppendCaller encodes a caller.
func AppendCaller(b []byte, c *store.Caller) []byte {
	b = AppendString(append(b, `{"id":`...), c.ID)
	b = strconv.AppendUint(append(b, `,"h":`...), c.Highest, 10)
	b = c.Used.UTC().AppendFormat(append(b, `,"t":"`...), time.RFC3339Nano)
	b = append(b, '"')
	if c.Print != "" {
		b = AppendString(append(b, `,"p":`...), c.Print)
	}
	if c.Subject != "" {
		b = AppendString(append(b, `,"sub":`...), c.Subject)
	}
	for i := range c.Answers {
		b = appendAnswer(append(b, Separator(i, `,"a":[`)...), &c.Answers[i])
	}
	return append(closeList(b, len(c.Answers)), '}')
}

func appendAnswer(b []byte, a *store.Answer) []byte {
	b = strconv.AppendUint(append(b, `{"c":`...), a.Call, 10)
	if a.Result != nil {
		b = append(append(b, `,"r":`...), a.Result...)
	}
	if a.Code != "" {
		b = AppendString(append(b, `,"code":`...), a.Code)
		b = AppendString(append(b, `,"m":`...), a.Message)
	} else {
		b = appendText(b, `,"m":`, a.Message)
	}
	if a.Metadata != nil {
		b = append(append(b, `,"x":`...), a.Metadata...)
	}
	return append(b, '}')
}

// CallerMarker is a text that is in each encoded commit with a reply to a caller.
func CallerMarker(caller string) []byte { return AppendString([]byte(`"caller":`), caller) }

// AppendString writes a JSON string.
func AppendString(b []byte, s string) []byte {
	for i := range len(s) {
		if c := s[i]; c < ' ' || c == '"' || c == '\\' || c >= utf8.RuneSelf {
			quoted, _ := json.Marshal(s) // encoding a string does not fail
			return append(b, quoted...)
		}
	}
	return append(append(append(b, '"'), s...), '"')
}
