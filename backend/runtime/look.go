package runtime

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

// Look is what an Inspector sees of one actor.
type Look struct {
	Ref   host.Ref
	Awake bool // it is in memory; else all of this is from the store

	// Busy: its turn has not ended, so that only what is above and Waiting is known.
	Busy bool

	Rev, Head uint64 // of the newest turn's commit, which need not be durable yet
	Log       string // its identity
	Version   int    // that has written the state, 0 if it has none
	Born      time.Time
	Used      time.Time // its last turn since it is awake

	State      json.RawMessage // as JSON; nil if it was not asked for, or cannot be shown
	StateBytes int             // of the JSON
	StateError string          // why it cannot be shown

	Conns     []ConnLook // of the numbers above LookQuery.After, in their order
	ConnCount int        // of all
	Callers   int        // that number their calls
	Timers    int        // set by Context.After and Every
	Waiting   int        // envelopes in its mailbox
	Memory    int64      // bytes of its state and its log in memory

	Tables       []store.Table   // by ID, without those that were dropped
	Messages     []store.Message // that are not finished: the 200 that are due first, parked ones before them; with masked data of up to 4 KiB
	MessageCount int
	Due          time.Time // when it has to be awake; zero: never
	Tombstone    bool      // it was destroyed and has not begun a new life
	Ended        time.Time // when the life before it, or before the tombstone, ended; zero: none that is known
}

// ConnLook is a connection.
type ConnLook struct {
	Num        uint32
	ID         string
	Attachment host.Attachment // zero if it has no socket, or the actor sleeps
	Online     bool
	Dropped    time.Time       // when it lost its socket; zero while online, or if that is not known
	Expires    time.Time       // when it ends, or its client is authenticated again; zero: never
	Start      uint64          // head of the log before it joined
	State      json.RawMessage // masked
	Subject    string          // whose it is, as a hash
	From       string          // its client's address; empty if that is not known
	Params     json.RawMessage // masked, if LookQuery.Params
	Auth       json.RawMessage // the result of OnAuth, masked, if LookQuery.Params
}

// LookQuery says how much of an actor is wanted.
type LookQuery struct {
	MaxState int    // bytes of JSON: a larger state is left out
	Params   bool   // with params and the results of OnAuth
	After    uint32 // connections with higher numbers
	Conns    int    // at most so many
}

// lookEnvelope asks an actor's goroutine, between two turns. It is answered by a *Look, or
// nil if the actor is not loaded. It neither loads the actor nor counts as a use of it.
type lookEnvelope struct {
	ctx      context.Context // once it has ended, nobody waits
	query    LookQuery
	answered chan *Look // has room for it
}

func (m *lookEnvelope) deliver(*instance) bool     { return true }
func (m *lookEnvelope) refuse(*Actor, *host.Fault) { m.answered <- nil }
func (m *lookEnvelope) size() int                  { return 0 }

func (m *lookEnvelope) answer(a *Actor) {
	var l *Look
	if a.in != nil && m.ctx.Err() == nil {
		_, _ = protect(func() (any, error) { // an author's MarshalJSON may panic
			l = lookAt(a.in, m.query)
			return nil, nil
		})
	}
	m.answered <- l
}

// lookAt is for the actor's goroutine, between two turns.
func lookAt(in *instance, q LookQuery) *Look {
	l := &Look{
		Ref: in.actor.ref(), Awake: true, Rev: in.rev, Head: in.head, Log: in.log, Version: in.version, Used: in.actor.lastUsed,
		StateBytes: in.state.size(in.state.base, definition.Collection.Size), ConnCount: len(in.conns.all),
		Callers: len(in.producers.byID), Timers: len(in.timers.all), Memory: in.actor.bytes,
		Due: in.due(), Tombstone: in.life.tombstone && !in.stored,
	}
	if in.born > 0 {
		l.Born = time.UnixMicro(in.born)
	}
	if !in.life.ended.IsZero() {
		l.Ended = in.life.ended
	}
	for _, m := range in.messages.byID {
		l.Messages = append(l.Messages, *m)
	}
	l.cutMessages(in.actor.node.defs)
	if q.MaxState > 0 && l.StateBytes <= q.MaxState {
		l.State = maskState(in.def, wholeState(&in.state))
	}
	if in.tables != nil {
		for _, t := range in.tables.fields {
			h := t.header
			h.Field, h.Keys = t.name, t.keys
			l.Tables = append(l.Tables, h)
		}
	}
	first, _ := slices.BinarySearchFunc(in.conns.all, q.After+1, func(c *Conn, n uint32) int { return int(c.num) - int(n) })
	for _, c := range in.conns.all[first:] {
		if len(l.Conns) == q.Conns {
			break
		}
		conn := ConnLook{
			Num: c.num, ID: c.id, Attachment: c.attachment, Online: c.online, Start: c.start, Subject: c.owner, From: c.from,
			Expires: in.conns.expiresAt(c), State: maskConn(in.def, c.raw),
		}
		if !c.online {
			conn.Dropped = c.dropped
		}
		if q.Params {
			conn.Params, conn.Auth = maskParams(in.def, c.params), maskAuth(in.def, c.who.Auth)
		}
		l.Conns = append(l.Conns, conn)
	}
	return l
}

// wholeState returns a state as JSON, after the last turn.
func wholeState(s *state) []byte {
	if len(s.collections) == 0 && len(s.extra) == 0 {
		return s.base
	}
	return s.text(s.base)
}

// Look looks at an actor. One that is busy is waited for until ctx ends, but not
// behind many other looks, see Look.Busy. The
// error is a *host.Fault, not_found, or that of the store.
func (i *Inspector) Look(ctx context.Context, id string, q LookQuery) (*Look, error) {
	a := inMemory(i.n, id)
	if a == nil {
		return i.lookAtStored(ctx, id, q)
	}
	m := &lookEnvelope{ctx: ctx, query: q, answered: make(chan *Look, 1)}
	g, waiting, _ := a.box.seen()
	busy := &Look{
		Ref: a.ref(), Awake: true, Busy: true, Used: g.used, ConnCount: g.conns, Waiting: waiting, Memory: g.bytes,
		Log: a.log.Log().Identity(), Head: a.log.Log().Head(),
	}
	if runs, taken := a.box.look(m); runs {
		if !taken {
			return busy, nil
		}
		select {
		case l := <-m.answered:
			if l != nil {
				l.Waiting = waiting
				return l, nil
			}
			select {
			case <-ctx.Done():
				return busy, nil
			default:
			}
		case <-ctx.Done():
			return busy, nil
		}
	}
	return i.lookAtStored(ctx, id, q)
}

// lookAtStored looks at an actor that sleeps. Its state is shown as it would be if it were
// loaded now.
func (i *Inspector) lookAtStored(ctx context.Context, id string, q LookQuery) (*Look, error) {
	snap, err := i.n.store.Load(ctx, id)
	if errors.Is(err, store.ErrNotFound) {
		return nil, host.Faultf(wire.CodeNotFound, "there is no actor with this id")
	} else if err != nil {
		return nil, err
	}
	def := i.n.defs[snap.Name]
	l := &Look{
		Ref: host.Ref{Name: snap.Name, Key: snap.Key, ID: id}, Rev: snap.Rev, Head: snap.Head, Log: snap.Log, Version: snap.Version,
		StateBytes: len(snap.State), ConnCount: len(snap.Conns), Callers: len(snap.Callers),
		Messages: slices.Clone(snap.Messages), Due: snap.Due, Tombstone: snap.Tombstone,
	}
	if snap.Ended != nil {
		l.Ended = snap.Ended.At
	}
	if snap.Born > 0 {
		l.Born = time.UnixMicro(snap.Born)
	}
	tables := snap.Tables
	switch {
	case def == nil:
		l.StateError = "this server has no definition of that name"
	case snap.Tombstone:
	default:
		state, _, err := def.MigrateState(snap.Version, slices.Clone(snap.State))
		if err != nil {
			l.StateError = err.Error()
			break
		}
		tables = def.MigrateTables(snap.Version, tables)
		if len(state) <= q.MaxState {
			l.State = maskState(def, state)
		}
	}
	for _, h := range tables {
		if h.Field != "" {
			l.Tables = append(l.Tables, h)
		}
	}
	conns := slices.Clone(snap.Conns)
	slices.SortFunc(conns, func(a, b store.Conn) int { return int(a.Num) - int(b.Num) })
	for _, c := range conns {
		if c.Num > q.After && len(l.Conns) < q.Conns {
			conn := ConnLook{Num: c.Num, ID: c.ID, Start: c.Start, Subject: c.Subject}
			if def != nil {
				if raw, err := def.MigrateConn(c.Version, c.State); err == nil {
					conn.State = maskConn(def, raw)
				}
			}
			l.Conns = append(l.Conns, conn)
		}
	}
	l.cutMessages(i.n.defs)
	return l, nil
}

// Of the messages of a look.
const (
	shownMessages    = 200
	shownMessageData = 4 << 10
)

// cutMessages leaves of all messages those to show.
func (l *Look) cutMessages(defs definition.Set) {
	slices.SortFunc(l.Messages, func(a, b store.Message) int {
		if (a.Parked == "") != (b.Parked == "") {
			return strings.Compare(b.Parked, a.Parked)
		}
		return cmp.Or(runsAt(&a).Compare(runsAt(&b)), cmp.Compare(a.ID, b.ID))
	})
	l.MessageCount = len(l.Messages)
	l.Messages = l.Messages[:min(shownMessages, len(l.Messages))]
	for i := range l.Messages {
		m := &l.Messages[i]
		def := defs[cmp.Or(m.Name, l.Ref.Name)]
		if len(m.Data) <= shownMessageData {
			m.Data = maskMessage(def, m)
		} else {
			m.Data = nil
		}
	}
}
