package journal

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// More is what commits and snapshots store only if it is there: a commit without any of
// it is encoded as in format 3.
type More struct {
	Version      int             `json:"version,omitempty"`
	Born         int64           `json:"born,omitempty"`
	CallersSince int64           `json:"since,omitempty"`
	NextMessage  uint64          `json:"next,omitempty"`
	Floor        uint64          `json:"floor,omitempty"`
	Tables       []store.Table   `json:"tables,omitempty"`
	Messages     []store.Message `json:"messages,omitempty"`
	Senders      []store.Sender  `json:"senders,omitempty"`
}

// item is an edit of an item.
type item struct {
	Table   int             `json:"t"`
	Key     []byte          `json:"k"`
	Version int             `json:"v"`
	Value   json.RawMessage `json:"d"` // nil: deleted
}

func (j *Commit) decodeMore(c *store.Commit) {
	c.Version, c.Born, c.CallersSince, c.NextMessage, c.Floor = j.Version, j.Born, j.CallersSince, j.NextMessage, j.Floor
	c.Tables, c.Messages, c.Senders = j.Tables, j.Messages, j.Senders
	c.GoneMessages, c.GoneSenders, c.End = j.GoneMessages, j.GoneSenders, j.End
	if j.Due != nil {
		c.Due = time.UnixMilli(*j.Due).UTC()
	}
	for _, e := range j.Items {
		c.Items = append(c.Items, store.ItemEdit{Table: e.Table, Key: e.Key, Value: e.Value, Version: e.Version})
	}
}

// appendMore encodes the fields of a commit that it has only sometimes.
func appendMore(b []byte, c *store.Commit) []byte {
	b = AppendMore(b, &More{c.Version, c.Born, c.CallersSince, c.NextMessage, c.Floor, c.Tables, c.Messages, c.Senders})
	for i := range c.Items {
		b = AppendItem(append(b, Separator(i, `,"items":[`)...), &c.Items[i])
	}
	b = closeList(b, len(c.Items))
	for i, id := range c.GoneMessages {
		b = strconv.AppendUint(append(b, Separator(i, `,"goneMessages":[`)...), id, 10)
	}
	b = closeList(b, len(c.GoneMessages))
	for i, id := range c.GoneSenders {
		b = AppendString(append(b, Separator(i, `,"goneSenders":[`)...), id)
	}
	b = closeList(b, len(c.GoneSenders))
	if !c.Due.IsZero() {
		b = strconv.AppendInt(append(b, `,"due":`...), max(c.Due.UnixMilli(), 0), 10)
	}
	if c.End != store.Alive {
		b = strconv.AppendUint(append(b, `,"end":`...), uint64(c.End), 10)
		b = AppendString(append(b, `,"log":`...), c.Log)
	}
	return b
}

// AppendMore encodes the fields that are not zero, each with a comma before it.
func AppendMore(b []byte, m *More) []byte {
	b = appendNumber(b, `,"version":`, uint64(m.Version))
	b = appendNumber(b, `,"born":`, uint64(m.Born))
	b = appendNumber(b, `,"since":`, uint64(m.CallersSince))
	b = appendNumber(b, `,"next":`, m.NextMessage)
	b = appendNumber(b, `,"floor":`, m.Floor)
	for i := range m.Tables {
		b = appendTable(append(b, Separator(i, `,"tables":[`)...), &m.Tables[i])
	}
	b = closeList(b, len(m.Tables))
	for i := range m.Messages {
		b = appendMessage(append(b, Separator(i, `,"messages":[`)...), &m.Messages[i])
	}
	b = closeList(b, len(m.Messages))
	for i := range m.Senders {
		b = appendSender(append(b, Separator(i, `,"senders":[`)...), &m.Senders[i])
	}
	return closeList(b, len(m.Senders))
}

// appendNumber encodes a number that is not 0.
func appendNumber(b []byte, label string, n uint64) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendUint(append(b, label...), n, 10)
}

// appendText encodes a text that is not empty.
func appendText(b []byte, label, text string) []byte {
	if text == "" {
		return b
	}
	return AppendString(append(b, label...), text)
}

// appendTime encodes a time that is not zero.
func appendTime(b []byte, label string, at time.Time) []byte {
	if at.IsZero() {
		return b
	}
	return append(at.UTC().AppendFormat(append(append(b, label...), '"'), time.RFC3339Nano), '"')
}

func appendTable(b []byte, t *store.Table) []byte {
	b = strconv.AppendInt(append(b, `{"i":`...), int64(t.ID), 10)
	b = appendText(b, `,"f":`, t.Field)
	b = appendNumber(b, `,"n":`, uint64(t.Len))
	b = appendNumber(b, `,"b":`, uint64(t.Bytes))
	b = appendNumber(b, `,"k":`, t.Next)
	return append(appendText(b, `,"y":`, t.Keys), '}')
}

// AppendItem encodes an edit of an item.
func AppendItem(b []byte, e *store.ItemEdit) []byte {
	b = strconv.AppendInt(append(b, `{"t":`...), int64(e.Table), 10)
	b = base64.StdEncoding.AppendEncode(append(b, `,"k":"`...), e.Key)
	b = appendNumber(append(b, '"'), `,"v":`, uint64(e.Version))
	if e.Value != nil {
		b = append(append(b, `,"d":`...), e.Value...)
	}
	return append(b, '}')
}

func appendMessage(b []byte, m *store.Message) []byte {
	b = strconv.AppendUint(append(b, `{"i":`...), m.ID, 10)
	b = strconv.AppendUint(append(b, `,"o":`...), m.Order, 10)
	b = appendText(b, `,"to":`, m.To)
	b = appendText(b, `,"n":`, m.Name)
	for i, k := range m.Key {
		b = AppendString(append(b, Separator(i, `,"k":[`)...), k)
	}
	b = closeList(b, len(m.Key))
	b = AppendString(append(b, `,"t":`...), m.Type)
	b = appendNumber(b, `,"v":`, uint64(m.Version))
	if m.Data != nil {
		b = append(append(b, `,"d":`...), m.Data...)
	}
	b = appendTime(b, `,"at":`, m.Due)
	b = appendText(b, `,"l":`, m.Label)
	b = appendText(b, `,"s":`, m.Spec)
	if m.Work {
		b = append(b, `,"w":true`...)
	}
	b = appendNumber(b, `,"c":`, uint64(m.Tries))
	b = appendNumber(b, `,"x":`, uint64(m.Fatal))
	b = appendTime(b, `,"r":`, m.Retry)
	return append(appendText(b, `,"err":`, m.Parked), '}')
}

func appendSender(b []byte, s *store.Sender) []byte {
	b = AppendString(append(b, `{"id":`...), s.ID)
	b = strconv.AppendInt(append(b, `,"b":`...), s.Born, 10)
	b = strconv.AppendUint(append(b, `,"h":`...), s.Highest, 10)
	for i := range s.Refused {
		b = appendAnswer(append(b, Separator(i, `,"a":[`)...), &s.Refused[i])
	}
	return append(closeList(b, len(s.Refused)), '}')
}

// Rest is what a snapshot has besides the columns of format 3.
type Rest struct {
	More
	Ended      *store.Ended `json:"ended,omitempty"`
	Tombstone  bool         `json:"tombstone,omitempty"`
	Forgotten  bool         `json:"forgotten,omitempty"`
	Gen        int64        `json:"gen,omitempty"`        // of the pieces that the state is in
	Pieces     int          `json:"pieces,omitempty"`     // their number
	Owner      int64        `json:"owner,omitempty"`      // of the pieces and callers, if they have rows
	CallerRows bool         `json:"callerRows,omitempty"` // callers have rows of their own
}

// Encode returns the Rest as JSON, nil if it is empty.
func (r *Rest) Encode() []byte {
	b := AppendMore(nil, &r.More)
	if r.Ended != nil {
		b = r.Ended.At.UTC().AppendFormat(append(b, `,"ended":{"t":"`...), time.RFC3339Nano)
		b = strconv.AppendUint(append(b, `","o":`...), r.Ended.Order, 10)
		b = append(AppendString(append(b, `,"l":`...), r.Ended.Log), '}')
	}
	if r.Tombstone {
		b = append(b, `,"tombstone":true`...)
	}
	if r.Forgotten {
		b = append(b, `,"forgotten":true`...)
	}
	b = appendNumber(b, `,"gen":`, uint64(r.Gen))
	b = appendNumber(b, `,"pieces":`, uint64(r.Pieces))
	b = appendNumber(b, `,"owner":`, uint64(r.Owner))
	if r.CallerRows {
		b = append(b, `,"callerRows":true`...)
	}
	if len(b) == 0 {
		return nil
	}
	b[0] = '{'
	return append(b, '}')
}

// DecodeRest decodes what Encode returned.
func DecodeRest(b []byte) (Rest, error) {
	var r Rest
	if len(b) == 0 {
		return r, nil
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return r, fmt.Errorf("the rest of the snapshot: %w: %w", ErrDamaged, err)
	}
	return r, nil
}
