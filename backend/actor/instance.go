package actor

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"sync"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// instance is one loaded state of an actor: what turns run on. It belongs to
// one goroutine. When what it did cannot be made durable, or a turn of it does
// not return, it is discarded and another one is loaded (reset).
type instance struct {
	actor *actor
	def   *Definition
	reign uint64 // of the goroutine that it belongs to

	state reflect.Value // *T
	base  []byte        // its stored fields as JSON, after the last turn that succeeded
	saved []byte        // the same as the last commit has it; nil if there is none

	created  bool // OnCreate has run, or the store knows the actor
	rev      uint64
	head     uint64
	log      string
	nextConn uint32
	conns    []*conn // by number, ascending
	byID     map[string]*conn
	attached map[uint64]*conn // by attachment
	broken   *Error           // not nil: the state cannot be used; every request gets this
	callers  map[string]*caller

	callersChecked time.Time // when forgetCallers last looked at all of them
	goneCallers    []string  // stored ones that were forgotten since the last commit

	timers     map[*timer]struct{}
	timersKept int         // how many there were when those that were stopped were last forgotten
	expiry     *time.Timer // for the connection that expires next
	nextExpiry time.Time   // when that is; zero if no connection is without a socket

	watchMu  sync.Mutex // guards the two fields below, which the watchdog's timer reads
	watched  *turn
	watchdog *time.Timer
}

// newInstance makes an instance from what the store has, or of an actor that
// was never stored (snap is nil).
func newInstance(a *actor, def *Definition, snap *store.Snapshot) (*instance, error) {
	in := &instance{
		actor: a, def: def, reign: a.reign.Load(), state: reflect.New(def.typ), nextConn: 1,
		byID: map[string]*conn{}, attached: map[uint64]*conn{}, callers: map[string]*caller{}, timers: map[*timer]struct{}{},
	}
	if snap == nil {
		in.log = randomID()
		var err error
		in.base, err = in.encode()
		return in, err
	}
	if err := json.Unmarshal(snap.State, in.state.Interface()); err != nil {
		return nil, &Error{Code: codeStateIncompatible, Message: fmt.Sprintf("the stored state of this %s does not fit this version of it", def.name)}
	}
	in.created, in.saved = true, snap.State
	in.rev, in.head, in.log, in.nextConn = snap.Rev, snap.Head, snap.Log, snap.NextConn
	for _, r := range snap.Conns {
		value, err := def.decodeConnState(r.State)
		if err != nil {
			return nil, &Error{Code: codeStateIncompatible, Message: fmt.Sprintf("a stored connection state of this %s does not fit this version of it", def.name)}
		}
		c := &conn{num: r.Num, id: r.ID, start: r.Start, value: value, raw: r.State, attached: attached{dropped: a.node.started}}
		in.conns = append(in.conns, c)
		in.byID[c.id] = c
	}
	slices.SortFunc(in.conns, func(a, b *conn) int { return int(a.num) - int(b.num) })
	for _, r := range snap.Callers {
		in.callers[r.ID] = &caller{record: r, stored: true}
	}
	if err := in.restored(); err != nil {
		return nil, err
	}
	// Not the stored bytes: a field may have come or gone since they were written.
	var err error
	in.base, err = in.encode()
	return in, err
}

// encode returns the stored fields as JSON.
func (in *instance) encode() (b []byte, err error) {
	_, err = protect(func() (any, error) {
		b, err = json.Marshal(in.state.Interface())
		return nil, err
	})
	if err != nil {
		return nil, fmt.Errorf("encode the state of %s: %w", in.def.name, err)
	}
	return b, nil
}

// encodeOrNil is encode for an undo: a state that cannot be encoded differs
// from any other.
func (in *instance) encodeOrNil() []byte {
	b, err := in.encode()
	if err != nil {
		return nil
	}
	return b
}

// same reports whether the state is that after the last turn.
func (in *instance) same() bool { return bytes.Equal(in.encodeOrNil(), in.base) }

// undo puts the stored fields back to what they were after the last turn that
// succeeded. Ephemeral fields are left alone.
func (in *instance) undo() {
	if !in.same() {
		in.restore()
	}
}

// undoTo is undo to another state than the last one.
func (in *instance) undoTo(state []byte) {
	if !bytes.Equal(in.encodeOrNil(), state) {
		in.decode(state)
	}
}

// restore decodes the last state into a fresh value and takes its stored fields.
// Decoding over the struct would keep new map keys, omitted fields and the
// elements of reused arrays.
func (in *instance) restore() { in.decode(in.base) }

func (in *instance) decode(state []byte) {
	fresh := reflect.New(in.def.typ)
	if err := json.Unmarshal(state, fresh.Interface()); err != nil {
		in.actor.node.log.Error("the last state of an actor cannot be decoded: its types' MarshalJSON and UnmarshalJSON do not fit", "actor", in.def.name, "key", in.actor.key.String(), "error", err)
		in.broken = newError(codeStateIncompatible, "the state of this %s cannot be restored", in.def.name)
		return
	}
	for _, i := range in.def.fields {
		to, from := in.state.Elem().Field(i), fresh.Elem().Field(i)
		// An embedded struct of an unexported type cannot be set otherwise.
		reflect.NewAt(to.Type(), to.Addr().UnsafePointer()).Elem().Set(reflect.NewAt(from.Type(), from.Addr().UnsafePointer()).Elem())
	}
	if err := in.restored(); err != nil {
		in.actor.node.log.Error("OnRestore failed", "actor", in.def.name, "error", err)
	}
}

// restored runs the hook OnRestore, after loading and after an undo.
func (in *instance) restored() error {
	h := in.def.hooks["OnRestore"]
	if h == nil {
		return nil
	}
	_, err := protect(func() (any, error) { return h.call(in.state, reflect.Value{}, nil) })
	return err
}

func (in *instance) connByNum(num uint32) *conn {
	i, ok := slices.BinarySearchFunc(in.conns, num, func(c *conn, n uint32) int { return int(c.num) - int(n) })
	if !ok {
		return nil
	}
	return in.conns[i]
}

// removeConn forgets a connection. It makes a new slice: somebody may be
// iterating over the old one.
func (in *instance) removeConn(c *conn) {
	in.conns = slices.DeleteFunc(slices.Clone(in.conns), func(x *conn) bool { return x == c })
	delete(in.byID, c.id)
	delete(in.attached, c.attachment)
}

// watch starts a turn's time and arms the watchdog for it: at its deadline its
// context ends, and if it has not returned some time later the instance is
// abandoned.
func (in *instance) watch(t *turn, limit time.Duration) *turn {
	t.now = time.Now()
	t.deadline = t.now.Add(limit)
	in.watchMu.Lock()
	defer in.watchMu.Unlock()
	in.watched = t
	if in.watchdog == nil {
		in.watchdog = time.AfterFunc(limit, in.bark)
	} else {
		in.watchdog.Reset(limit)
	}
	return t
}

// unwatch ends the watch over a turn. It reports false if the watchdog has
// abandoned the instance.
func (in *instance) unwatch(t *turn) bool {
	in.watchMu.Lock()
	defer in.watchMu.Unlock()
	if in.watched != t {
		return false
	}
	in.watched = nil
	in.watchdog.Stop()
	return true
}

// running returns the turn that is under way, nil if there is none.
func (in *instance) running() *turn {
	if in == nil {
		return nil
	}
	in.watchMu.Lock()
	defer in.watchMu.Unlock()
	return in.watched
}

func (in *instance) bark() {
	in.watchMu.Lock()
	t := in.watched
	if t == nil {
		in.watchMu.Unlock()
		return
	}
	overdue := time.Until(t.deadline)
	switch {
	case overdue > 0: // armed for an earlier turn
		in.watchdog.Reset(overdue)
		in.watchMu.Unlock()
	case overdue > -abandonAfter:
		in.watchdog.Reset(abandonAfter)
		in.watchMu.Unlock()
		t.finish(context.DeadlineExceeded)
	default:
		in.watched = nil
		in.watchMu.Unlock()
		in.actor.abandon(t)
	}
}

// discard frees what the instance holds outside of itself.
func (in *instance) discard() {
	in.stopTimers()
	if in.expiry != nil {
		in.expiry.Stop()
	}
	in.watchMu.Lock()
	defer in.watchMu.Unlock()
	in.watched = nil
	if in.watchdog != nil {
		in.watchdog.Stop()
	}
}

func (in *instance) stopTimers() {
	for t := range in.timers {
		t.stop()
	}
}
