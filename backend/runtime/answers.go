package runtime

import (
	"slices"
	"sync/atomic"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// answers bounds the answers that are kept with the producers of an instance. Without an
// answer, a call that is repeated does not run again either: its client learns that it ran.
type answers struct {
	all   *atomic.Int64 // bytes of the answers of all actors of the node
	bytes int           // of those of this actor
	of    []*producer   // those that have answers, and some that had; the oldest first
	with  int           // how many of them have
	old   int           // single calls before of[old] keep small answers only
	stale []*producer   // whose records the next commits have to write again
}

// list counts the answers of a producer that is loaded.
func (a *answers) list(c *producer) {
	before := c.record.Answers
	c.record.Answers = nil
	a.set(c, before)
	c.stale = false
}

// set replaces the answers of a producer.
func (a *answers) set(c *producer, kept []store.Answer) {
	change := answersSize(kept) - answersSize(c.record.Answers)
	a.bytes += change
	a.all.Add(int64(change))
	if len(kept) < len(c.record.Answers) && c.stored && !c.stale {
		c.stale = true
		a.stale = append(a.stale, c)
	}
	a.with += min(1, len(kept)) - min(1, len(c.record.Answers))
	c.record.Answers = kept
	if len(kept) > 0 && !c.listed {
		c.listed = true
		a.of = append(a.of, c)
	}
}

// keep keeps an answer that is not an entry of the log. Beyond the limits of its producer
// it drops that one's oldest answers; it does not keep one that alone is too large. Beyond
// those of the actor and the node it drops the oldest ones of the producer that has most.
func (a *answers) keep(c *producer, answer store.Answer, now time.Time) {
	a.expire(now)
	if answerSize(answer) > maxAnswerBytes {
		return
	}
	kept := append(slices.Clone(c.record.Answers), answer) // a commit may hold the old slice
	bytes := 0
	for i := len(kept) - 1; i >= 0; i-- {
		bytes += answerSize(kept[i])
		if bytes > maxAnswerBytes || len(kept)-i > maxAnswers {
			kept = kept[i+1:]
			break
		}
	}
	a.set(c, kept)
	if limit := a.limit(); a.bytes > limit {
		a.dropExcess(limit - limit/16) // some more, so that this is rare
	}
}

// limit is how many bytes the actor may keep: less if the node has reached its own limit,
// but not nothing, because others have filled that.
func (a *answers) limit() int {
	if a.all.Load() > maxAllAnswerBytes {
		return maxActorAnswerBytes / 16
	}
	return maxActorAnswerBytes
}

// expire drops the answers of single calls that are too old to be repeated, unless they are
// small.
func (a *answers) expire(now time.Time) {
	for ; a.old < len(a.of); a.old++ {
		c := a.of[a.old]
		if c.oneCall && now.Sub(c.record.Used) < singleAnswerTTL {
			break
		}
		if c.oneCall && answersSize(c.record.Answers) > smallAnswer {
			a.set(c, nil)
		}
	}
	if len(a.of) > 2*a.with+64 {
		a.compact()
	}
}

// compact forgets the producers that have no answers any more.
func (a *answers) compact() {
	n := 0
	for i, c := range a.of {
		if c.listed = len(c.record.Answers) > 0; c.listed {
			a.of[n] = c
			n++
		}
		if i+1 == a.old {
			a.old = n
		}
	}
	clear(a.of[n:])
	a.of = a.of[:n]
	a.old = min(a.old, n)
}

// dropExcess drops answers until limit bytes are left: the oldest ones of the owners that
// have more than their share.
func (a *answers) dropExcess(limit int) {
	owned := map[owner]int{}
	for _, c := range a.of {
		owned[c.owner] += answersSize(c.record.Answers)
	}
	shares := newShares(owned, limit)
	for _, c := range a.of {
		kept := c.record.Answers
		for len(kept) > 0 && shares.exceeds(c.owner) && a.bytes-answersSize(c.record.Answers)+answersSize(kept) > limit {
			shares.take(c.owner, answerSize(kept[0]))
			kept = kept[1:]
		}
		if len(kept) < len(c.record.Answers) {
			a.set(c, slices.Clone(kept))
		}
	}
	a.compact()
}

// acknowledge drops the kept answers of a producer's calls up to an id.
func (a *answers) acknowledge(c *producer, upTo uint64) {
	c.replies = slices.DeleteFunc(c.replies, func(r loggedReply) bool { return r.call <= upTo })
	if len(c.record.Answers) == 0 || c.record.Answers[0].Call > upTo {
		return
	}
	a.set(c, slices.DeleteFunc(slices.Clone(c.record.Answers), func(a store.Answer) bool { return a.Call <= upTo }))
}

// takeStale appends the records of some producers that the store has with answers which
// were dropped.
func (a *answers) takeStale(records []store.Caller, byID map[string]*producer) []store.Caller {
	const atOnce = 64
	n := min(atOnce, len(a.stale))
	for _, c := range a.stale[:n] {
		if c.stale && byID[c.record.ID] == c {
			records = append(records, c.record)
			c.unsaved = false
		}
		c.stale = false
	}
	a.stale = slices.Delete(a.stale, 0, n)
	return records
}

// discard gives back what the answers count for on the node.
func (a *answers) discard() {
	a.all.Add(-int64(a.bytes))
	a.bytes = 0
}

func answersSize(kept []store.Answer) (bytes int) {
	for i := range kept {
		bytes += answerSize(kept[i])
	}
	return bytes
}

func answerSize(a store.Answer) int { return len(a.Result) + len(a.Message) + len(a.Metadata) }
