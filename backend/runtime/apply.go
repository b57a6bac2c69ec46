package runtime

import (
	"slices"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
)

// reply is the destination of a turn's answer. The zero reply has none.
type reply struct {
	conn     *Conn        // a call of a connection: answered by an output to it
	producer *producer    // which numbered the call; nil if it has no number
	call     uint64       // its number
	waiter   *waiter      // of a request without a connection
	opened   *host.Output // a turn that connects: goes first
	store    bool         // commit even if nothing changed
	admitted bool         // OnAccess has admitted the call
	receipt  *receipt     // a message of another actor: what becomes of it
	state    []byte       // of an operator: the commit has it in place of the turn's; the instance is then discarded
	bare     bool         // the commit is about messages only: it does not make the actor, nor begins a new life
}

// apply makes the outcome of a turn the instance's state: it numbers the outputs, makes
// a commit if the turn changed anything, and puts both behind the gate.
func (in *instance) apply(t *Turn, o outcome, r reply) {
	if t.destroyed {
		in.life.destroy(t, o, r)
		return
	}
	changed := o.err == nil && (o.changed || o.items || in.messages.changed() || r.store || t.joining != nil || len(t.states) > 0 || len(t.ended) > 0 ||
		slices.ContainsFunc(t.out.outputs, func(o *host.Output) bool { return o.Numbered }))

	outputs := t.out.all()
	if r.opened != nil {
		outputs = slices.Insert(outputs, 0, r.opened)
	}
	var answer *host.Output
	if r.conn != nil || r.waiter != nil {
		answer = in.answer(t, o, r, changed)
		outputs = append(outputs, answer)
	}
	outputs = append(outputs, t.closes...)
	in.number(outputs, t.now)
	if t.joining != nil {
		r.opened.Opened.Joining = t.joining.unstore(outputs)
	}
	if answer != nil && answer.Numbered {
		r.producer.replied(answer.Call, answer.Seq)
	}
	if r.opened != nil {
		r.opened.Opened.Until = in.head
	}

	if !changed {
		if len(outputs) > 0 {
			in.actor.gate.put(outputs, nil)
		}
		in.timers.start(t.timers)
		return
	}

	bare := r.bare && !in.created
	in.rev++
	buffer := in.commitBuffer()
	commit := &buffer.commit
	*commit = store.Commit{
		Actor: in.actor.id, Name: in.def.Name, Key: in.actor.ref().Key, Log: in.log, Time: t.now,
		Rev: in.rev,
	}
	if in.rev == 1 {
		in.born = t.now.UnixMicro()
		commit.Born = in.born
	}
	if bare {
		in.life.entomb(commit)
	} else {
		in.saveState(commit, o)
	}
	if r.state != nil {
		commit.State, commit.Base, commit.Edits = r.state, nil, nil
	}
	in.inbox.save(commit, r.receipt)
	in.messages.save(commit)
	commit.Entries = slices.Grow(buffer.entries[:0], len(outputs))
	for _, o := range outputs {
		if o.Numbered {
			e := o.Entry()
			e.Time = t.now
			commit.Entries = append(commit.Entries, e)
		}
	}
	if r.producer != nil {
		r.producer.stale, r.producer.unsaved = false, false
		commit.Callers = append(buffer.callers[:0], r.producer.record)
		r.producer.stored = true
	}
	commit.Callers = in.producers.answers.takeStale(commit.Callers, in.producers.byID)
	in.producers.forget(t.now, 0)
	in.producers.saveGone(commit)
	in.applyConns(t, commit)
	if bare {
		commit.Key = in.life.storedKey()
	} else {
		in.state.accept(o.scalars)
		in.created, in.stored = true, true
	}
	in.actor.node.stats.entries.Add(uint64(len(commit.Entries)))
	in.actor.gate.put(outputs, commit)
	in.timers.start(t.timers)
	in.messages.arm()
	in.sends.applied()
}

// saveState puts the state and the tables into a commit.
func (in *instance) saveState(commit *store.Commit, o outcome) {
	if in.version != in.def.Version() {
		in.version = in.def.Version()
		commit.Version = in.version
		commit.Tables, in.dropped = in.dropped, nil
	}
	if o.changed || in.state.saved == nil {
		in.state.save(commit, o.scalars)
	}
	in.tables.save(commit)
	in.life.used, in.life.tombstone = commit.Time, false
}

// due returns when the actor has to be awake next; zero: never. It is the earliest of all
// reasons.
func (in *instance) due() time.Time {
	return earlier(earlier(in.messages.nextRun(), in.sends.due), in.life.due())
}

// earlier returns the earlier of two times, of which zero is never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}

// commitBuffer is a commit with room for what most commits contain, in one allocation.
type commitBuffer struct {
	commit  store.Commit
	entries [2]store.Entry
	callers [1]store.Caller
}

// commitBuffer returns the memory for the next commit. An immediate store has finished
// with a commit when the turn has been applied, so one buffer is enough for it.
func (in *instance) commitBuffer() *commitBuffer {
	if !in.actor.node.committer.store.Immediate() {
		return &commitBuffer{}
	}
	if in.buffer == nil {
		in.buffer = &commitBuffer{}
	}
	return in.buffer
}

// number gives each output its number, or that of the entry before it.
func (in *instance) number(outputs []*host.Output, now time.Time) {
	ms := now.UnixMilli()
	for _, o := range outputs {
		if o.Numbered {
			in.head++
		}
		o.Seq, o.TimeMs = in.head, ms
	}
}

// answer makes the output that answers a call, and keeps the answer for a repetition of
// the call.
func (in *instance) answer(t *Turn, o outcome, r reply, changed bool) *host.Output {
	out := &host.Output{Kind: host.OutputReply, Call: r.call, Data: o.result, Done: r.waiter.whenVisible()}
	if o.err != nil {
		out.Kind, out.Err = host.OutputFail, o.err
	}
	if r.conn != nil {
		out.To = r.conn.attachment
	}
	if r.producer == nil {
		return out
	}
	r.producer.executed(r.call, t.now)
	if r.conn == nil || !changed {
		in.producers.answers.keep(r.producer, answerOf(r.call, o.result, o.err), t.now)
		return out
	}
	out.Numbered, out.To = true, host.Attachment{}
	out.Producer = r.producer.record.ID
	out.Target = store.Target{Mode: store.ToOnly, Conns: r.conn.alone[:]}
	return out
}

// applyConns applies the turn's changes of connections to the instance and the commit.
func (in *instance) applyConns(t *Turn, commit *store.Commit) {
	if c := t.joining; c != nil {
		in.conns.join(c)
		if s, ok := t.states[c]; ok {
			c.value, c.raw = s.value, s.raw
			delete(t.states, c)
		}
		commit.Conns = append(commit.Conns, c.record(in.def.Version()))
	}
	for c, s := range t.states {
		c.value, c.raw = s.value, s.raw
		if !slices.Contains(t.ended, c) {
			commit.Conns = append(commit.Conns, c.record(in.def.Version()))
		}
	}
	for _, c := range t.ended {
		in.conns.remove(c)
		commit.Gone = append(commit.Gone, c.num)
	}
	slices.SortFunc(commit.Conns, func(a, b store.Conn) int { return int(a.Num) - int(b.Num) })
	commit.NextConn = in.conns.next
}

// closes makes the output that ends an attachment.
func (in *instance) closes(now time.Time, attachment host.Attachment, why *host.Fault) []*host.Output {
	out := []*host.Output{{Kind: host.OutputClosed, To: attachment, Err: why}}
	in.number(out, now)
	return out
}
