package host

import (
	"context"
	"slices"
	"sort"
	"sync"
	"sync/atomic"

	"github.com/troupe-dev/troupe/backend/store"
)

// Pos is a position in a Log while that is in memory. It counts all outputs, numbered or
// not, and is meaningless in another log or after a restart.
type Pos uint64

// Log is the reader's side of an actor's outputs, in order: the newest part in memory, older
// entries in the store. A reader keeps a cursor (a Pos) and reads from it at its own pace.
// A client that was away is a reader with an old cursor, so live delivery and replay are
// the same code.
//
// A gateway on another machine reads a copy of the log, with its own writer; cursors work
// there in the same way. All methods may be called at the same time.
type Log struct {
	actor    string
	maxBytes int
	maxAgeMs int64
	stored   func(ctx context.Context, after uint64, limit, maxBytes int) ([]store.Entry, error)
	replies  func(ctx context.Context, producer string, above uint64, limit, maxBytes int) ([]store.Entry, error)

	mu       sync.RWMutex
	identity string
	outputs  []*Output // outputs[i] is at position base+i
	base     Pos
	visible  Pos    // what is before it may be read
	head     uint64 // number of the newest visible entry
	floor    uint64 // entries numbered up to floor are not in memory
	lost     Pos    // outputs before it have left memory without being skipped
	bytes    int    // of the outputs in memory

	followers []Follower    // replaced, never changed in place
	notified  atomic.Uint64 // followers were notified of what is before this Pos
}

// LogWriter is the writer's side of a Log, for the owner of the actor or of a copy. Turns
// put outputs; the output gate releases them once they are durable; only then do readers
// see them. All methods may be called at the same time.
type LogWriter struct{ log Log }

// Follower is notified of new visible outputs of a log. The goroutine that releases them,
// often the actor's, calls Published, which must return quickly. Calls may overlap, and one
// call may be for several outputs.
type Follower interface{ Published() }

// NewLog makes an empty log of an actor. stored reads entries below what is in memory,
// see store.Store.Entries; nil if there are none. The log keeps about maxBytes in memory.
func NewLog(actorID string, maxBytes int, stored func(ctx context.Context, after uint64, limit, maxBytes int) ([]store.Entry, error)) *LogWriter {
	return &LogWriter{Log{actor: actorID, maxBytes: maxBytes, stored: stored}}
}

// ReadReplies sets what reads replies from the store, see store.Store.Replies. Without it
// there are none. Call it before the log has readers.
func (w *LogWriter) ReadReplies(f func(ctx context.Context, producer string, above uint64, limit, maxBytes int) ([]store.Entry, error)) {
	w.log.replies = f
}

// Log returns the reader's side.
func (w *LogWriter) Log() *Log { return &w.log }

// Actor returns the id of the log's actor.
func (l *Log) Actor() string { return l.actor }

// Identity distinguishes this log from other logs of the same actor: their numbers are not
// comparable. It is empty until the actor is loaded.
func (l *Log) Identity() string {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.identity
}

// Head returns the number of the newest visible entry.
func (l *Log) Head() uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.head
}

// Visible returns the position after the newest visible output.
func (l *Log) Visible() Pos {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.visible
}

// Read appends at most limit visible outputs, starting at from, to buf and returns the next
// position. ok is false if outputs at from are no longer in memory.
func (l *Log) Read(from Pos, buf []*Output, limit int) (outputs []*Output, next Pos, ok bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if from < l.base {
		return buf, from, false
	}
	next = min(l.visible, from+Pos(limit))
	if next <= from {
		return buf, from, true
	}
	return append(buf, l.outputs[from-l.base:next-l.base]...), next, true
}

// Resume returns where to read on after Read has found that outputs at from are not in
// memory. lost reports whether outputs may be among them that are not in the store, such as
// answers: a copy that fell behind gets those after what it skips.
func (l *Log) Resume(from Pos) (next Pos, lost bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if from < l.lost {
		return l.visible, true
	}
	return max(from, l.base), false
}

// Tail appends the newest visible outputs in memory, at most limit of them, to buf and
// returns the position after them.
func (l *Log) Tail(buf []*Output, limit int) (outputs []*Output, next Pos) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	seen := int(l.visible - l.base)
	return append(buf, l.outputs[max(0, seen-limit):seen]...), l.visible
}

// After returns the position directly after the entry numbered seq: that of the unnumbered
// outputs after it, or of the next entry. ok is false if the next entry is no longer in
// memory.
func (l *Log) After(seq uint64) (pos Pos, ok bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if seq < l.floor {
		return 0, false
	}
	n := int(l.visible - l.base)
	i := sort.Search(n, func(i int) bool {
		o := l.outputs[i]
		return o.Seq > seq || o.Seq == seq && !o.Numbered
	})
	return l.base + Pos(i), true
}

// Stored returns entries above after from the store, as store.Store.Entries
// does, for a reader whose cursor is no longer in memory.
func (l *Log) Stored(ctx context.Context, after uint64, limit, maxBytes int) ([]*Output, error) {
	if l.stored == nil {
		return nil, nil
	}
	entries, err := l.stored(ctx, after, limit, maxBytes)
	if err != nil {
		return nil, err
	}
	return l.released(entries), nil
}

// Replies returns the newest replies to a producer's calls above an id from the store, as
// store.Store.Replies does. It does not walk the log.
func (l *Log) Replies(ctx context.Context, producer string, above uint64, limit, maxBytes int) ([]*Output, error) {
	if l.replies == nil {
		return nil, nil
	}
	entries, err := l.replies(ctx, producer, above, limit, maxBytes)
	if err != nil {
		return nil, err
	}
	return l.released(entries), nil
}

// released returns the outputs of durable entries that are released.
func (l *Log) released(entries []store.Entry) []*Output {
	head := l.Head()
	outputs := make([]*Output, 0, len(entries))
	for _, e := range entries {
		if e.Seq > head {
			break // durable, but not released yet
		}
		outputs = append(outputs, OutputOf(e))
	}
	return outputs
}

// Start sets the identity and the head of a log when its actor has been loaded. Entries up
// to head are in the store.
func (w *LogWriter) Start(identity string, head uint64) {
	l := &w.log
	l.mu.Lock()
	defer l.mu.Unlock()
	l.identity, l.head, l.floor = identity, head, head
}

// Skip leaves out what a copy lacks up to the entry numbered head, because it has fallen
// behind: all readers read that from the store. Outputs that are not in the store are given
// as rest, and keep their numbers; lost says that some of them are not there. The copy must
// not have outputs that are not visible.
func (w *LogWriter) Skip(identity string, head uint64, rest []*Output, lost bool) {
	l := &w.log
	l.mu.Lock()
	l.base = l.visible + 1 // no cursor is there, so that all of them notice
	l.outputs, l.bytes = slices.Clone(rest), 0
	for _, o := range rest {
		l.bytes += o.Size()
	}
	l.visible = l.base + Pos(len(rest))
	l.identity, l.head, l.floor = identity, head, head
	if lost {
		l.lost = l.base
	}
	followers := l.followers
	l.mu.Unlock()
	for _, f := range followers {
		f.Published()
	}
}

// Follow registers a follower until Unfollow.
func (w *LogWriter) Follow(f Follower) {
	l := &w.log
	l.mu.Lock()
	defer l.mu.Unlock()
	l.followers = append(slices.Clip(l.followers), f)
}

// Unfollow removes a follower and reports whether none is left. A call of
// Published that is under way may still end after it.
func (w *LogWriter) Unfollow(f Follower) (none bool) {
	l := &w.log
	l.mu.Lock()
	defer l.mu.Unlock()
	l.followers = slices.DeleteFunc(slices.Clone(l.followers), func(x Follower) bool { return x == f })
	return len(l.followers) == 0
}

// Put adds outputs that are not visible yet, and returns the position after them.
func (w *LogWriter) Put(outputs ...*Output) Pos {
	l := &w.log
	l.mu.Lock()
	defer l.mu.Unlock()
	last := l.head
	if n := len(l.outputs); n > 0 {
		last = max(last, l.outputs[n-1].Seq)
	}
	for _, o := range outputs {
		if !o.Numbered && o.Seq < last {
			o.Seq = last // it was made from the visible head; After needs the order
		}
		last = o.Seq
		l.bytes += o.Size()
	}
	l.outputs = append(l.outputs, outputs...)
	return l.base + Pos(len(l.outputs))
}

// Release makes outputs before pos visible. Call it only after the commits with them are
// durable (G6).
func (w *LogWriter) Release(pos Pos) {
	l := &w.log
	l.mu.Lock()
	if pos <= l.visible {
		l.mu.Unlock()
		return
	}
	if pos > l.base+Pos(len(l.outputs)) {
		l.mu.Unlock()
		panic("host: release beyond the end of the log")
	}
	var waiting []*Output
	seen := int(l.visible - l.base)
	for _, o := range l.outputs[seen : pos-l.base] {
		if o.Numbered {
			l.head = o.Seq
		}
		if o.Done != nil {
			waiting = append(waiting, o)
		}
	}
	l.visible = pos
	l.trimLocked(seen)
	followers := l.followers
	l.mu.Unlock()

	for _, o := range waiting {
		o.Done(o, nil)
	}
	for _, f := range followers {
		f.Published()
	}
	l.notified.Store(uint64(pos))
}

// Unstored returns the unstored outputs above a number, visible or not, that are for a
// connection. ok is false if not all of them are in memory.
func (w *LogWriter) Unstored(after uint64, conn uint32) (outputs []*Output, ok bool) {
	l := &w.log
	l.mu.RLock()
	defer l.mu.RUnlock()
	for _, o := range l.outputs {
		if o.Unstored && o.Seq > after && o.Target.Includes(conn) {
			outputs = append(outputs, o)
		}
	}
	return outputs, after >= l.floor
}

// Truncate drops the outputs that were not released and returns them.
func (w *LogWriter) Truncate() []*Output {
	l := &w.log
	l.mu.Lock()
	defer l.mu.Unlock()
	n := int(l.visible - l.base)
	dropped := slices.Clone(l.outputs[n:])
	clear(l.outputs[n:])
	l.outputs = l.outputs[:n]
	for _, o := range dropped {
		l.bytes -= o.Size()
	}
	return dropped
}

// trimLocked drops the oldest of the first end outputs that exceed the log's limits. Outputs
// that have just become visible are after end: followers have not been notified of them
// yet.
func (l *Log) trimLocked(end int) {
	n, bytes, oldest := 0, l.bytes, int64(0)
	if visible := int(l.visible - l.base); visible > 0 && l.maxAgeMs > 0 {
		oldest = l.outputs[visible-1].TimeMs - l.maxAgeMs
	}
	for n < end && (bytes > l.maxBytes || l.outputs[n].TimeMs < oldest) {
		bytes -= l.outputs[n].Size()
		n++
	}
	l.dropLocked(n)
}

// dropLocked drops the oldest n outputs.
func (l *Log) dropLocked(n int) {
	for i, o := range l.outputs[:n] {
		if o.Numbered {
			l.floor = o.Seq
		}
		l.bytes -= o.Size()
		l.outputs[i] = nil
	}
	if l.outputs = l.outputs[n:]; len(l.outputs) == 0 {
		l.outputs = nil
	}
	if l.base += Pos(n); n > 0 {
		l.lost = l.base
	}
}

// Shrink drops the oldest visible outputs from memory until it has no more than about
// maxBytes. Readers that are behind get them from the store. Followers have been notified of
// what it drops: answers are not in the store.
func (w *LogWriter) Shrink(maxBytes int) {
	l := &w.log
	l.mu.Lock()
	defer l.mu.Unlock()
	n, bytes, notified := 0, l.bytes, Pos(l.notified.Load())
	for l.base+Pos(n) < notified && bytes > maxBytes {
		bytes -= l.outputs[n].Size()
		n++
	}
	l.dropLocked(n)
}

// Bytes returns about how many bytes the log takes in memory.
func (w *LogWriter) Bytes() int {
	l := &w.log
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.bytes
}

// End returns the position after the newest output, visible or not.
func (w *LogWriter) End() Pos {
	l := &w.log
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.base + Pos(len(l.outputs))
}

// Followed reports whether the log has a follower.
func (w *LogWriter) Followed() bool {
	l := &w.log
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.followers) > 0
}

// Configure sets how much is kept in memory: about maxBytes, and nothing older than maxAgeMs
// milliseconds (0: no age limit).
func (w *LogWriter) Configure(maxBytes int, maxAgeMs int64) {
	l := &w.log
	l.mu.Lock()
	defer l.mu.Unlock()
	l.maxBytes, l.maxAgeMs = maxBytes, maxAgeMs
}
