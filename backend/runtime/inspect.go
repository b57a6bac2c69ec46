package runtime

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/store"
)

// Inspector looks at the actors of a node, for operators, and touches them (operate.go).
// Looking never loads an actor and never keeps one in memory: what sleeps is read from the
// store. Fields tagged `troupe:"secret"` are masked in everything that it returns, by the types
// of the current definition; docs/inspect.md says what they do not know. All methods may be
// called at the same time.
type Inspector struct{ n *Node }

// Inspect returns the inspector of a node.
func Inspect(n *Node) *Inspector { return &Inspector{n} }

// Stats returns what the node has counted.
func (i *Inspector) Stats() Stats { return i.n.Stats() }

// Stored returns how many actors of each definition are stored. It may take as long as the
// store needs to count them.
func (i *Inspector) Stored(ctx context.Context) (map[string]int, error) { return i.n.store.Names(ctx) }

// List returns a page of the stored actors, see store.Store.List.
func (i *Inspector) List(ctx context.Context, q store.ListQuery) (store.ListPage, error) {
	return i.n.store.List(ctx, q)
}

// Find returns the id of an actor with a name and a key, whether it exists or not.
func (i *Inspector) Find(name string, key host.Key) (id string, err error) {
	r, bad := i.n.address(host.Ref{Name: name, Key: key})
	if bad != nil {
		return "", bad
	}
	return r.ID, nil
}

// IsAwake reports whether an actor is in memory.
func (i *Inspector) IsAwake(id string) bool { return inMemory(i.n, id) != nil }

// glance is what others may see of an actor without asking its goroutine.
type glance struct {
	conns int
	bytes int64
	used  time.Time
}

func glanceOf(a *Actor) glance {
	g := glance{bytes: a.bytes, used: a.lastUsed}
	if a.in != nil {
		g.conns = len(a.in.conns.all)
	}
	return g
}

// AwakeActor is an actor in memory.
type AwakeActor struct {
	Ref     host.Ref
	Conns   int       // also those without a socket
	Bytes   int64     // of its state, as JSON, and its log
	Waiting int       // envelopes in its mailbox
	Used    time.Time // its last turn; zero if it had none
}

// AwakeQuery selects actors in memory.
type AwakeQuery struct {
	Name   string    // of a definition; empty: all
	Prefix []string  // the first components of the key; the last one may be the start of a component
	By     AwakeSort // in this order, descending except for keys
	Offset int
	Limit  int
}

// AwakeSort is an order of actors in memory.
type AwakeSort string

// Orders of actors in memory. Those with equal values are in the order of their keys.
const (
	ByKey     AwakeSort = "key"
	ByConns   AwakeSort = "conns"
	ByBytes   AwakeSort = "bytes"
	ByWaiting AwakeSort = "waiting"
	ByUsed    AwakeSort = "used"
)

// Awake returns a page of the actors in memory, and how many the query selects.
func (i *Inspector) Awake(q AwakeQuery) (page []AwakeActor, total int) {
	compare := q.compare()
	keep := max(q.Offset, 0) + max(q.Limit, 0)
	var last *AwakeActor // none behind it is on the page or before; nil: not known yet
	for _, a := range i.n.awake() {
		r := a.ref()
		if q.Name != "" && r.Name != q.Name || !HasPrefix(r.Key, q.Prefix) {
			continue
		}
		total++
		g, waiting, _ := a.box.seen()
		found := AwakeActor{Ref: r, Conns: g.conns, Bytes: g.bytes, Waiting: waiting, Used: g.used}
		if last != nil && compare(found, *last) >= 0 {
			continue
		}
		if page = append(page, found); keep > 0 && len(page) >= 2*keep+1000 {
			slices.SortFunc(page, compare)
			page = page[:keep]
			last = new(page[keep-1])
		}
	}
	slices.SortFunc(page, compare)
	page = page[min(max(q.Offset, 0), len(page)):]
	return page[:min(max(q.Limit, 0), len(page))], total
}

// compare returns the order of the rows.
func (q AwakeQuery) compare() func(a, b AwakeActor) int {
	return func(a, b AwakeActor) int {
		by := 0
		switch q.By {
		case ByConns:
			by = cmp.Compare(b.Conns, a.Conns)
		case ByBytes:
			by = cmp.Compare(b.Bytes, a.Bytes)
		case ByWaiting:
			by = cmp.Compare(b.Waiting, a.Waiting)
		case ByUsed:
			by = b.Used.Compare(a.Used)
		}
		return cmp.Or(by, strings.Compare(a.Ref.Name, b.Ref.Name), slices.Compare(a.Ref.Key, b.Ref.Key), strings.Compare(a.Ref.ID, b.Ref.ID))
	}
}

// HasPrefix reports whether a key begins with components, the last of which may be the start
// of one.
func HasPrefix(key host.Key, prefix []string) bool {
	last := len(prefix) - 1
	return last < 0 || len(key) > last && slices.Equal(key[:last], prefix[:last]) && strings.HasPrefix(key[last], prefix[last])
}

// inMemory returns an actor in memory, nil if it sleeps.
func inMemory(n *Node, id string) *Actor {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.actors[id]
}

// Items returns items of one of an actor's tables, as they are durable, see
// store.Store.Items. Their values are masked, and as the current version has them; nil if that
// cannot be known.
func (i *Inspector) Items(ctx context.Context, name, id, field string, r store.ItemRange) (store.ItemPage, error) {
	page, err := i.n.store.Items(ctx, id, r)
	if err != nil {
		return page, err
	}
	for k := range page.Items {
		item := &page.Items[k]
		item.Value = maskItem(i.n.defs[name], field, item.Version, item.Value)
	}
	return page, nil
}
