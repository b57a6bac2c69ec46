// Package store is the interface between the actor runtime and the storage of
// actors: their states, logs, connections and callers. The implementations are
// store/sqlite and store/memory; store/storetest is the suite that each one passes.
//
// The unit of everything is the Commit: what one successful turn changed. A
// store makes a group of commits durable at once. The runtime publishes nothing
// of a commit before it is durable (the output gate).
package store

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"time"
)

// Errors that the runtime branches on. A store wraps them.
var (
	// ErrNotFound means that the actor was never committed.
	ErrNotFound = errors.New("store: no such actor")

	// ErrConflict means that a commit did not continue the actor's stored
	// revision: another process wrote it (G10). Nothing of the commit was kept.
	ErrConflict = errors.New("store: revision conflict")

	// ErrFull means that there is no room. Nothing of the commit was kept. The
	// same commit may succeed later.
	ErrFull = errors.New("store: full")

	// ErrGone means that a file of the store was deleted or replaced while it is
	// open. Nothing of the commit was kept.
	ErrGone = errors.New("store: the file is gone")

	// ErrUnknown means that the commit may or may not be durable. The runtime
	// loads the actor again before anything else.
	ErrUnknown = errors.New("store: outcome unknown")
)

// A Store stores actors. It may have a method Unclean() bool, which reports whether the
// process that used it before ended without Close. All methods may be called at the same time. The commits
// of one actor must be passed one after the other, in the order of their revisions.
type Store interface {
	// Commit makes a group durable and returns when it is. The result is nil if
	// all of it is, else a slice as long as the group with the error of each
	// commit. Commits of one actor that follow a failed one in the group fail
	// with ErrConflict. The store may keep the commits' byte slices; neither the
	// store nor the caller may change them. The caller may reuse everything else in
	// a commit once Commit has returned.
	Commit(ctx context.Context, group []*Commit) []error

	// Immediate reports whether Commit returns without waiting for anything, so
	// that it may be called on an actor's goroutine.
	Immediate() bool

	// Load returns the newest durable state of an actor, or ErrNotFound. If
	// another process has taken over the store, the data of this one may be stale:
	// Load, Entries, Items and Connected then return an error that wraps ErrConflict (G10).
	Load(ctx context.Context, actor string) (*Snapshot, error)

	// Entries returns retained entries with numbers above after, in order: at
	// most limit of them, and no more than about maxBytes of data (but at least
	// one). If the first is not after+1, the entries between are no longer retained; a
	// store that is opened again may still have some of them. An unknown actor has no
	// entries.
	Entries(ctx context.Context, actor string, after uint64, limit, maxBytes int) ([]Entry, error)

	// Replies returns the newest retained replies to a caller's calls above an id, in
	// order: at most limit of them, and no more than about maxBytes of data (but at least
	// one).
	Replies(ctx context.Context, actor, caller string, above uint64, limit, maxBytes int) ([]Entry, error)

	// Items returns the items of one of the actor's tables in a range of keys, in their
	// order. A table or an actor that does not exist has none.
	Items(ctx context.Context, actor string, r ItemRange) (ItemPage, error)

	// Due returns actors whose Due is before a time, in the order of their Due and, of
	// those at the same time, in an order of the store: at most limit, and only those
	// behind after, which is the zero Wake or one that Due has returned. A Due that is
	// committed meanwhile may be missed or be there with its old time.
	Due(ctx context.Context, after Wake, before time.Time, limit int) ([]Wake, error)

	// Connected calls f with the id of every actor of a partition that has connections
	// stored, until f returns false; AllPartitions means all of them. The runtime uses
	// it once, at start, to end the connections whose clients never come back.
	Connected(ctx context.Context, partition int, f func(actor string) bool) error

	// List returns stored actors by pages, in an order of the store that does not
	// change. Actors that are committed or change meanwhile may be missed, or be there
	// as they were.
	List(ctx context.Context, q ListQuery) (ListPage, error)

	// Names returns how many actors of each definition are stored, without tombstones.
	Names(ctx context.Context) (map[string]int, error)

	// Secret returns a value that belongs to the store, such as a key that signs: if the
	// store has none of that name, it keeps what generate returns. It is part of
	// backups.
	Secret(ctx context.Context, name string, generate func() []byte) ([]byte, error)

	// Close makes everything durable and releases the store. Call no method
	// after it.
	Close() error
}

// Commit is what one turn changed in one actor.
type Commit struct {
	Actor string // the actor's id
	Name  string // of its definition
	Key   []string
	Log   string // the log's identity
	Time  time.Time

	// Rev is the revision that this commit makes. The stored one must be Rev-1;
	// 0 is that of an actor that was never committed.
	Rev uint64

	// State is the actor's state as JSON; nil if Edits produce it or it is unchanged.
	// Base is the state at Rev-1, from which a store can compute a difference; nil if
	// it is not known.
	Base, State []byte

	// Edits, if State is nil, produce the state from that at Rev-1, applied in
	// order. A commit whose edits do not fit that state fails with ErrConflict.
	Edits []Edit

	// Entries are numbered without gaps, from the stored head + 1.
	Entries []Entry

	NextConn    uint32   // the next connection number to give
	Conns       []Conn   // connections that joined, or whose state changed
	Gone        []uint32 // numbers of connections that ended
	Callers     []Caller // callers whose record changed
	GoneCallers []string

	// Of the fields below, the zero value means that nothing changes: a writer that does
	// not know a field keeps what is stored.

	Version      int   // of the definition that wrote the state
	Born         int64 // the time of the actor's revision 1, in microseconds
	CallersSince int64 // when the newest of the callers that were forgotten was used, in microseconds, without those of single calls

	Tables []Table    // tables that are new or whose header changed
	Items  []ItemEdit // applied in their order

	NextMessage  uint64 // the highest number of a message so far
	Floor        uint64 // the highest number of a sender that was forgotten
	Messages     []Message
	GoneMessages []uint64 // IDs of messages that are finished
	Senders      []Sender
	GoneSenders  []string

	Due time.Time // when the actor has to be awake; NoDue: never
	End Ending
}

// Edit is a change of a text: Put replaces Cut bytes at the offset At.
type Edit struct {
	At, Cut int
	Put     []byte
}

// Entry is one numbered output of an actor: an event, the reply of a call, or a stub.
type Entry struct {
	Seq    uint64          `json:"s"`
	Event  string          `json:"e,omitempty"`      // its name; empty for a reply and a stub
	Direct bool            `json:"direct,omitempty"` // an event sent to its targets whether they subscribe or not
	Target Target          `json:"to,omitzero"`
	Caller string          `json:"caller,omitempty"` // of a reply
	Call   uint64          `json:"call,omitempty"`   // of a reply: the call's id
	Data   json.RawMessage `json:"d,omitempty"`      // JSON; nil for a reply without a result
	Time   time.Time       `json:"-"`
}

// Stub returns the entry without its event: it keeps the number of an event that is not
// worth storing, because the actor makes it again for its connection.
func (e Entry) Stub() Entry {
	return Entry{Seq: e.Seq, Direct: true, Target: e.Target, Time: e.Time}
}

// IsStub reports whether the entry is a stub.
func (e *Entry) IsStub() bool { return e.Direct && e.Event == "" }

// Target selects the connections of the actor that receive an entry. The zero
// Target selects all.
type Target struct {
	Mode  TargetMode `json:"m,omitempty"`
	Conns []uint32   `json:"c,omitempty"` // connection numbers, ascending
}

// TargetMode says how to read the connections of a Target.
type TargetMode uint8

// Modes of a Target.
const (
	ToAll TargetMode = iota
	ToOnly
	ToExcept
)

// Conn is the stored record of one connection.
type Conn struct {
	Num     uint32          `json:"n"`
	ID      string          `json:"id"`
	Start   uint64          `json:"start,omitempty"` // head of the log before it joined
	Joined  uint64          `json:"join,omitempty"`  // number of the last stub of its joining; 0 if it has none
	State   json.RawMessage `json:"state,omitempty"`
	Version int             `json:"v,omitempty"` // of the definition that wrote State

	// Subject is whose connection it is: a hash, empty if its actor does not identify clients.
	Subject string `json:"sub,omitempty"`
}

// Caller is the stored record of one caller. It keeps a repeated call from
// running twice (G5).
type Caller struct {
	ID      string    `json:"id"`
	Highest uint64    `json:"h"` // highest call id executed
	Answers []Answer  `json:"a,omitempty"`
	Used    time.Time `json:"t"`
	Print   string    `json:"p,omitempty"`   // of the one call of an idempotency key: a fingerprint of its action and arguments
	Subject string    `json:"sub,omitempty"` // whose calls they are, as of a Conn
}

// Answer is the answer of a call that is not an entry of the log: a failure, or
// the result of a turn that changed nothing. It is kept until the caller
// acknowledges it.
type Answer struct {
	Call     uint64          `json:"c"`
	Result   json.RawMessage `json:"r,omitempty"`
	Code     string          `json:"code,omitempty"` // empty: no failure
	Message  string          `json:"m,omitempty"`
	Metadata json.RawMessage `json:"x,omitempty"`
}

// Snapshot is everything that the runtime needs to continue an actor after its
// newest durable commit.
type Snapshot struct {
	Actor    string
	Name     string
	Key      []string
	Log      string
	Rev      uint64
	Head     uint64 // number of the newest entry
	State    []byte
	NextConn uint32
	Conns    []Conn
	Callers  []Caller

	Version      int
	Born         int64
	CallersSince int64
	Tables       []Table // by ID, dropped ones too
	NextMessage  uint64
	Floor        uint64
	Messages     []Message // by ID
	Senders      []Sender  // by ID
	Due          time.Time // zero: never
	Changed      time.Time // of its newest commit; zero: not known
	Ended        *Ended    // of the life before this one, or before the tombstone
	Tombstone    bool      // the actor was destroyed and has not begun a new life
}

// Includes reports whether the connection numbered conn is a target. It ignores
// subscriptions.
func (t Target) Includes(conn uint32) bool {
	if t.Mode == ToAll {
		return true
	}
	_, found := slices.BinarySearch(t.Conns, conn)
	return found == (t.Mode == ToOnly)
}
