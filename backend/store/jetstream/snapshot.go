package jetstream

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
	"github.com/troupe-dev/troupe/backend/store/internal/pages"
	"github.com/troupe-dev/troupe/backend/store/internal/record"
)

// A head is a message:
//
//	1 <checksum> <pieces>\n<description>\n<state>
//
// 1 is its format. The description is a headJSON. If the head is too long for one message,
// what follows the first line is in that many pieces, which are the messages just before
// it in the stream. The checksum, of eight hexadecimal digits, covers all of that.
const headFormat = "1"

// infoHeader has the store.ActorInfo, for List.
const infoHeader = "I"

type headJSON struct {
	Rev      uint64             `json:"rev"`
	Head     uint64             `json:"head"`
	Name     string             `json:"name"`
	Key      []string           `json:"key"`
	Log      string             `json:"log"`
	NextConn uint32             `json:"conn"`
	Conns    []store.Conn       `json:"conns"`
	Callers  []store.Caller     `json:"callers"`
	Version  int                `json:"version"`
	Due      int64              `json:"due"` // Unix milliseconds
	Changed  int64              `json:"changed"`
	Rest     json.RawMessage    `json:"rest"`
	Roots    map[int]pages.Root `json:"roots"` // of its tables
	Gone     bool               `json:"gone"`  // the actor was forgotten, the head is about to go
}

// snapshot is what a head has, frozen.
type snapshot struct {
	actor     string
	rest      *store.Snapshot // without the state
	state     []byte
	forgotten bool
	changed   int64
	roots     map[int]pages.Root
	info      store.ActorInfo
	wake      wake
}

// freeze returns the snapshot of a record, without the roots of its tables. Hold the catalog's mu.
func freeze(actor string, r *record.Record) *snapshot {
	text := r.State.Freeze()
	return &snapshot{
		actor: actor, rest: r.Rest(actor), state: text.Bytes(), forgotten: r.Forgotten, changed: r.Changed,
		info: r.Info(actor), wake: wakeOf(r),
	}
}

// encode returns the description and the state.
func (s *snapshot) encode() ([]byte, error) {
	r := s.rest
	b := strconv.AppendUint([]byte(`{"rev":`), r.Rev, 10)
	b = strconv.AppendUint(append(b, `,"head":`...), r.Head, 10)
	b = journal.AppendString(append(b, `,"name":`...), r.Name)
	b = journal.AppendString(append(b, `,"log":`...), r.Log)
	b = strconv.AppendUint(append(b, `,"conn":`...), uint64(r.NextConn), 10)
	b = strconv.AppendInt(append(b, `,"version":`...), int64(r.Version), 10)
	due := int64(0)
	if !r.Due.IsZero() {
		due = r.Due.UnixMilli()
	}
	b = strconv.AppendInt(append(b, `,"due":`...), due, 10)
	b = strconv.AppendInt(append(b, `,"changed":`...), s.changed, 10)
	key, err := json.Marshal(r.Key)
	if err != nil {
		return nil, err
	}
	b = append(append(append(b, `,"key":`...), key...), `,"conns":[`...)
	for i := range r.Conns {
		b = journal.AppendConn(append(b, journal.Separator(i, "")...), &r.Conns[i])
	}
	b = append(b, `],"callers":[`...)
	for i := range r.Callers {
		b = journal.AppendCaller(append(b, journal.Separator(i, "")...), &r.Callers[i])
	}
	b = append(b, ']')
	rest := journal.Rest{
		More: journal.More{
			Born: r.Born, CallersSince: r.CallersSince, NextMessage: r.NextMessage, Floor: r.Floor,
			Tables: r.Tables, Messages: r.Messages, Senders: r.Senders,
		},
		Ended: r.Ended, Tombstone: r.Tombstone, Forgotten: s.forgotten,
	}
	if more := rest.Encode(); more != nil {
		b = append(append(b, `,"rest":`...), more...)
	}
	if len(s.roots) > 0 {
		roots, err := json.Marshal(s.roots)
		if err != nil {
			return nil, err
		}
		b = append(append(b, `,"roots":`...), roots...)
	}
	return append(append(b, "}\n"...), s.state...), nil
}

// head is a head that was read.
type head struct {
	journal.Message
	record *record.Record // an empty one if there is no head
}

func decodeHead(content []byte) (*record.Record, map[int]pages.Root, error) {
	description, state, ok := bytes.Cut(content, []byte{'\n'})
	if !ok {
		return nil, nil, fmt.Errorf("it has no state: %w", journal.ErrDamaged)
	}
	var h headJSON
	if err := json.Unmarshal(description, &h); err != nil {
		return nil, nil, fmt.Errorf("%w: %w", journal.ErrDamaged, err)
	}
	if h.Gone {
		return &record.Record{}, nil, nil
	}
	rest, err := journal.DecodeRest(h.Rest)
	if err != nil {
		return nil, nil, err
	}
	r := record.Of(&store.Snapshot{
		Name: h.Name, Key: h.Key, Log: h.Log, Rev: h.Rev, Head: h.Head, State: state, NextConn: h.NextConn, Conns: h.Conns, Callers: h.Callers,
		Version: h.Version, Born: rest.Born, CallersSince: rest.CallersSince,
		NextMessage: rest.NextMessage, Floor: rest.Floor, Tables: rest.Tables, Messages: rest.Messages, Senders: rest.Senders,
		Due: record.Milli(h.Due), Changed: record.Milli(h.Changed), Ended: rest.Ended, Tombstone: rest.Tombstone,
	})
	r.Forgotten = rest.Forgotten
	return r, h.Roots, nil
}

// heads reads and writes the heads of actors.
type heads struct {
	*client
	own         *ownJournal
	directories *directories
	longest     int // bytes of a message
	before      func(op string) error
}

// errMoved means that a head was replaced while it was read.
var errMoved = errors.New("the snapshot was replaced")

// read reads the head of an actor. The barrier is the sequence of a message of this store:
// a replica that does not have it may not have the newest head either. If the actor's head
// is known to be at a sequence, only that or a newer one is taken.
func (h *heads) read(ctx context.Context, actor string, barrier, known uint64) (head, error) {
	request := fmt.Sprintf(`{"multi_last":[%q,%q]}`, h.head("*", actor), h.barrier(h.own.incarnation))
	for tries := 0; ; tries++ {
		var m *nats.Msg
		err := h.ask(ctx, h.state, request, true, func(messages []*nats.Msg) bool {
			fresh := false
			m = nil
			for _, one := range messages {
				if one.Header.Get("Nats-Subject") == h.barrier(h.own.incarnation) {
					fresh = sequence(one) >= barrier
				} else {
					m = one
				}
			}
			return fresh && (known == 0 || m != nil && sequence(m) >= known)
		})
		if err != nil {
			return head{}, err
		}
		if m == nil {
			return head{record: &record.Record{}}, nil
		}
		found, err := h.open(ctx, m)
		if errors.Is(err, errMoved) && tries < 100 {
			continue
		}
		if err != nil {
			return head{}, fmt.Errorf("the snapshot of actor %s: %w", actor, err)
		}
		return found, nil
	}
}

// newestOf returns the messages of the heads of several actors, of a replica as read takes. If
// they have grown to much more than headBytes it returns none: the answer ends before it
// shows how new that replica is.
func (h *heads) newestOf(ctx context.Context, actors []string, barrier uint64) (map[string]*nats.Msg, error) {
	own := h.barrier(h.own.incarnation)
	subjects := []string{own}
	for _, actor := range actors {
		subjects = append(subjects, h.head("*", actor))
	}
	request, err := json.Marshal(map[string]any{"multi_last": subjects, "max_bytes": 2 * headBytes})
	if err != nil {
		return nil, err
	}
	var found map[string]*nats.Msg
	err = h.ask(ctx, h.state, string(request), true, func(all []*nats.Msg) bool {
		fresh := false
		found = make(map[string]*nats.Msg, len(all))
		for _, m := range all {
			if subject := m.Header.Get(jetstream.SubjectHeader); subject == own {
				fresh = sequence(m) >= barrier
			} else {
				found[lastToken(subject)] = m
			}
		}
		if !fresh && len(all) > 0 && all[len(all)-1].Header.Get("Nats-Num-Pending") != "0" {
			found = nil
			return true
		}
		return fresh
	})
	return found, err
}

// open decodes a head.
func (h *heads) open(ctx context.Context, m *nats.Msg) (head, error) {
	bad := fmt.Errorf("its first line: %w", journal.ErrDamaged)
	line, content, _ := bytes.Cut(m.Data, []byte{'\n'})
	fields := bytes.Fields(line)
	if len(fields) != 3 {
		return head{}, bad
	}
	if string(fields[0]) != headFormat {
		return head{}, fmt.Errorf("it has format %s, this version reads %s", fields[0], headFormat)
	}
	pieces, err := strconv.Atoi(string(fields[2]))
	if err != nil || pieces < 0 {
		return head{}, bad
	}
	seq := sequence(m)
	if pieces > 0 {
		if content, err = h.pieces(ctx, seq, pieces); err != nil {
			return head{}, err
		}
	}
	var sum [8]byte
	if putChecksum(sum[:], content); !bytes.Equal(sum[:], fields[1]) {
		return head{}, fmt.Errorf("it does not have its checksum: %w", journal.ErrDamaged)
	}
	r, roots, err := decodeHead(content)
	return head{journal.Message{Seq: seq, Pieces: pieces, Roots: roots}, r}, err
}

// pieces reads the pieces of a head, which are the messages before it.
func (h *heads) pieces(ctx context.Context, seq uint64, n int) ([]byte, error) {
	var content []byte
	for i := range n {
		request := fmt.Sprintf(`{"seq":%d}`, seq-uint64(n-i))
		found, tries := false, 0
		err := h.ask(ctx, h.state, request, false, func(m []*nats.Msg) bool {
			if len(m) == 1 {
				content, found = append(content, m[0].Data...), true
			}
			tries++
			return found || tries > 20 // a replica that is behind, or a newer head
		})
		if err != nil {
			return nil, err
		}
		if !found {
			return nil, errMoved
		}
	}
	return content, nil
}

// write writes a head in the place of the one that is known, and returns the new one. The
// wake goes with it if that has changed.
func (h *heads) write(ctx context.Context, s *snapshot, known journal.Message, withWake bool) (journal.Message, error) {
	content, err := s.encode()
	if err != nil {
		return known, err
	}
	info, err := json.Marshal(s.info)
	if err != nil {
		return known, err
	}
	m, err := h.replace(ctx, s.actor, s.rest.Name, content, string(info), known, s.wake, withWake)
	if err == nil {
		m.Roots = s.roots
	}
	return m, err
}

// remove writes a head that says that the actor is gone, and that goes itself.
func (h *heads) remove(ctx context.Context, actor, name string, known journal.Message) (journal.Message, error) {
	return h.replace(ctx, actor, name, []byte(`{"gone":true}`+"\n"), "", known, wake{}, true)
}

// replace writes a head. If it is not known any more which one is there, it reads that and
// makes sure that this store still owns the actor before it writes in its place.
func (h *heads) replace(ctx context.Context, actor, name string, content []byte, info string, known journal.Message, w wake, withWake bool) (journal.Message, error) {
	messages, pieces := h.messages(actor, name, content, info, known.Pieces, w, withWake)
	err := h.retry(ctx, func(ctx context.Context) (final bool, err error) {
		if h.own.deposed.Load() {
			return true, errDeposed
		}
		expect(messages[len(messages)-1], known.Seq)
		seq, err := h.publishAll(ctx, messages)
		if err == nil {
			known = journal.Message{Seq: seq, Pieces: pieces}
			return true, nil
		}
		if code(err) != codeWrongLast {
			return definite(err) != nil, err
		}
		// An earlier try of this, or a late write of the owner before this one. The wake of
		// that one may be there, too.
		messages, pieces = h.messages(actor, name, content, info, max(known.Pieces, pieces), w, true)
		now, lookErr := h.newest(ctx, name, actor)
		if lookErr != nil {
			return false, lookErr
		}
		if err := h.own.prove(ctx); err != nil {
			return errors.Is(err, store.ErrConflict), err
		}
		known.Seq = now
		return false, err
	})
	return known, err
}

// newest returns the sequence of an actor's head, 0 if there is none, as the stream's
// leader has it.
func (h *heads) newest(ctx context.Context, name, actor string) (uint64, error) {
	seq, _, err := h.leaderLast(ctx, h.state, h.head(name, actor))
	return seq, err
}

// messages makes the messages of a head: the wake, pieces, and the head itself at the end.
func (h *heads) messages(actor, name string, content []byte, info string, oldPieces int, w wake, withWake bool) ([]*nats.Msg, int) {
	const ttl = "Nats-TTL"
	var all []*nats.Msg
	if withWake {
		m := &nats.Msg{Subject: h.wake(actor), Header: nats.Header{}}
		m.Data, _ = json.Marshal(w) // it does not fail
		if w.isEmpty() {
			m.Header.Set(ttl, "1s")
		}
		all = append(all, m)
	}
	const lines = 1 << 10
	pieces := 0
	var sum [8]byte
	putChecksum(sum[:], content)
	if len(content) > h.longest-lines-len(info) {
		pieces = (len(content) + h.longest - 1) / h.longest
	}
	for i := pieces; i < oldPieces; i++ { // they are no longer needed
		all = append(all, &nats.Msg{Subject: h.piece(actor, i), Header: nats.Header{ttl: {"1s"}}})
	}
	for i := range pieces {
		all = append(all, &nats.Msg{Subject: h.piece(actor, i), Data: content[i*h.longest : min((i+1)*h.longest, len(content))], Header: nats.Header{}})
	}
	m := &nats.Msg{Subject: h.head(name, actor), Header: nats.Header{}}
	m.Data = fmt.Appendf(nil, "%s %s %d\n", headFormat, sum[:], pieces)
	if pieces == 0 {
		m.Data = append(m.Data, content...)
	}
	if info == "" {
		m.Header.Set(ttl, "1s")
	} else {
		m.Header.Set(infoHeader, info)
	}
	return append(all, m), pieces
}

// writeBarrier writes the barrier: from then on, read takes no answer from a replica that
// does not have everything that was stored before.
func (h *heads) writeBarrier(ctx context.Context) (seq uint64, err error) {
	err = h.retry(ctx, func(ctx context.Context) (bool, error) {
		seq, _, err = h.publishAgain(ctx, &nats.Msg{Subject: h.barrier(h.own.incarnation), Data: []byte(time.Now().UTC().Format(time.RFC3339))})
		return false, err
	})
	return seq, err
}
