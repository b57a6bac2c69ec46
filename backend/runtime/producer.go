package runtime

import (
	"encoding/json"
	"slices"
	"sync/atomic"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/store"
)

// producer is a client that numbers its calls, so that a repeated call does not run again
// (G5). It outlives connections. Its record is part of the commit of its call's turn, so
// a call's effect and its record are durable together.
//
// A single call with an idempotency key has a producer of its own, which makes one call.
type producer struct {
	record  store.Caller
	owner   owner
	stored  bool          // a commit has it
	stale   bool          // the store has answers of it that were dropped
	unsaved bool          // the store does not have its newest call
	listed  bool          // it is in answers.of
	oneCall bool          // it is of a single call
	loaded  bool          // it made calls before the actor was loaded
	replies []loggedReply // entries of the log that are replies to it, since then, until it has them
}

// loggedReply is where the log has the reply of a call.
type loggedReply struct{ call, seq uint64 }

// producers are the producers of an instance.
type producers struct {
	options *definition.Options
	inUse   func() map[string]bool // those of the instance's connections, by their ids
	answers answers

	byID    map[string]*producer
	single  int       // how many of them are of single calls
	checked time.Time // when forget last looked at all of them
	next    int       // and how many of a kind make it look again
	gone    []string  // stored ones that were forgotten since the last commit
	since   int64     // when the newest one of a connection that was forgotten was used, in microseconds
}

// newProducers returns those that are stored.
func newProducers(o *definition.Options, stored []store.Caller, inUse func() map[string]bool, kept *atomic.Int64) producers {
	p := producers{options: o, inUse: inUse, byID: make(map[string]*producer, len(stored)), next: o.MaxCallers}
	p.answers.all = kept
	stored = slices.Clone(stored)
	slices.SortFunc(stored, func(a, b store.Caller) int { return a.Used.Compare(b.Used) })
	for _, r := range stored {
		c := &producer{record: r, owner: ownerOf("", r.Subject, r.ID), stored: true, oneCall: r.Print != "", loaded: true}
		p.byID[r.ID] = c
		if c.oneCall {
			p.single++
		}
		p.answers.list(c)
	}
	return p
}

// idOf returns the id of the producer of a subject whose client gives itself an id; oneCall is
// whether that is the key of a single call. Nobody else can take or use it: a key may be guessed,
// so the id that is made of it is none that a client can give itself. What older versions have
// stored keeps its id, which was the client's or, with a subject, a hash without the mark.
func (p *producers) idOf(id, subject string, oneCall bool) string {
	own := id
	if subject != "" {
		own = hash("producer of "+subject, id)
	}
	for _, stored := range []string{own, id} {
		if c := p.byID[stored]; c != nil && c.oneCall == oneCall && (c.record.Subject == "" || c.record.Subject == subject) {
			return stored
		}
	}
	if oneCall {
		return singleMark + hash("producer of "+subject, id)
	}
	return own
}

// singleMark begins the ids of producers of single calls. Those that clients give themselves are
// base64url.
const singleMark = "~"

// acknowledge drops the kept answers of a connection's calls up to an id.
func (p *producers) acknowledge(id string, upTo uint64) {
	if c := p.byID[id]; c != nil && !c.oneCall {
		p.answers.acknowledge(c, upTo)
	}
}

// get returns a producer, a new one if it is unknown; who and from ask for it, and print is
// that of a single call. Others may be forgotten for it: most producers' calls change
// nothing, so no commit would do that.
func (p *producers) get(id, subject, from, print string, now time.Time) *producer {
	c := p.byID[id]
	if c == nil {
		p.forget(now, 1)
		c = &producer{record: store.Caller{ID: id, Used: now, Print: print}, owner: ownerOf(from, subject, id), oneCall: print != ""}
		p.byID[id] = c
		if c.oneCall {
			p.single++
		}
		p.gone = slices.DeleteFunc(p.gone, func(gone string) bool { return gone == id })
	}
	if subject != "" {
		c.record.Subject = subject
	}
	return c
}

// forget drops the producers that are too old, and some if there would be too many with
// more new ones; the next commit removes them from the store. Single calls and producers of
// connections count apart, so that neither take the room of the other. It looks at all of
// them only when there may be something to drop.
//
// A producer whose connection exists stays: its client may still repeat a call (G5).
func (p *producers) forget(now time.Time, more int) {
	most := max(p.single, len(p.byID)-p.single) + more
	if most <= p.next && now.Before(p.checked.Add(p.options.CallerTTL/24)) {
		return
	}
	p.checked = now
	inUse := p.inUse()
	var kinds [2][]*producer
	oldest := now.Add(-p.options.CallerTTL)
	for _, c := range p.byID {
		switch {
		case inUse[c.record.ID]:
		case !c.record.Used.After(oldest):
			p.drop(c)
		case c.oneCall:
			kinds[1] = append(kinds[1], c)
		default:
			kinds[0] = append(kinds[0], c)
		}
	}
	for _, all := range kinds {
		if len(all) > p.options.MaxCallers-more {
			p.dropExcess(all, p.options.MaxCallers-more-p.spare())
		}
	}
	p.next = max(p.options.MaxCallers, max(p.single, len(p.byID)-p.single)+p.spare())
}

// spare is how many more are dropped than have to be, so that this is rare.
func (p *producers) spare() int { return p.options.MaxCallers / 16 }

// dropExcess drops producers until limit are left: the oldest ones of the owners that have
// more than their share.
func (p *producers) dropExcess(all []*producer, limit int) {
	slices.SortFunc(all, func(a, b *producer) int { return a.record.Used.Compare(b.record.Used) })
	owned := map[owner]int{}
	for _, c := range all {
		owned[c.owner]++
	}
	shares := newShares(owned, limit)
	left := len(all)
	for _, c := range all {
		if left <= limit {
			return
		}
		if shares.exceeds(c.owner) {
			shares.take(c.owner, 1)
			left--
			p.drop(c)
		}
	}
}

func (p *producers) drop(c *producer) {
	p.answers.set(c, nil)
	delete(p.byID, c.record.ID)
	if c.oneCall {
		p.single--
	}
	if c.stored {
		p.gone = append(p.gone, c.record.ID)
	}
	if !c.oneCall {
		p.since = max(p.since, c.record.Used.UnixMicro())
	}
}

// saveGone has the commit remove those that were forgotten from the store.
func (p *producers) saveGone(c *store.Commit) {
	if len(p.gone) > 0 {
		c.GoneCallers, c.CallersSince = p.gone, p.since
		p.gone = nil
	}
}

// replies returns the numbers of the entries that are replies to a producer's calls above
// ack. If more of them may be from before the actor was loaded, unknown is true. Retention is
// how long the log is kept.
func (p *producers) replies(id string, ack uint64, retention time.Duration) (seqs []uint64, unknown bool) {
	c := p.byID[id]
	if c == nil || c.record.Highest <= ack || time.Since(c.record.Used) > retention {
		return nil, false
	}
	if c.loaded {
		return nil, true
	}
	for _, r := range c.replies {
		if r.call > ack {
			seqs = append(seqs, r.seq)
		}
	}
	return seqs, false
}

// replied notes an entry of the log that is the reply of a call.
func (c *producer) replied(call, seq uint64) {
	if len(c.replies) == maxAnswers {
		c.replies = slices.Delete(c.replies, 0, 1)
	}
	c.replies = append(c.replies, loggedReply{call, seq})
}

// answer returns the kept answer of a call.
func (c *producer) answer(call uint64) (store.Answer, bool) {
	for _, a := range c.record.Answers {
		if a.Call == call {
			return a, true
		}
	}
	return store.Answer{}, false
}

// executed records that a call has run. Calls of a producer run in their order.
func (c *producer) executed(call uint64, now time.Time) {
	c.record.Highest = max(c.record.Highest, call)
	c.record.Used, c.unsaved = now, true
}

// answerOutput makes the output of an answer for an attachment.
func answerOutput(a store.Answer, to host.Attachment) *host.Output {
	if a.Code != "" {
		e := &host.Fault{Code: a.Code, Message: a.Message}
		if len(a.Metadata) > 0 {
			e.Metadata = a.Metadata
		}
		return &host.Output{Kind: host.OutputFail, To: to, Call: a.Call, Err: e}
	}
	return &host.Output{Kind: host.OutputReply, To: to, Call: a.Call, Data: a.Result}
}

func answerOf(call uint64, result json.RawMessage, err *host.Fault) store.Answer {
	if err != nil {
		return store.Answer{Call: call, Code: err.Code, Message: err.Message, Metadata: err.Metadata}
	}
	return store.Answer{Call: call, Result: result}
}
