package runtime

import (
	"encoding/json"
	"slices"
	"sort"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/internal/definition"
	"github.com/troupe-dev/troupe/backend/store"
)

// producer is a client that numbers its calls, so that a repeated call does not run again
// (G5). It outlives connections. Its record is part of the commit of its call's turn, so
// a call's effect and its record are durable together.
type producer struct {
	record store.Caller
	stored bool // a commit has it
}

// producers are the producers of an instance.
type producers struct {
	options *definition.Options
	byID    map[string]*producer
	checked time.Time // when forget last looked at all of them
	gone    []string  // stored ones that were forgotten since the last commit
}

// newProducers returns those that are stored.
func newProducers(o *definition.Options, stored []store.Caller) producers {
	p := producers{options: o, byID: make(map[string]*producer, len(stored))}
	for _, r := range stored {
		p.byID[r.ID] = &producer{record: r, stored: true}
	}
	return p
}

// get returns a producer, a new one if it is unknown. Others may be forgotten for it:
// most producers' calls change nothing, so no commit would do that.
func (p *producers) get(id string, now time.Time) *producer {
	c := p.byID[id]
	if c == nil {
		p.forget(now, 1)
		c = &producer{record: store.Caller{ID: id, Used: now}}
		p.byID[id] = c
		p.gone = slices.DeleteFunc(p.gone, func(gone string) bool { return gone == id })
	}
	return c
}

// forget drops the producers that are too old, and the oldest ones if there would be
// too many with more new ones; the next commit removes them from the store. It looks at
// all of them only when there may be something to drop.
func (p *producers) forget(now time.Time, more int) {
	limit := p.options.MaxCallers - more
	if len(p.byID) <= limit && now.Before(p.checked.Add(p.options.CallerTTL/24)) {
		return
	}
	p.checked = now
	byAge := make([]*producer, 0, len(p.byID))
	for _, c := range p.byID {
		byAge = append(byAge, c)
	}
	sort.Slice(byAge, func(i, j int) bool { return byAge[i].record.Used.Before(byAge[j].record.Used) })
	excess := 0
	if len(byAge) > limit {
		excess = len(byAge) - limit + limit/16 // some more, so that this is rare
	}
	oldest := now.Add(-p.options.CallerTTL)
	for i, c := range byAge {
		if i >= excess && c.record.Used.After(oldest) {
			break
		}
		delete(p.byID, c.record.ID)
		if c.stored {
			p.gone = append(p.gone, c.record.ID)
		}
	}
}

// takeGone returns those that the next commit has to remove from the store.
func (p *producers) takeGone() []string {
	gone := p.gone
	p.gone = nil
	return gone
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

// keep keeps an answer that is not an entry of the log. Beyond the limits it drops the
// oldest answers; it does not keep one that alone is too large.
func (c *producer) keep(a store.Answer) {
	if answerSize(a) > maxAnswerBytes {
		return
	}
	answers := append(slices.Clone(c.record.Answers), a) // a commit may hold the old slice
	bytes := 0
	for i := len(answers) - 1; i >= 0; i-- {
		bytes += answerSize(answers[i])
		if bytes > maxAnswerBytes || len(answers)-i > maxAnswers {
			answers = answers[i+1:]
			break
		}
	}
	c.record.Answers = answers
}

func answerSize(a store.Answer) int { return len(a.Result) + len(a.Message) + len(a.Metadata) }

// acknowledge drops the kept answers of calls up to an id.
func (c *producer) acknowledge(upTo uint64) {
	if len(c.record.Answers) == 0 || c.record.Answers[0].Call > upTo {
		return
	}
	c.record.Answers = slices.DeleteFunc(slices.Clone(c.record.Answers), func(a store.Answer) bool { return a.Call <= upTo })
}

// executed records that a call has run. Calls of a producer run in their order.
func (c *producer) executed(call uint64, now time.Time) {
	c.record.Highest = max(c.record.Highest, call)
	c.record.Used = now
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
