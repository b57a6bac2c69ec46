package journal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// TimedEntries returns the entries of a decoded commit with their time.
func (j *Commit) TimedEntries() []store.Entry {
	for i := range j.Entries {
		j.Entries[i].Time = time.UnixMilli(j.Time)
	}
	return j.Entries
}

// EntryPage collects a page of Entries.
type EntryPage struct {
	Entries []store.Entry

	after    uint64
	limit    int
	maxBytes int
	size     int
}

// NewEntryPage returns an empty page. See store.Store.Entries for its arguments.
func NewEntryPage(after uint64, limit, maxBytes int) *EntryPage {
	return &EntryPage{after: after, limit: limit, maxBytes: maxBytes}
}

// Add adds the entries of a commit. It returns false if it has not taken them all: the
// page is full, or there is a gap.
func (p *EntryPage) Add(of []store.Entry) (more bool) {
	for _, e := range of {
		if e.Seq <= p.after {
			continue
		}
		if n := len(p.Entries); n > 0 && e.Seq != p.Entries[n-1].Seq+1 {
			return false // the entries between were trimmed meanwhile
		}
		p.size += len(e.Data)
		if len(p.Entries) == p.limit || len(p.Entries) > 0 && p.size > p.maxBytes {
			return false
		}
		p.Entries = append(p.Entries, e)
	}
	return true
}

// ReplyPage collects a page of Replies, from the newest commit back.
type ReplyPage struct {
	replies  []store.Entry // the newest first
	caller   string
	marker   []byte
	above    uint64
	limit    int
	maxBytes int
	size     int
	full     bool
}

// NewReplyPage returns an empty page. See store.Store.Replies for its arguments.
func NewReplyPage(caller string, above uint64, limit, maxBytes int) *ReplyPage {
	return &ReplyPage{caller: caller, marker: CallerMarker(caller), above: above, limit: limit, maxBytes: maxBytes, full: limit <= 0}
}

// Full reports whether earlier commits would add nothing.
func (p *ReplyPage) Full() bool { return p.full }

// Add adds the replies of an encoded commit. Those without the caller's id are not decoded.
func (p *ReplyPage) Add(text []byte) error {
	if p.full || !bytes.Contains(text, p.marker) {
		return nil
	}
	var j Commit
	if err := json.Unmarshal(text, &j); err != nil {
		return fmt.Errorf("a commit of the journal: %w: %w", ErrDamaged, err)
	}
	for _, e := range slices.Backward(j.TimedEntries()) {
		if e.Caller != p.caller {
			continue
		}
		p.size += len(e.Data)
		// Calls of a caller run in their order: those before it are not above either.
		if e.Call <= p.above || len(p.replies) == p.limit || len(p.replies) > 0 && p.size > p.maxBytes {
			p.full = true
			return nil
		}
		p.replies = append(p.replies, e)
	}
	return nil
}

// Replies returns the page, in the order of the calls.
func (p *ReplyPage) Replies() []store.Entry {
	slices.Reverse(p.replies)
	return p.replies
}
