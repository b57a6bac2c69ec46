package runtime

import (
	"encoding/json"
	"slices"
	"sort"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
)

// producer is a client that numbers calls: what makes a repeated call harmless (G5).
// It outlives connections. Its record goes into the commit of its call's turn, so
// that the effect of a call and the memory of it are one.
type producer struct {
	record store.Caller
	stored bool // a commit has it
}

// producerOf returns the record of a producer, a new one if it is unknown. Others
// may be forgotten for it: most producers' calls change nothing, so that no commit
// would do that.
func (in *instance) producerOf(id string, now time.Time) *producer {
	c := in.producers[id]
	if c == nil {
		in.forgetProducers(now, 1)
		c = &producer{record: store.Caller{ID: id, Used: now}}
		in.producers[id] = c
		in.goneProducers = slices.DeleteFunc(in.goneProducers, func(gone string) bool { return gone == id })
	}
	return c
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

// keep remembers an answer that is not an entry of the log. The oldest give
// way to it beyond the limits; one that is too large alone is not kept.
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

// acknowledge forgets the kept answers of calls up to an id.
func (c *producer) acknowledge(upTo uint64) {
	if len(c.record.Answers) == 0 || c.record.Answers[0].Call > upTo {
		return
	}
	c.record.Answers = slices.DeleteFunc(slices.Clone(c.record.Answers), func(a store.Answer) bool { return a.Call <= upTo })
}

// executed notes that a call has run. Calls of a producer run in their order.
func (c *producer) executed(call uint64, now time.Time) {
	c.record.Highest = max(c.record.Highest, call)
	c.record.Used = now
}

// answerOutput is an answer as it goes to an attachment.
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

// forgetProducers drops the producers that are too old, and the oldest if they are too
// many for so many more; the next commit has the store forget them. It looks at
// all of them only when there may be something to drop.
func (in *instance) forgetProducers(now time.Time, more int) {
	limit := in.def.Options.MaxCallers - more
	if len(in.producers) <= limit && now.Before(in.producersChecked.Add(in.def.Options.CallerTTL/24)) {
		return
	}
	in.producersChecked = now
	byAge := make([]*producer, 0, len(in.producers))
	for _, c := range in.producers {
		byAge = append(byAge, c)
	}
	sort.Slice(byAge, func(i, j int) bool { return byAge[i].record.Used.Before(byAge[j].record.Used) })
	excess := 0
	if len(byAge) > limit {
		excess = len(byAge) - limit + limit/16 // some more, so that this is rare
	}
	oldest := now.Add(-in.def.Options.CallerTTL)
	for i, c := range byAge {
		if i >= excess && c.record.Used.After(oldest) {
			break
		}
		delete(in.producers, c.record.ID)
		if c.stored {
			in.goneProducers = append(in.goneProducers, c.record.ID)
		}
	}
}
