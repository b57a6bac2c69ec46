package inspect

import (
	"context"
	"encoding/json"
	"net/http"
	"strconv"
	"time"

	"github.com/go-chi/chi/v5"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/wire"
)

// Limits of what is read at a time.
const (
	patience = 5 * time.Second // for an actor's turn, and for what an operator does

	pageRows    = 50 // unless the request says how many
	maxRows     = 200
	storePage   = 256
	storePages  = 16 // read for one page of rows that are filtered
	maxData     = 4 << 10
	liveState   = 256 << 10 // bytes of a state that is shown live
	wholeState  = 64 << 20
	itemsBytes  = 1 << 20
	storedAfter = 15 * time.Second // how often stored actors are counted while a page is open
)

// intArg reads a number from a query.
func intArg(r *http.Request, name string, standard, least, most int) int {
	n, err := strconv.Atoi(r.URL.Query().Get(name))
	if err != nil {
		n = standard
	}
	return min(max(n, least), most)
}

func (i *Inspector) getOverview(w http.ResponseWriter, r *http.Request) {
	stored, err := i.node.Stored(r.Context())
	if err != nil {
		i.fail(w, err)
		return
	}
	all, _ := i.samples.all()
	writeJSON(w, overview{Version: i.o.Version, Write: i.o.Write, PeriodMs: samplePeriod.Milliseconds(), Samples: all, Stored: stored})
}

type overview struct {
	Version  string         `json:"version"`
	Write    bool           `json:"write"` // things can be changed
	PeriodMs int64          `json:"periodMs"`
	Samples  []sample       `json:"samples"`
	Stored   map[string]int `json:"stored"` // actors, by definition
}

// row is an actor in a list.
type row struct {
	ID    string   `json:"id"`
	Name  string   `json:"name"`
	Key   []string `json:"key"`
	Awake bool     `json:"awake"`
	Conns int      `json:"conns"`
	Bytes int64    `json:"bytes"` // in memory of its state and log; in the store of its state and tables

	// In memory.
	Waiting int   `json:"waiting"`          // envelopes in its mailbox
	UsedMs  int64 `json:"usedMs,omitempty"` // its last turn

	// In the store.
	Rev       uint64 `json:"rev,omitempty"`
	Parked    int    `json:"parked"` // messages
	DueMs     int64  `json:"dueMs,omitempty"`
	ChangedMs int64  `json:"changedMs,omitempty"`
	Destroyed bool   `json:"destroyed"`
}

type rows struct {
	Actors []row  `json:"actors"`
	Total  int    `json:"total"`          // that the filter selects; -1 if that is not known
	Next   string `json:"next,omitempty"` // for the next page, as after
}

func (i *Inspector) getActors(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	var prefix []string
	if text := q.Get("prefix"); text != "" {
		if err := json.Unmarshal([]byte(text), &prefix); err != nil {
			writeError(w, http.StatusBadRequest, wire.CodeBadKey, `prefix: want a JSON array of strings, such as ["team-7"]`)
			return
		}
	}
	limit := intArg(r, "limit", pageRows, 1, maxRows)
	if q.Get("from") != "store" {
		i.getAwake(w, r, prefix, limit)
		return
	}
	query := store.ListQuery{Name: q.Get("name"), Prefix: prefix, After: q.Get("after")}
	if len(prefix) > 0 { // its last component may be the start of one
		query.Prefix = prefix[:len(prefix)-1]
	}
	found := rows{Actors: []row{}, Total: -1}
	for range storePages {
		page, err := listUpTo(r.Context(), i.node, query, prefix, limit-len(found.Actors))
		if err != nil {
			i.fail(w, err)
			return
		}
		for _, a := range page.Actors {
			if runtime.HasPrefix(a.Key, prefix) {
				found.Actors = append(found.Actors, row{
					ID: a.Actor, Name: a.Name, Key: orEmpty(a.Key), Awake: i.node.IsAwake(a.Actor), Conns: a.Conns, Bytes: a.Bytes,
					Rev: a.Rev, Parked: a.Parked, DueMs: millis(a.Due), ChangedMs: millis(a.Changed), Destroyed: a.Destroyed,
				})
			}
		}
		found.Next = page.Next
		if query.After = page.Next; page.Next == "" || len(found.Actors) >= limit {
			break
		}
	}
	writeJSON(w, found)
}

// listUpTo reads a page of stored actors that ends with the one that is number limit of those
// with the prefix, or before.
func listUpTo(ctx context.Context, node *runtime.Inspector, q store.ListQuery, prefix []string, limit int) (store.ListPage, error) {
	if q.Limit = limit; len(prefix) > 0 {
		q.Limit = storePage // few of them may have the prefix
	}
	page, err := node.List(ctx, q)
	if err != nil {
		return page, err
	}
	matches := 0
	for n, a := range page.Actors {
		if !runtime.HasPrefix(a.Key, prefix) {
			continue
		}
		if matches++; matches == limit && n+1 < len(page.Actors) {
			q.Limit = n + 1 // again, for the position there: only the store can name it
			return node.List(ctx, q)
		}
	}
	return page, nil
}

func (i *Inspector) getAwake(w http.ResponseWriter, r *http.Request, prefix []string, limit int) {
	q := runtime.AwakeQuery{
		Name: r.URL.Query().Get("name"), Prefix: prefix, By: runtime.AwakeSort(r.URL.Query().Get("sort")),
		Offset: intArg(r, "after", 0, 0, 1<<30), Limit: limit,
	}
	page, total := i.node.Awake(q)
	found := rows{Actors: []row{}, Total: total}
	for _, a := range page {
		found.Actors = append(found.Actors, row{
			ID: a.Ref.ID, Name: a.Ref.Name, Key: orEmpty(a.Ref.Key), Awake: true, Conns: a.Conns, Bytes: a.Bytes, Waiting: a.Waiting, UsedMs: millis(a.Used),
		})
	}
	if next := q.Offset + len(page); next < total {
		found.Next = strconv.Itoa(next)
	}
	writeJSON(w, found)
}

func orEmpty(key []string) []string {
	if key == nil {
		return []string{}
	}
	return key
}

func millis(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMilli()
}

// findActor finds an actor by its name and key.
func (i *Inspector) findActor(w http.ResponseWriter, r *http.Request) {
	key, err := host.ParseKey(json.RawMessage(r.URL.Query().Get("key")))
	if err != nil {
		i.fail(w, err)
		return
	}
	id, err := i.node.Find(r.URL.Query().Get("name"), key)
	if err != nil {
		i.fail(w, err)
		return
	}
	writeJSON(w, map[string]string{"id": id})
}

func (i *Inspector) getActor(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	q := runtime.LookQuery{
		MaxState: liveState, Params: r.URL.Query().Get("params") == "1",
		After: uint32(intArg(r, "after", 0, 0, 1<<31)), Conns: intArg(r, "limit", maxRows, 1, maxRows),
	}
	if r.URL.Query().Get("state") == "whole" {
		q.MaxState = wholeState
	}
	a, err := look(ctx, i.node, i.gateway, chi.URLParam(r, "id"), q)
	if err != nil {
		i.fail(w, err)
		return
	}
	writeJSON(w, a)
}

func (i *Inspector) getLog(w http.ResponseWriter, r *http.Request) {
	id := chi.URLParam(r, "id")
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	l, err := i.node.Look(ctx, id, runtime.LookQuery{})
	if err != nil {
		i.fail(w, err)
		return
	}
	limit := intArg(r, "limit", pageRows, 1, maxRows)
	var entries []runtime.LogEntry
	if after, ok := uintArg(r, "after"); ok {
		entries, err = i.node.Entries(ctx, l.Ref.Name, id, after, limit, wholeState)
	} else {
		entries, _, err = i.node.Tail(l.Ref.Name, id).Next(ctx, limit, wholeState)
	}
	if err != nil {
		i.fail(w, err)
		return
	}
	writeJSON(w, map[string]any{"entries": entriesOf(entries)})
}

func uintArg(r *http.Request, name string) (n uint64, ok bool) {
	n, err := strconv.ParseUint(r.URL.Query().Get(name), 10, 64)
	return n, err == nil
}

// getItems returns a page of a table. Keys are as the actor's code has them: strings, or
// numbers.
func (i *Inspector) getItems(w http.ResponseWriter, r *http.Request) {
	id, field := chi.URLParam(r, "id"), chi.URLParam(r, "field")
	ctx, cancel := context.WithTimeout(r.Context(), patience)
	defer cancel()
	l, err := i.node.Look(ctx, id, runtime.LookQuery{})
	if err != nil {
		i.fail(w, err)
		return
	}
	for _, t := range l.Tables {
		if t.Field != field {
			continue
		}
		found := itemPage{Field: field, Keys: t.Keys, Len: t.Len, Items: []item{}}
		query := store.ItemRange{Table: t.ID, Limit: intArg(r, "limit", pageRows, 1, maxRows), MaxBytes: itemsBytes}
		if query.Backward = r.URL.Query().Get("backward") == "1"; r.URL.Query().Has("after") {
			after, err := parseItemKey(t.Keys, r.URL.Query().Get("after"))
			if err != nil {
				writeError(w, http.StatusBadRequest, wire.CodeBadKey, err.Error())
				return
			}
			if query.Backward {
				query.To = after
			} else {
				query.From = append(after, 0) // the next possible key
			}
		}
		if t.ID > 0 {
			page, err := i.node.Items(ctx, l.Ref.Name, id, field, query)
			if err != nil {
				i.fail(w, err)
				return
			}
			found.Rev, found.More = page.Rev, page.More
			for _, it := range page.Items {
				found.Items = append(found.Items, item{Key: formatItemKey(t.Keys, it.Key), Value: it.Value, Version: it.Version, Bytes: len(it.Value)})
			}
		}
		writeJSON(w, found)
		return
	}
	writeError(w, http.StatusNotFound, wire.CodeNotFound, "the actor has no such table")
}

type itemPage struct {
	Field string `json:"field"`
	Keys  string `json:"keys"` // s: strings, i and u: integers
	Len   int64  `json:"len"`
	Rev   uint64 `json:"rev"` // the items have all changes up to it, and may have later ones
	Items []item `json:"items"`
	More  bool   `json:"more"`
}

type item struct {
	Key     string          `json:"key"`
	Value   json.RawMessage `json:"value"`
	Version int             `json:"version"`
	Bytes   int             `json:"bytes"`
}
