package runtime

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/troupe-dev/troupe/backend/internal/jsonshape"
	"github.com/troupe-dev/troupe/backend/store"
)

// storedEntries reads entries from the store, see store.Store.Entries. One whose data is
// not JSON would make every client that replays it close its socket: it is left out with
// those before it, which readers take for entries that are no longer retained.
func (a *Actor) storedEntries(ctx context.Context, after uint64, limit, maxBytes int) ([]store.Entry, error) {
	for {
		entries, err := a.node.store.Entries(ctx, a.id, after, limit, maxBytes)
		if err != nil {
			return nil, err
		}
		good := 0 // entries[good:] can be replayed
		for i := range entries {
			e := &entries[i]
			if len(e.Data) > 0 && !json.Valid(e.Data) {
				a.logger().Error("a stored log entry is not JSON and is left out", "seq", e.Seq, "event", e.Event)
				good, after = i+1, e.Seq
			}
			e.Data = a.validUTF8(e.Data)
		}
		if good == 0 || good < len(entries) {
			return entries[good:], nil
		}
	}
}

// storedReplies reads replies from the store, see store.Store.Replies. One whose result is
// not JSON is left out.
func (a *Actor) storedReplies(ctx context.Context, producer string, above uint64, limit, maxBytes int) ([]store.Entry, error) {
	entries, err := a.node.store.Replies(ctx, a.id, producer, above, limit, maxBytes)
	if err != nil {
		return nil, err
	}
	for i := range entries {
		entries[i].Data = a.validUTF8(entries[i].Data)
	}
	return slices.DeleteFunc(entries, func(e store.Entry) bool {
		bad := len(e.Data) > 0 && !json.Valid(e.Data)
		if bad {
			a.logger().Error("a stored reply is not JSON and is left out", "seq", e.Seq, "producer", producer, "call", e.Call)
		}
		return bad
	}), nil
}

// storedAnswer returns the kept answer of a call, and reports whether there is one that can
// be sent.
func (a *Actor) storedAnswer(p *producer, call uint64) (store.Answer, bool) {
	answer, ok := p.answer(call)
	if !ok {
		return answer, false
	}
	for _, raw := range []*json.RawMessage{&answer.Result, &answer.Metadata} {
		if len(*raw) > 0 && !json.Valid(*raw) {
			a.logger().Error("a stored answer is not JSON and is left out", "producer", p.record.ID, "call", call)
			return answer, false
		}
		*raw = a.validUTF8(*raw)
	}
	return answer, true
}

// validUTF8 is jsonshape.ValidUTF8 with a line in the log, once for the actor.
func (a *Actor) validUTF8(raw []byte) []byte {
	valid := jsonshape.ValidUTF8(raw)
	if len(valid) > 0 && &valid[0] != &raw[0] {
		a.invalidUTF8.Do(func() {
			a.logger().Warn("stored bytes that are not UTF-8 were replaced by U+FFFD")
		})
	}
	return valid
}
