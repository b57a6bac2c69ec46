package memory

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/troupe-dev/troupe/backend/internal/overlay"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/record"
)

// fold moves the newest commit's edits of items to the items.
func (m *member) fold() {
	if m.Wiped != 0 {
		m.items, m.Wiped = overlay.Items{}, 0
	}
	for table := range m.Dropped {
		m.items.Drop(table)
	}
	m.Dropped = nil
	m.Items.All(func(table int, item overlay.Item) bool {
		if item.Value == nil {
			m.items.Delete(table, item.Key)
		} else {
			m.items.Set(table, item)
		}
		return true
	})
	m.Items = overlay.Items{}
}

// Items implements store.Store.
func (s *Store) Items(_ context.Context, actor string, q store.ItemRange) (store.ItemPage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	m, known := s.actors[actor]
	if !known {
		return store.ItemPage{}, nil
	}
	p := record.NewPager(q, m.Rev)
	m.items.Range(q, func(item overlay.Item) bool { return p.Add(item.Item) })
	return p.Page, nil
}

// selected returns the ids of the actors that f selects, in the order of compare.
func (s *Store) selected(f func(id string, m *member) bool, compare func(a, b string) int) []string {
	var ids []string
	for id, m := range s.actors {
		if f(id, m) {
			ids = append(ids, id)
		}
	}
	slices.SortFunc(ids, compare)
	return ids
}

const ropePart = 256 // actors

// compareWakes is negative if a comes before b.
func compareWakes(a, b store.Wake) int {
	return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.Actor, b.Actor))
}

// setIDLocked notes that an actor is there, or is not there any more.
func (s *Store) setIDLocked(actor string, there bool) {
	i, found := s.ids.Search(func(id *string) int { return cmp.Compare(*id, actor) })
	switch {
	case there && !found:
		s.ids.Replace(i, 0, actor)
	case !there && found:
		s.ids.Replace(i, 1)
	}
}

// setDueLocked notes that an actor's Due has changed. Both are in Unix milliseconds, 0 for
// never.
func (s *Store) setDueLocked(actor string, before, after int64) {
	if before == after {
		return
	}
	find := func(ms int64) (w store.Wake, i int, found bool) {
		w = store.Wake{At: time.UnixMilli(ms).UTC(), Actor: actor}
		i, found = s.dues.Search(func(other *store.Wake) int { return compareWakes(*other, w) })
		return w, i, found
	}
	if before > 0 {
		if _, i, found := find(before); found {
			s.dues.Replace(i, 1)
		}
	}
	if after > 0 {
		w, i, _ := find(after)
		s.dues.Replace(i, 0, w)
	}
}

// Due implements store.Store.
func (s *Store) Due(_ context.Context, after store.Wake, before time.Time, limit int) ([]store.Wake, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := 0
	if after != (store.Wake{}) {
		found := false
		if i, found = s.dues.Search(func(w *store.Wake) int { return compareWakes(*w, after) }); found {
			i++
		}
	}
	var wakes []store.Wake
	for _, w := range s.dues.From(i) {
		if len(wakes) >= limit || !w.At.Before(before) {
			break
		}
		wakes = append(wakes, *w)
	}
	return wakes, nil
}

// Connected implements store.Store.
func (s *Store) Connected(_ context.Context, partition int, f func(actor string) bool) error {
	s.mu.Lock()
	ids := s.selected(func(id string, m *member) bool {
		return len(m.Conns) > 0 && (partition == store.AllPartitions || store.Partition(id) == partition)
	}, cmp.Compare[string])
	s.mu.Unlock()
	for _, id := range ids {
		if !f(id) {
			break
		}
	}
	return nil
}

// List implements store.Store.
func (s *Store) List(_ context.Context, q store.ListQuery) (store.ListPage, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var page store.ListPage
	i, found := s.ids.Search(func(id *string) int { return cmp.Compare(*id, q.After) })
	if found {
		i++
	}
	for _, id := range s.ids.From(i) {
		m := s.actors[*id]
		if q.Name != "" && m.Name != q.Name || !q.Matches(m.Key) {
			continue
		}
		if len(page.Actors) == q.Limit {
			if q.Limit > 0 {
				page.Next = page.Actors[q.Limit-1].Actor
			}
			break
		}
		page.Actors = append(page.Actors, m.Info(*id))
	}
	return page, nil
}

// Names implements store.Store.
func (s *Store) Names(context.Context) (map[string]int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	names := map[string]int{}
	for _, m := range s.actors {
		if !m.Tombstone {
			names[m.Name]++
		}
	}
	return names, nil
}

// Secret implements store.Store.
func (s *Store) Secret(_ context.Context, name string, generate func() []byte) ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	value, known := s.secrets[name]
	if !known {
		if value = generate(); len(value) == 0 {
			return nil, fmt.Errorf("the secret %s would be empty", name)
		}
		s.secrets[name] = bytes.Clone(value)
	}
	return bytes.Clone(value), nil
}
