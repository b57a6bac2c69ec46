package runtime

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

// life is what an instance knows of the end of its actor's life, and of the one before.
type life struct {
	in *instance

	tombstone bool      // the actor was destroyed, and no commit has begun a new life
	ended     time.Time // when the last life ended, of a tombstone
	log       string    // the identity of its log, of a tombstone
	before    string    // that of the log of the life before this one, or before the tombstone; empty: there was none
	inquired  time.Time // when the tombstone has asked its senders whether they need it
	used      time.Time // the newest commit
	over      bool      // the actor was destroyed on this instance, which takes no more turns
	again     bool      // the current envelope is for the next instance
}

// destroy applies a turn that has destroyed the actor. The instance takes no more turns: the
// actor drops it when the commit is durable (bury). Of an actor that was never stored,
// nothing is kept, unless a repetition of the call could run again.
func (l *life) destroy(t *Turn, o outcome, r reply) {
	in := l.in
	l.over = true
	for _, p := range in.producers.byID {
		in.producers.answers.set(p, nil) // the tombstone has the answer of this call only
	}
	var outputs []*host.Output
	keep := in.stored || r.producer != nil || r.receipt != nil || in.messages.sends()
	if keep {
		outputs = t.out.all()
		for _, event := range outputs {
			event.Unstored = event.Numbered // clients that are connected get it; it is not stored
		}
	}
	if r.conn != nil || r.waiter != nil {
		outputs = append(outputs, in.answer(t, o, r, false)) // not in the log, which ends
	}
	outputs = append(append(outputs, t.closes...), l.ends(t, r.opened)...)
	in.number(outputs, t.now)
	if !keep {
		in.actor.gate.put(outputs, nil)
		return
	}
	in.rev++
	commit := &store.Commit{
		Actor: in.actor.id, Name: in.def.Name, Log: in.log, Time: t.now, Rev: in.rev,
		NextConn: in.conns.next, Callers: in.producers.unsaved(), End: store.Destroyed,
	}
	if in.rev == 1 {
		in.born = t.now.UnixMicro()
		commit.Born = in.born
	}
	l.tombstone, l.ended, l.log = true, t.now, in.log
	in.inbox.save(commit, r.receipt)
	in.messages.destroy(commit)
	commit.Key = l.storedKey()
	for _, o := range outputs {
		if o.Numbered {
			e := o.Entry()
			e.Time = t.now
			commit.Entries = append(commit.Entries, e)
		}
	}
	in.producers.forget(t.now, 0)
	in.producers.saveGone(commit)
	in.conns.clear()
	in.undecodable = nil
	in.actor.node.stats.entries.Add(uint64(len(commit.Entries)))
	in.actor.node.stats.destroyed.Add(1)
	in.actor.gate.put(outputs, commit)
}

// entomb makes the first commit of an actor that has not begun a life one of a tombstone.
func (l *life) entomb(commit *store.Commit) {
	if !l.tombstone {
		commit.End = store.Destroyed
		l.tombstone, l.ended, l.log = true, commit.Time, commit.Log
	}
}

// storedKey returns the key that the store is to have. A tombstone has none, for it may name
// a person, but while it has unsent messages.
func (l *life) storedKey() host.Key {
	if l.tombstone && len(l.in.messages.byID) == 0 {
		return nil
	}
	return l.in.actor.ref().Key
}

// ends makes the outputs that tell the clients of all connections of the end. opened is the
// answer that the client of a connection would get that joins in the turn.
func (l *life) ends(t *Turn, opened *host.Output) (outputs []*host.Output) {
	end := func(to host.Attachment, producer string) {
		outputs = append(outputs, &host.Output{Kind: host.OutputClosed, To: to, Err: l.fault(producer)})
	}
	for _, c := range l.in.conns.all {
		if !c.attachment.IsZero() && !slices.Contains(t.ended, c) {
			end(c.attachment, c.producer)
		}
	}
	if t.joining != nil && !slices.Contains(t.ended, t.joining) {
		end(opened.To, t.joining.producer)
	}
	return outputs
}

// fault returns the reason with which a connection of a destroyed actor ends.
func (l *life) fault(producer string) *host.Fault {
	f := host.Faultf(wire.CodeDestroyed, "this %s was destroyed", l.in.def.Name)
	f.Highest = l.in.producers.highest(producer)
	return f
}

// highest returns the highest call of a producer that has run, nil if it may have been
// forgotten.
func (p *producers) highest(id string) *uint64 {
	highest := uint64(0)
	if c := p.byID[id]; c != nil {
		highest = c.record.Highest
	} else if p.since != 0 {
		return nil
	}
	return &highest
}

// unsaved returns the records that are not in the store as they are.
func (p *producers) unsaved() (records []store.Caller) {
	for _, c := range p.byID {
		if c.unsaved {
			c.unsaved, c.stored = false, true
			records = append(records, c.record)
		}
	}
	return records
}

// bury drops the instance of an actor that was destroyed. If that could not be saved, which
// ok reports, the actor continues from its last durable state.
func (a *Actor) bury() (ok bool) {
	if err := a.gate.await(); err != nil {
		a.reset(err)
		return false
	}
	a.in.discard()
	a.in, a.previous = nil, nil
	return true
}

// forgetUndefined is forget for a tombstone whose definition is gone. It reports whether the
// tombstone is no longer needed.
func (a *Actor) forgetUndefined(snap *store.Snapshot) bool {
	now := a.node.now()
	switch {
	case !snap.Tombstone || len(snap.Messages)+len(snap.Senders) > 0:
		return false
	case snap.Due.IsZero() || now.Before(snap.Due):
		return snap.Due.IsZero()
	}
	a.gate.put(nil, &store.Commit{
		Actor: a.id, Name: snap.Name, Log: snap.Log, Time: now, Rev: snap.Rev + 1,
		NextConn: snap.NextConn, Due: store.NoDue, End: store.Forgotten,
	})
	return a.gate.await() == nil
}

// revive prepares the instance for the life after a tombstone, which begins with the first
// commit of a state. Numbers continue.
func (l *life) revive(snap *store.Snapshot) {
	in := l.in
	l.tombstone, l.ended, l.log, l.before = true, snap.Ended.At, snap.Log, snap.Ended.Log
	in.version, in.born = snap.Version, snap.Born
	in.rev, in.head, in.conns.next = snap.Rev, snap.Head, snap.NextConn
	in.log = nextLog(snap.Log)
	in.producers = newProducers(&in.def.Options, snap.Callers, in.conns.producers, &in.actor.node.answers)
	in.producers.since = snap.CallersSince
}

// The identity of a log names the life: it is a random text for an actor's first one, and
// the same text, the number of the life and another random text for the later ones. So
// clients of all earlier lives are known, as long as the actor is not forgotten between.

// nextLog returns an identity for the log of the life after another one.
func nextLog(log string) string {
	first, life := splitLog(log)
	return fmt.Sprintf("%s.%d.%s", first, life+1, randomID())
}

func splitLog(log string) (first string, life uint64) {
	first, rest, later := strings.Cut(log, ".")
	if !later {
		return first, 1
	}
	number, _, _ := strings.Cut(rest, ".")
	life, err := strconv.ParseUint(number, 10, 64)
	if err != nil {
		return log, 1 // not one of nextLog
	}
	return first, life
}

// hasEnded reports whether a log is that of an earlier life of the actor. It compares with
// the life before, because a store that was restored from a backup has given the log of the
// current one another identity.
func (l *life) hasEnded(log string) bool {
	first, life := splitLog(log)
	before, last := splitLog(l.before)
	return l.before != "" && first == before && life <= last
}

// hearEnd answers a client that resumes a connection of an earlier life: first the answers
// that it has not got, then the end. It learns nothing about a later life, and begins none.
func (m *openEnvelope) hearEnd(in *instance) {
	id := in.producers.idOf(m.Producer, in.numbers(nil, m.Identity), false)
	var outputs []*host.Output
	if p := in.producers.byID[id]; p != nil && !p.oneCall {
		for _, kept := range p.record.Answers {
			if answer, ok := in.actor.storedAnswer(p, kept.Call); ok && kept.Call > m.Ack {
				outputs = append(outputs, answerOutput(answer, m.Attachment))
			}
		}
	}
	end := in.life.fault(id)
	if in.wasAnothers(&m.OpenRequest) {
		end.Highest = nil // the calls were those of another subject
	}
	outputs = append(outputs, &host.Output{Kind: host.OutputClosed, To: m.Attachment, Err: end})
	in.number(outputs, time.Now())
	in.actor.gate.put(outputs, nil)
}
