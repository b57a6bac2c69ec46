package jetstream

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/internal/journal"
)

// Limits of List.
const (
	listRows  = 1024   // actors that it looks at for a page
	listHeads = 16_384 // heads, about, that it reads the headers of at once
)

// lister finds stored actors by the subjects and headers of their heads, and by what the
// index has that no head has yet.
type lister struct{ *reader }

// listed is an actor that List looks at.
type listed struct {
	part int
	info store.ActorInfo
}

func (a *listed) compare(b *listed) int {
	return cmp.Or(cmp.Compare(a.part, b.part), strings.Compare(a.info.Actor, b.info.Actor))
}

// List returns a page. See Store.List.
func (l lister) List(ctx context.Context, q store.ListQuery) (page store.ListPage, err error) {
	after := listed{part: -1}
	if q.After != "" {
		part, actor, _ := strings.Cut(q.After, ".")
		if after.part, err = strconv.Atoi(part); err != nil {
			return page, fmt.Errorf("the After of a query: %w", err)
		}
		after.info.Actor = actor
	}
	if err := l.own.resolved(ctx); err != nil || q.Limit <= 0 {
		return page, err
	}
	if q.Name != "" && !isToken(q.Name) {
		return page, nil
	}
	if page, err = l.page(ctx, q, after); err != nil {
		return store.ListPage{}, fmt.Errorf("list actors: %w", err)
	}
	return page, nil
}

func (l lister) page(ctx context.Context, q store.ListQuery, after listed) (page store.ListPage, err error) {
	parts := l.ownedFrom(max(after.part, 0))
	step, err := l.step(ctx)
	if err != nil {
		return page, err
	}
	seen := 0
	for some := range slices.Chunk(parts, step) {
		found, err := l.find(ctx, some, cmp.Or(q.Name, "*"))
		if err != nil {
			return page, err
		}
		for i := range found {
			a := &found[i]
			if a.compare(&after) <= 0 {
				continue
			}
			if len(page.Actors) == q.Limit || seen == listRows {
				page.Next = fmt.Sprintf("%d.%s", after.part, after.info.Actor)
				return page, nil
			}
			seen++
			after = *a
			if a.info.Rev == 0 || l.isNewer(a) {
				err := l.withRecord(ctx, a.info.Actor, func(r *journal.Resident) { a.info = r.Record.Info(a.info.Actor) })
				if errors.Is(err, store.ErrConflict) {
					return page, err
				} else if err != nil {
					if !errors.Is(err, store.ErrNotFound) {
						l.log.Error("an actor is not listed as it is: it cannot be loaded", "actor", a.info.Actor, "error", err)
					}
					continue
				}
			}
			if (q.Name == "" || a.info.Name == q.Name) && q.Matches(a.info.Key) {
				page.Actors = append(page.Actors, a.info)
			}
		}
	}
	return page, nil
}

// ownedFrom returns the partitions of this store from one on.
func (c *catalog) ownedFrom(part int) (parts []int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for ; part < store.Partitions; part++ {
		if c.owned[part] {
			parts = append(parts, part)
		}
	}
	return parts
}

// step returns of how many partitions List reads the headers at once.
func (l lister) step(ctx context.Context) (int, error) {
	subjects := uint64(0)
	err := l.retry(ctx, func(ctx context.Context) (bool, error) {
		s, err := l.js.Stream(ctx, l.state)
		if err == nil {
			subjects = s.CachedInfo().State.NumSubjects
		}
		return false, err
	})
	return int(max(1, store.Partitions*listHeads/max(subjects, listHeads))), err
}

// isNewer reports whether an actor has changed since its head.
func (l lister) isNewer(a *listed) bool {
	l.catalog.mu.Lock()
	defer l.catalog.mu.Unlock()
	r := l.index.ByID[a.info.Actor]
	return r != nil && r.Rev != a.info.Rev && r.Rev != 0
}

// find returns the actors of some partitions, in order. Those without a head have no Rev.
func (l lister) find(ctx context.Context, parts []int, name string) ([]listed, error) {
	var filters []string
	wanted := map[int]bool{}
	for _, part := range parts {
		filters, wanted[part] = append(filters, l.names.heads(part, name)), true
	}
	if len(parts) == store.Partitions {
		filters = []string{l.prefix + ".s.a.*." + name + ".*"}
	}
	var all []listed
	seen := map[string]int{} // where they are in all
	l.catalog.mu.Lock()
	barrier := l.barrierSeq
	l.catalog.mu.Unlock()
	err := l.pullLast(ctx, filters, true, barrier, func(subject string, m *nats.Msg) {
		actor := lastToken(subject)
		a := listed{part: store.Partition(actor), info: store.ActorInfo{Actor: actor}}
		if info := m.Header.Get(infoHeader); info == "" || json.Unmarshal([]byte(info), &a.info) != nil {
			return // it is about to go
		}
		if i, again := seen[actor]; again { // it was in a try that has failed
			all[i] = a
			return
		}
		seen[actor] = len(all)
		all = append(all, a)
	})
	if err != nil {
		return nil, err
	}
	l.catalog.mu.Lock()
	for actor, r := range l.index.ByID {
		if _, found := seen[actor]; found {
			continue
		}
		if part := store.Partition(actor); r.Rev > 0 && wanted[part] {
			all = append(all, listed{part: part, info: store.ActorInfo{Actor: actor}})
		}
	}
	l.catalog.mu.Unlock()
	slices.SortFunc(all, func(a, b listed) int { return a.compare(&b) })
	return all, nil
}

// Names counts actors. See Store.Names.
func (l lister) Names(ctx context.Context) (map[string]int, error) {
	names, err := l.count(ctx)
	if err != nil {
		return nil, fmt.Errorf("count actors: %w", err)
	}
	return names, nil
}

func (l lister) count(ctx context.Context) (map[string]int, error) {
	if err := l.own.resolved(ctx); err != nil {
		return nil, err
	}
	var info *jetstream.StreamInfo
	err := l.retry(ctx, func(ctx context.Context) (bool, error) {
		s, err := l.js.Stream(ctx, l.state)
		if err == nil {
			info, err = s.Info(ctx, jetstream.WithSubjectFilter(l.prefix+".s.a.>"))
		}
		return false, err
	})
	if err != nil {
		return nil, err
	}
	l.catalog.mu.Lock()
	owned := l.owned
	names := map[string]string{} // of actors, without those that are to be looked at
	for subject := range info.State.Subjects {
		tokens := strings.Split(subject, ".")
		actor := tokens[len(tokens)-1]
		if owned[store.Partition(actor)] && !l.wakes[actor].Tombstone {
			names[actor] = tokens[len(tokens)-2]
		}
	}
	var newer []string
	for actor, r := range l.index.ByID {
		_, counted := names[actor]
		if r.Rev == 0 {
			delete(names, actor)
		} else if r.Rev != r.Saved && (!counted || r.Ended) {
			newer = append(newer, actor)
		}
	}
	l.catalog.mu.Unlock()
	for _, actor := range newer {
		err := l.withRecord(ctx, actor, func(r *journal.Resident) {
			if delete(names, actor); !r.Record.Tombstone {
				names[actor] = r.Record.Name
			}
		})
		if errors.Is(err, store.ErrConflict) {
			return nil, err
		}
	}
	counts := map[string]int{}
	for _, name := range names {
		counts[name]++
	}
	return counts, nil
}
