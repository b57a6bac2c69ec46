package store

import (
	"crypto/sha256"
	"encoding/json"
	"slices"
	"time"
)

// Ending says how a commit ends an actor's life.
type Ending uint8

// How a commit ends an actor's life.
const (
	// Alive: it does not.
	Alive Ending = iota

	// Destroyed makes the actor a tombstone. The store drops its state, connections,
	// tables, answers of callers, messages to itself and parked messages; what else the
	// commit has is applied after that. Numbers continue: revisions, the head, NextConn,
	// NextMessage and Floor. The entries up to this commit's head are no longer served.
	// A later commit with a State begins a new life. The commit has no State. From this
	// commit to that one, the actor has the Key of its newest commit, which may be nil.
	Destroyed

	// Forgotten says that the tombstone is no longer needed. The store removes it at a
	// time of its choice: until then, Load returns it, and commits follow its revision.
	Forgotten
)

// NoDue is the Due of a commit after which the actor need not be awake at any time.
var NoDue = time.UnixMilli(0).UTC()

// Table is the header of a table of items: a part of an actor's data that is never
// loaded as a whole.
type Table struct {
	ID    int    `json:"i"`           // 1 or more; an actor never uses one again
	Field string `json:"f,omitempty"` // the name of the state's field; empty: the table was dropped, with its items
	Len   int64  `json:"n,omitempty"` // number of items
	Bytes int64  `json:"b,omitempty"` // of their keys and values
	Next  uint64 `json:"k,omitempty"` // the next key to give
	Keys  string `json:"y,omitempty"` // the kind of its keys, as the runtime names it; empty: not known
}

// ItemEdit sets or deletes one item of a table.
type ItemEdit struct {
	Table   int
	Key     []byte
	Value   []byte // JSON; nil: the item is deleted
	Version int    // of the definition that wrote it
}

// Item is one item of a table. Do not change its bytes.
type Item struct {
	Key, Value []byte
	Version    int
}

// ItemRange selects items of a table by their keys, in the order of bytes.Compare.
type ItemRange struct {
	Table    int
	From, To []byte // From <= key < To; nil is open
	Backward bool   // from the last to the first
	Limit    int    // at most this many
	MaxBytes int    // no more than about this many bytes of keys and values, but at least one item
}

// ItemPage is the beginning of a range.
type ItemPage struct {
	// Rev is a durable revision of the actor. The items have all edits up to it, and
	// may have later ones.
	Rev   uint64
	Items []Item
	More  bool // the range has more items
}

// Message is a message that an actor has sent, or scheduled to itself, and that is not
// finished.
type Message struct {
	ID      uint64          `json:"i"`             // never changes
	Order   uint64          `json:"o"`             // among those to the same actor
	To      string          `json:"to,omitempty"`  // an actor's id; empty: to itself
	Name    string          `json:"n,omitempty"`   // of To's definition
	Key     []string        `json:"k,omitempty"`   // of To
	Type    string          `json:"t"`             // of Data
	Version int             `json:"v,omitempty"`   // of the definition that made it
	Data    json.RawMessage `json:"d,omitempty"`   // JSON
	Due     time.Time       `json:"at,omitzero"`   // not before this time
	Label   string          `json:"l,omitempty"`   // a name that is unique in the actor
	Spec    string          `json:"s,omitempty"`   // of one that repeats
	Work    bool            `json:"w,omitempty"`   // it is work outside of a turn
	Tries   int             `json:"c,omitempty"`   // how often it has failed
	Fatal   int             `json:"x,omitempty"`   // how often its turn may have ended the process, or did not return
	Retry   time.Time       `json:"r,omitzero"`    // of one that has failed: not before this time again
	Parked  string          `json:"err,omitempty"` // not empty: it is given up for now, because of this
}

// Sender is what a receiver knows of an actor that sends messages to it.
type Sender struct {
	ID      string   `json:"id"`
	Born    int64    `json:"b"`           // when its revision 1 was made, in microseconds
	Highest uint64   `json:"h"`           // the highest Order that is finished
	Refused []Answer `json:"a,omitempty"` // refusals that the sender may ask for again, by Order
}

// Ended is the end of an actor's last life.
type Ended struct {
	At    time.Time `json:"t"`
	Order uint64    `json:"o"` // NextMessage at that time: messages up to it do not begin a new life
	Log   string    `json:"l"` // the identity of its log
}

// Wake is an actor that is due. It is also a position in the order of Due.
type Wake struct {
	At    time.Time
	Actor string
}

// ListQuery selects stored actors.
type ListQuery struct {
	Name   string   // of a definition; empty: all
	Prefix []string // the first components of the key
	After  string   // a page's Next; empty: from the first
	Limit  int      // at most this many
}

// ListPage is a page of stored actors. It may have fewer than Limit, even none, and
// still have a Next.
type ListPage struct {
	Actors []ActorInfo
	Next   string // for the next page; empty: there are no more
}

// ActorInfo is what a store knows of an actor without its state.
type ActorInfo struct {
	Actor     string // its id
	Name      string // of its definition
	Key       []string
	Rev       uint64
	Bytes     int64 // of its state and its tables
	Conns     int
	Parked    int       // messages
	Due       time.Time // zero: never
	Changed   time.Time // its newest commit; zero: not known
	Destroyed bool      // it is a tombstone
}

// Partitions is the number of partitions of a store's actors.
const Partitions = 256

// AllPartitions selects the actors of all partitions.
const AllPartitions = -1

// Partition returns the partition of an actor, from 0 to Partitions-1.
func Partition(actor string) int {
	sum := sha256.Sum256([]byte(actor))
	return int(sum[0])
}

// Matches reports whether a key begins with the query's Prefix.
func (q *ListQuery) Matches(key []string) bool {
	return len(key) >= len(q.Prefix) && slices.Equal(key[:len(q.Prefix)], q.Prefix)
}
