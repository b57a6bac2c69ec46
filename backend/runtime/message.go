package runtime

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/internal/delivery"
	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

// messages are those of an instance that are not finished. A turn changes them at once,
// and notes how to undo that. They belong to the instance's goroutine.
type messages struct {
	in *instance

	byID    map[uint64]*store.Message // a message does not change: edits replace it
	byLabel map[string]*store.Message
	queue   []*store.Message // to the actor itself and not parked, in the order in which they run
	bytes   int              // of all
	parked  int

	outgoing int // to other actors, and not parked

	edits []messageEdit // since the last commit
	kept  int           // of these, how many are of turns before the first commit

	number      uint64 // the highest so far
	savedNumber uint64 // as the store has it
	savedDue    time.Time
	savedParked int

	alarm   alarm
	trialAt time.Time // when the first one asks doubts.begin again; those behind it wait, too; by the node's clock
}

// messageEdit replaces a message by one with the same ID; nil: there is none.
type messageEdit struct{ before, after *store.Message }

// newMessages returns the messages of an instance. snap is nil if it is not stored.
func newMessages(in *instance, snap *store.Snapshot) *messages {
	ms := &messages{in: in, alarm: newAlarm(in)}
	if snap == nil {
		return ms
	}
	ms.number, ms.savedNumber, ms.savedDue = snap.NextMessage, snap.NextMessage, snap.Due
	for i := range snap.Messages {
		ms.put(unpark(in.def, &snap.Messages[i]))
	}
	ms.countParked()
	return ms
}

// sizeOf returns how many bytes a message counts.
func sizeOf(m *store.Message) int {
	size := 128 + len(m.Data) + len(m.Type) + len(m.Label) + len(m.Spec) + len(m.To) + len(m.Name) + len(m.Parked)
	for _, k := range m.Key {
		size += len(k)
	}
	return size
}

// runsAt returns when a message is to run.
func runsAt(m *store.Message) time.Time { return later(m.Due, m.Retry) }

// place returns where a message is in the queue, or belongs.
func (ms *messages) place(m *store.Message) int {
	i, _ := slices.BinarySearchFunc(ms.queue, m, func(a, b *store.Message) int {
		return cmp.Or(runsAt(a).Compare(runsAt(b)), cmp.Compare(a.ID, b.ID))
	})
	return i
}

// queued reports whether the actor itself runs a message when it is due.
func queued(m *store.Message) bool { return m.To == "" && !m.Work && m.Parked == "" }

func (ms *messages) put(m *store.Message) {
	if ms.byID == nil {
		ms.byID, ms.byLabel = map[uint64]*store.Message{}, map[string]*store.Message{}
	}
	ms.byID[m.ID] = m
	ms.bytes += sizeOf(m)
	if m.Label != "" {
		ms.byLabel[m.Label] = m
	}
	if m.Parked != "" {
		ms.parked++
	} else if m.To != "" {
		ms.outgoing++
	}
	if queued(m) {
		ms.queue = slices.Insert(ms.queue, ms.place(m), m)
	}
}

func (ms *messages) drop(m *store.Message) {
	delete(ms.byID, m.ID)
	ms.bytes -= sizeOf(m)
	if m.Label != "" && ms.byLabel[m.Label] == m {
		delete(ms.byLabel, m.Label)
	}
	if m.Parked != "" {
		ms.parked--
	} else if m.To != "" {
		ms.outgoing--
	}
	if queued(m) {
		i := ms.place(m)
		ms.queue = slices.Delete(ms.queue, i, i+1)
	}
}

func (ms *messages) replace(before, after *store.Message) {
	if before != nil {
		ms.drop(before)
	}
	if after != nil {
		ms.put(after)
	}
}

// edit replaces a message by one with the same ID, as a part of the turn. Without before
// the message is new; without after it is finished.
func (ms *messages) edit(before, after *store.Message) {
	ms.replace(before, after)
	ms.edits = append(ms.edits, messageEdit{before, after})
}

// savepoint returns a mark of the edits so far, for rollback.
func (ms *messages) savepoint() int { return len(ms.edits) }

// rollback undoes the edits since a savepoint, but none of earlier turns.
func (ms *messages) rollback(savepoint int) {
	savepoint = max(savepoint, ms.kept)
	for _, e := range slices.Backward(ms.edits[savepoint:]) {
		ms.replace(e.after, e.before)
	}
	clear(ms.edits[savepoint:])
	ms.edits = ms.edits[:savepoint]
}

// changed reports whether the turn has changed messages.
func (ms *messages) changed() bool { return len(ms.edits) > ms.kept }

// keep keeps the edits of a turn of an actor that is not stored, for its first commit.
func (ms *messages) keep() { ms.kept = len(ms.edits) }

// save puts all edits into a commit.
func (ms *messages) save(commit *store.Commit) {
	if len(ms.edits) > 0 {
		ms.in.sends.save(commit)
		ms.saveEdits(commit)
	}
	if ms.number != ms.savedNumber {
		ms.savedNumber, commit.NextMessage = ms.number, ms.number
	}
	ms.countParked()
	due := ms.in.due()
	if due.Equal(ms.savedDue) {
		return
	}
	ms.savedDue, commit.Due = due, due
	if due.IsZero() {
		commit.Due = store.NoDue
	}
}

// countParked tells the node how many messages are parked, while the actor is the node's.
func (ms *messages) countParked() {
	if ms.parked != ms.savedParked && ms.in.actor.node.partitions.has(ms.in.actor) {
		ms.savedParked = ms.parked
		ms.in.actor.node.parked.set(ms.in.actor.id, ms.parked)
	}
}

func (ms *messages) saveEdits(commit *store.Commit) {
	seen := make(map[uint64]bool, len(ms.edits))
	for _, e := range ms.edits {
		id := cmp.Or(e.before, e.after).ID
		if seen[id] {
			continue // the commit has its newest form
		}
		seen[id] = true
		switch m := ms.byID[id]; {
		case m != nil:
			commit.Messages = append(commit.Messages, *m)
		case e.before != nil:
			commit.GoneMessages = append(commit.GoneMessages, id)
		}
	}
	clear(ms.edits)
	ms.edits, ms.kept = ms.edits[:0], 0
	if cap(ms.edits) > keptCapacity {
		ms.edits = nil
	}
}

// sends reports whether there is an unsaved message to another actor.
func (ms *messages) sends() bool {
	return slices.ContainsFunc(ms.edits, func(e messageEdit) bool { return e.after != nil && unsent(e.after) && ms.byID[e.after.ID] != nil })
}

// unsent reports whether a message waits to be sent to another actor. Such messages leave
// also when their actor is destroyed.
func unsent(m *store.Message) bool { return m.To != "" && m.Parked == "" }

// destroy puts into the commit that destroys the actor what is left of its messages. The
// number of the end is above those of all messages that the actor may have been sent before,
// as far as clocks agree.
func (ms *messages) destroy(commit *store.Commit) {
	for _, m := range ms.byID {
		if !unsent(m) {
			ms.drop(m)
		}
	}
	ms.nextNumber()
	ms.savedDue = time.Time{} // the store drops it
	ms.save(commit)
}

// nextNumber returns a number that is higher than all before it, also than those of an
// earlier life of the actor.
func (ms *messages) nextNumber() uint64 {
	ms.number = delivery.Next(ms.number, ms.in.actor.node.now())
	return ms.number
}

// nextRun returns when the next message is to run; zero: never.
func (ms *messages) nextRun() time.Time {
	if len(ms.queue) == 0 {
		return time.Time{}
	}
	return runsAt(ms.queue[0])
}

// Messages are the messages of an actor as a turn sees them. Its methods are for the
// turn's goroutine.
type Messages struct{ t *Turn }

// ScheduleOptions are the options of a message that an actor schedules to itself.
type ScheduleOptions struct {
	Label string // unique in the actor; empty: it has none
}

// maxMessageBytes is how many bytes of JSON a message may have.
const maxMessageBytes = 64 << 10

// writable reports whether the turn may change messages. If not, it fails.
func (m Messages) writable(verb string) bool {
	if !m.t.Use() {
		return false
	}
	if m.t.readOnly {
		m.t.Fail(host.Faultf(wire.CodeReadOnly, "%s is read-only (it has a value receiver) and cannot %s", m.t.what, verb))
	}
	return !m.t.readOnly
}

// Schedule adds a message that the actor's handler gets at a time, and returns its id,
// which is empty if the turn fails for it.
func (m Messages) Schedule(at time.Time, message any, o ScheduleOptions) (id string) {
	if !m.writable("schedule a message") {
		return ""
	}
	if at.Year() > 9999 {
		m.t.Fail(fmt.Errorf("schedule a message for %s: the year is over 9999", at))
		return ""
	}
	typ, data, err := m.encode(message)
	if err != nil {
		m.t.Fail(err)
		return ""
	}
	ms := m.t.in.messages
	if old := ms.byLabel[o.Label]; old != nil && o.Label != "" {
		ms.edit(old, nil)
	}
	number := ms.nextNumber()
	if !m.add(&store.Message{
		ID: number, Order: number, Type: typ, Version: m.t.in.def.Version(), Data: data, Due: dueTime(at), Label: o.Label,
	}) {
		return ""
	}
	return m.id(number)
}

// dueTime returns a time as stores keep it: in whole milliseconds, not before at.
func dueTime(at time.Time) time.Time {
	ms := at.UnixMilli()
	if at.After(time.UnixMilli(ms)) {
		ms++
	}
	return time.UnixMilli(max(ms, 1)).UTC()
}

// encode returns the stored type and JSON of a message to the actor itself.
func (m Messages) encode(message any) (typ string, data []byte, err error) {
	h := m.t.in.def.Handlers.Of(reflect.TypeOf(message))
	if h == nil {
		return "", nil, undeclared(m.t.in.def, message)
	}
	data, err = encodeMessage(h.Name, message)
	return h.Name, data, err
}

// encodeMessage returns the JSON of a message.
func encodeMessage(name string, message any) ([]byte, error) {
	data, err := jsonshape.Marshal(message)
	switch {
	case err != nil:
		return nil, fmt.Errorf("encode message %s: %w", name, err)
	case jsonshape.TooDeep(reflect.TypeOf(message), data):
		return nil, definition.TooDeepFault("message " + name)
	case len(data) > maxMessageBytes:
		return nil, host.Limit{Size: len(data), Limit: maxMessageBytes}.
			Fault(wire.CodeTooLarge, fmt.Sprintf("message %s has %d bytes, the limit is %d", name, len(data), maxMessageBytes))
	}
	return data, nil
}

// undeclared returns the error of a message that no handler of a definition takes.
func undeclared(d *definition.Definition, message any) error {
	typ := reflect.TypeOf(message)
	if typ == nil {
		return fmt.Errorf("the message is nil: want a value of a type that a handler takes, see actor.Handles")
	}
	if typ.Kind() == reflect.Pointer && d.Handlers.Of(typ.Elem()) != nil {
		return fmt.Errorf("a message is a value, not a %s: pass what it points to", typ)
	}
	name := definition.WireName(typ.Name())
	return fmt.Errorf("message type %s has no handler: add actor.Handles((*%s).%s) to the definition of %q, and a method %s(c *actor.Context[S], m %s) error",
		typ, d.Type.Name(), name, d.Name, name, typ)
}

// add adds a message, if there is room for it; else the turn fails. A turn that handles a
// message may go to twice the limits: two actors with full lists would wait for each
// other's answers.
func (m Messages) add(msg *store.Message) bool {
	ms, o := m.t.in.messages, &m.t.in.def.Options
	maxMessages, maxBytes := o.MaxMessages, o.MaxMessagesBytes
	if m.t.message != nil {
		maxMessages, maxBytes = 2*maxMessages, 2*maxBytes
	}
	switch {
	case len(ms.byID) >= maxMessages:
		m.t.Fail(overloadFault("too many messages of the actor are pending", maxMessages, "actor.Options.MaxMessages"))
		return false
	case ms.bytes+sizeOf(msg) > maxBytes:
		m.t.Fail(overloadFault("too many bytes of messages of the actor are pending", maxBytes, "actor.Options.MaxMessagesBytes"))
		return false
	}
	ms.edit(nil, msg)
	return true
}

// id returns the id of a message of the actor that authors see.
func (m Messages) id(number uint64) string { return messageID(m.t.in.actor.id, number) }

// messageID returns the id of a message of an actor that authors see.
func messageID(actor string, number uint64) string {
	return actor + "." + strconv.FormatUint(number, 10)
}

// Cancel removes a message that the actor has scheduled, or one to another actor that is
// parked. It reports false if there is none with this id.
func (m Messages) Cancel(id string) bool {
	if !m.writable("cancel a message") {
		return false
	}
	text, ok := strings.CutPrefix(id, m.t.in.actor.id+".")
	number, err := strconv.ParseUint(text, 10, 64)
	return ok && err == nil && m.cancel(m.t.in.messages.byID[number])
}

// CancelNamed removes the message of a name. It reports false if there is none.
func (m Messages) CancelNamed(name string) bool {
	return m.writable("cancel a message") && name != "" && m.cancel(m.t.in.messages.byLabel[name])
}

func (m Messages) cancel(msg *store.Message) bool {
	if msg == nil || unsent(msg) {
		return false
	}
	m.t.in.messages.edit(msg, nil)
	return true
}

// Scheduled returns the messages that the actor has scheduled to itself, in the order in
// which they run; the parked ones come last, also those to other actors.
func (m Messages) Scheduled() []store.Message {
	if !m.t.Use() {
		return nil
	}
	ms := m.t.in.messages
	all := make([]store.Message, 0, len(ms.queue))
	for _, msg := range ms.queue {
		all = append(all, *msg)
	}
	if ms.parked > 0 {
		for _, msg := range ms.byID {
			if msg.Parked != "" {
				all = append(all, *msg)
			}
		}
		slices.SortFunc(all[len(ms.queue):], func(a, b store.Message) int { return cmp.Compare(a.ID, b.ID) })
	}
	return all
}

// IDOf returns the id of one of the actor's messages that authors see.
func (m Messages) IDOf(msg *store.Message) string { return m.id(msg.ID) }

// Handling returns the message that the turn handles and its id; nil if it handles none.
func (m Messages) Handling() (msg *store.Message, id string) {
	if !m.t.Use() || m.t.message == nil {
		return nil, ""
	}
	if m.t.from != nil {
		return m.t.message, messageID(m.t.from.ID, m.t.message.ID)
	}
	return m.t.message, m.id(m.t.message.ID)
}
