package storetest

import (
	"bytes"
	"cmp"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// modelMore is the part of a model that most commits do not change.
type modelMore struct {
	version            int
	born, callersSince int64
	tables             map[int]store.Table
	items              map[int]map[string]store.Item
	nextMessage, floor uint64
	messages           map[uint64]store.Message
	senders            map[string]store.Sender
	due                time.Time
	ended              *store.Ended
	tombstone          bool
	served             int // entries up to this one are not served
}

// addMore adds some of that to a commit.
func (m model) addMore(r *rand.Rand, c *store.Commit) {
	if r.IntN(3) > 0 {
		return
	}
	more := modelMore{}
	if a := m[c.Actor]; a != nil {
		more = a.more
	}
	if more.tombstone && r.IntN(2) == 0 {
		c.Key = nil
	}
	switch r.IntN(6) {
	case 0:
		c.Version, c.Born, c.CallersSince = more.version+1, int64(c.Rev)*1000, int64(c.Rev)*1001
	case 1:
		c.NextMessage, c.Floor = more.nextMessage+3, more.floor+2
		c.Messages = []store.Message{message(c.NextMessage)}
		if r.IntN(2) == 0 {
			c.Messages[0].To, c.Messages[0].Parked = "", "it failed"
		}
		c.Senders = []store.Sender{{ID: fmt.Sprint("sender", r.IntN(4)), Born: 1, Highest: c.Rev, Refused: make([]store.Answer, r.IntN(2))}}
		for id := range more.messages {
			if r.IntN(3) == 0 {
				c.GoneMessages = append(c.GoneMessages, id)
			}
		}
		slices.Sort(c.GoneMessages)
		c.GoneSenders = []string{fmt.Sprint("sender", r.IntN(4))}
	case 2:
		if c.Due = store.NoDue; r.IntN(3) > 0 {
			c.Due = start.Add(time.Duration(r.IntN(20)) * time.Minute).UTC()
		}
	case 3:
		if c.Rev > 1 && r.IntN(8) == 0 {
			c.End, c.Base, c.State, c.Edits = store.Destroyed, nil, nil, nil
			if r.IntN(2) == 0 {
				c.Key = nil
			}
		}
	default:
		table := 1 + r.IntN(3)
		if t := more.tables[table]; t.ID != 0 && t.Field == "" {
			return // an ID is not used again
		}
		if r.IntN(20) == 0 && table == 3 {
			c.Tables = []store.Table{{ID: table}}
			return
		}
		c.Tables = []store.Table{{ID: table, Field: fmt.Sprint("field", table), Len: int64(c.Rev), Bytes: 10, Keys: "s"}}
		for range r.IntN([]int{4, 300}[r.IntN(10)/9]) {
			e := store.ItemEdit{Table: table, Key: key(r.IntN(200)), Version: r.IntN(2)}
			if r.IntN(3) > 0 {
				e.Value = fmt.Appendf(nil, `{"rev":%d,"text":"%s"}`, c.Rev, strings.Repeat("<x>", r.IntN(30)))
			}
			c.Items = append(c.Items, e)
		}
	}
}

func (a *modelActor) destroy(c *store.Commit) {
	a.last.State = nil
	clear(a.conns)
	for id, caller := range a.callers {
		caller.Answers = nil
		a.callers[id] = caller
	}
	m := &a.more
	m.tables, m.items, m.due = nil, nil, time.Time{}
	maps.DeleteFunc(m.messages, func(_ uint64, m store.Message) bool { return m.To == "" || m.Parked != "" })
	m.ended = &store.Ended{At: c.Time.UTC(), Order: cmp.Or(c.NextMessage, m.nextMessage), Log: c.Log}
	m.tombstone = true
}

func (a *modelActor) applyMore(c *store.Commit) {
	m := &a.more
	m.version = cmp.Or(c.Version, m.version)
	m.born, m.callersSince = cmp.Or(c.Born, m.born), cmp.Or(c.CallersSince, m.callersSince)
	m.nextMessage, m.floor = cmp.Or(c.NextMessage, m.nextMessage), cmp.Or(c.Floor, m.floor)
	if c.State != nil {
		m.tombstone = false
	}
	if m.messages == nil {
		m.messages, m.senders = map[uint64]store.Message{}, map[string]store.Sender{}
	}
	if m.tables == nil {
		m.tables, m.items = map[int]store.Table{}, map[int]map[string]store.Item{}
	}
	for _, t := range c.Tables {
		m.tables[t.ID] = t
		if t.Field == "" {
			delete(m.items, t.ID)
		}
	}
	for _, e := range c.Items {
		if m.items[e.Table] == nil {
			m.items[e.Table] = map[string]store.Item{}
		}
		m.items[e.Table][string(e.Key)] = store.Item{Key: e.Key, Value: e.Value, Version: e.Version}
		if e.Value == nil {
			delete(m.items[e.Table], string(e.Key))
		}
	}
	for _, msg := range c.Messages {
		m.messages[msg.ID] = msg
	}
	for _, id := range c.GoneMessages {
		delete(m.messages, id)
	}
	for _, s := range c.Senders {
		m.senders[s.ID] = s
	}
	for _, id := range c.GoneSenders {
		delete(m.senders, id)
	}
	if c.Due.Equal(store.NoDue) {
		m.due = time.Time{}
	} else if !c.Due.IsZero() {
		m.due = c.Due
	}
	if c.End == store.Destroyed {
		m.served = len(a.entries)
	}
}

func (m *modelMore) addTo(s *store.Snapshot) {
	s.Version, s.Born, s.CallersSince, s.NextMessage, s.Floor = m.version, m.born, m.callersSince, m.nextMessage, m.floor
	s.Due, s.Ended, s.Tombstone = m.due, m.ended, m.tombstone
	for _, id := range slices.Sorted(maps.Keys(m.tables)) {
		s.Tables = append(s.Tables, m.tables[id])
	}
	for _, id := range slices.Sorted(maps.Keys(m.messages)) {
		s.Messages = append(s.Messages, m.messages[id])
	}
	for _, id := range slices.Sorted(maps.Keys(m.senders)) {
		s.Senders = append(s.Senders, m.senders[id])
	}
}

// items compares a random range of a table.
func (m model) items(t *testing.T, r *rand.Rand, s store.Store, actor string) {
	q := store.ItemRange{Table: 1 + r.IntN(3), Backward: r.IntN(2) == 0, Limit: 1 + r.IntN(40), MaxBytes: []int{100, 1000, 1 << 20}[r.IntN(3)]}
	if r.IntN(3) > 0 {
		q.From = key(r.IntN(200))
	}
	if r.IntN(3) > 0 {
		q.To = key(r.IntN(200))
	}
	var want store.ItemPage
	if a := m[actor]; a != nil {
		want.Rev = a.last.Rev
		items := a.more.items[q.Table]
		keys := slices.Sorted(maps.Keys(items))
		if q.Backward {
			slices.Reverse(keys)
		}
		size := 0
		for _, k := range keys {
			if q.From != nil && bytes.Compare([]byte(k), q.From) < 0 || q.To != nil && bytes.Compare([]byte(k), q.To) >= 0 {
				continue
			}
			size += len(k) + len(items[k].Value)
			if n := len(want.Items); n == q.Limit || n > 0 && size > q.MaxBytes {
				want.More = true
				break
			}
			want.Items = append(want.Items, items[k])
		}
	}
	equal(t, fmt.Sprintf("items of %s in %+v", actor, q), page(t, s, actor, q), want)
}

// due compares all pages of Due before a time.
func (m model) due(t *testing.T, r *rand.Rand, s store.Store) {
	before := start.Add(time.Duration(r.IntN(25)) * time.Minute)
	var want []string
	for actor, a := range m {
		if !a.more.due.IsZero() && a.more.due.Before(before) {
			want = append(want, fmt.Sprint(a.more.due.UnixMilli(), actor))
		}
	}
	slices.Sort(want)
	equal(t, "due actors", dueBefore(t, s, before, 1+r.IntN(3)), want)
}

// list compares all pages of List.
func (m model) list(t *testing.T, r *rand.Rand, s store.Store) {
	q := store.ListQuery{Limit: 1 + r.IntN(4)}
	if r.IntN(2) == 0 {
		q.Name = "room"
	}
	var want []store.ActorInfo
	for _, actor := range slices.Sorted(maps.Keys(m)) {
		a := m[actor]
		info := store.ActorInfo{
			Actor: actor, Name: "room", Key: a.last.Key, Rev: a.last.Rev, Bytes: int64(len(a.last.State)), Conns: len(a.conns),
			Due: a.more.due, Changed: a.last.Time.UTC(), Destroyed: a.more.tombstone,
		}
		for _, t := range a.more.tables {
			info.Bytes += t.Bytes
		}
		for _, m := range a.more.messages {
			if m.Parked != "" {
				info.Parked++
			}
		}
		want = append(want, info)
	}
	equal(t, "listed actors", listed(t, s, q), want)
}
