package cluster

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// tableFormat is the format of the table that this binary reads and writes.
const tableFormat = 1

// table says which nodes there are and which of them owns which partition. It is a value:
// nodes copy it, edit the copy, and write that in place of the one they have read (see
// register). Stale tables are harmless: a node acts as the owner of a partition only
// if it finds its own incarnation as the owner, and what is sent to a node that is no longer
// the owner comes back.
type table struct {
	Format  int    `json:"format"`
	Version uint64 `json:"v"`    // counts the changes
	Next    uint32 `json:"next"` // the slot of the next node that joins
	Nodes   []node `json:"nodes"`

	Owner []uint32 `json:"owner"` // of each partition, the slot of its owner; 0: none yet
	Want  []uint32 `json:"want"`  // and the slot of the node that should own it; 0: none is up

	// Debts has, by the slot of a sealed node, the partitions whose new owner has not yet
	// saved what that node's journal has. The journal is needed until there are none.
	Debts map[uint32][]int `json:"debts,omitempty"`

	// Past has, by the slot of a node, partitions that it no longer owns and whose entries
	// its journal may have within the resume window: a new owner reads them there.
	Past map[uint32][]int `json:"past,omitempty"`

	// Died has the partitions whose owner was sealed, with the time up to which messages of theirs
	// may be why: when another node first adopted them, in microseconds since 1970; 0: none has given
	// them away yet. One that was adopted for doubtFor and is given away is no longer there.
	Died map[int]int64 `json:"died,omitempty"`
}

// node is an incarnation in the table.
type node struct {
	Slot     uint32         `json:"slot"`  // from 1; never used again
	Inc      string         `json:"inc"`   // a random id
	Name     string         `json:"name"`  // of the machine or process, see Options; one of those that are up
	Proto    [2]int         `json:"proto"` // the oldest and newest formats of links that it speaks
	Contract string         `json:"contract"`
	Versions map[string]int `json:"versions,omitempty"` // of its actor definitions
	Lease    time.Duration  `json:"lease"`              // how long it may answer after its newest message
	State    nodeState      `json:"state"`
	Seal     uint64         `json:"seal,omitempty"` // of a sealed node: the sequence that ended its journal
	Changes  uint64         `json:"changes"`        // how often it has changed the table
}

type nodeState string

const (
	up      nodeState = "up"
	leaving nodeState = "leaving" // it gives its partitions away
	sealed  nodeState = "sealed"  // its journal has ended, so it can do nothing any more
)

// newTable returns the table of a cluster that no node has joined yet.
func newTable() *table {
	return &table{Format: tableFormat, Next: 1, Nodes: []node{}, Owner: make([]uint32, store.Partitions), Want: make([]uint32, store.Partitions),
		Debts: map[uint32][]int{}, Past: map[uint32][]int{}, Died: map[int]int64{}}
}

// parseTable reads a table, and checks what the rest of the package relies on.
func parseTable(data []byte) (*table, error) {
	t := table{Debts: map[uint32][]int{}, Past: map[uint32][]int{}, Died: map[int]int64{}}
	if err := json.Unmarshal(data, &t); err != nil {
		return nil, fmt.Errorf("%w: %w", errDamaged, err)
	}
	if t.Format != tableFormat {
		return nil, fmt.Errorf("%w: it has format %d, and this binary reads format %d: run the same release on all nodes", errFormat, t.Format, tableFormat)
	}
	if len(t.Owner) != store.Partitions || len(t.Want) != store.Partitions {
		return nil, fmt.Errorf("%w: it has %d partitions and wants %d, not %d", errDamaged, len(t.Owner), len(t.Want), store.Partitions)
	}
	slots := map[uint32]bool{0: true}
	for _, n := range t.Nodes {
		if slots[n.Slot] || n.Slot >= t.Next || n.Inc == "" {
			return nil, fmt.Errorf("%w: slot %d of node %q", errDamaged, n.Slot, n.Name)
		}
		if n.State != up && n.State != leaving && n.State != sealed {
			return nil, fmt.Errorf("%w: state %q of node %q", errDamaged, n.State, n.Name)
		}
		slots[n.Slot] = true
	}
	for p := range store.Partitions {
		if !slots[t.Owner[p]] || !slots[t.Want[p]] {
			return nil, fmt.Errorf("%w: partition %d has an owner that is no node", errDamaged, p)
		}
	}
	if t.Debts == nil || t.Past == nil || t.Died == nil {
		return nil, fmt.Errorf("%w: null", errDamaged)
	}
	for p := range t.Died {
		if p < 0 || p >= store.Partitions {
			return nil, fmt.Errorf("%w: partition %d of a node that has died", errDamaged, p)
		}
	}
	for _, of := range []map[uint32][]int{t.Debts, t.Past} {
		for slot, parts := range of {
			if slot == 0 || !slots[slot] || !areParts(parts) {
				return nil, fmt.Errorf("%w: partitions %v of slot %d", errDamaged, parts, slot)
			}
		}
	}
	return &t, nil
}

// areParts reports whether parts are partitions, in order.
func areParts(parts []int) bool {
	for i, p := range parts {
		if p < 0 || p >= store.Partitions || i > 0 && p <= parts[i-1] {
			return false
		}
	}
	return len(parts) > 0
}

func (t *table) encode() []byte {
	data, err := json.Marshal(t)
	if err != nil {
		panic(err) // it has numbers, strings, and maps of them only
	}
	return data
}

// clone returns a copy to edit.
func (t *table) clone() *table {
	c := *t
	c.Nodes = slices.Clone(t.Nodes) // Versions never change
	c.Owner, c.Want = slices.Clone(t.Owner), slices.Clone(t.Want)
	c.Debts, c.Past, c.Died = cloneParts(t.Debts), cloneParts(t.Past), maps.Clone(t.Died)
	return &c
}

func cloneParts(of map[uint32][]int) map[uint32][]int {
	c := make(map[uint32][]int, len(of))
	for slot, parts := range of {
		c[slot] = slices.Clone(parts)
	}
	return c
}

// slot returns the node with a slot; nil if there is none.
func (t *table) slot(slot uint32) *node {
	return t.find(func(n *node) bool { return n.Slot == slot })
}

// inc returns the incarnation with an id; nil if there is none.
func (t *table) inc(id string) *node {
	return t.find(func(n *node) bool { return n.Inc == id })
}

func (t *table) find(is func(*node) bool) *node {
	for i := range t.Nodes {
		if is(&t.Nodes[i]) {
			return &t.Nodes[i]
		}
	}
	return nil
}

// names returns the names of the nodes that are up.
func (t *table) names() (names []string) {
	for _, n := range t.Nodes {
		if n.State == up {
			names = append(names, n.Name)
		}
	}
	return names
}

// longestLease returns the longest lease of the nodes that have not ended; least if there is
// none longer.
func (t *table) longestLease(least time.Duration) time.Duration {
	for _, n := range t.Nodes {
		if n.State != sealed {
			least = max(least, n.Lease)
		}
	}
	return least
}

// owned returns the partitions of a slot, in order.
func (t *table) owned(slot uint32) []int {
	var parts []int
	for p, owner := range t.Owner {
		if owner == slot {
			parts = append(parts, p)
		}
	}
	return parts
}

var (
	errNameTaken = errors.New("cluster: another node of the same name is up: names must differ")
	errLease     = errors.New("cluster: all nodes must have the same lease")
	errDamaged   = errors.New("cluster: the table cannot be used")
	errFormat    = fmt.Errorf("%w", errDamaged) // it is of another release
)

// checkJoin returns why a node cannot join, as a sentence for its operator; nil if it can.
func (t *table) checkJoin(n node) error {
	for _, other := range t.Nodes {
		if other.State == sealed {
			continue
		}
		if other.Proto[0] > n.Proto[1] || other.Proto[1] < n.Proto[0] {
			return fmt.Errorf("cluster: this binary speaks link formats %d to %d, and node %q %d to %d: upgrade one release at a time", n.Proto[0], n.Proto[1], other.Name, other.Proto[0], other.Proto[1])
		}
		if other.Lease != n.Lease {
			return fmt.Errorf("%w: this one has %v, and node %q %v", errLease, n.Lease, other.Name, other.Lease)
		}
		if other.Name == n.Name && other.State == up {
			return fmt.Errorf("%w: %q", errNameTaken, n.Name)
		}
	}
	return nil
}

// join adds a node, and gives it partitions that nobody can act for.
func (t *table) join(n node) error {
	if err := t.checkJoin(n); err != nil {
		return err
	}
	n.Slot, n.State = t.Next, up
	t.Next++
	t.Nodes = append(t.Nodes, n)
	t.assign()
	return nil
}

// leave makes a node one that gives its partitions away.
func (t *table) leave(slot uint32) {
	if n := t.slot(slot); n != nil && n.State == up {
		n.State = leaving
		t.assign()
	}
}

// seal says that a node's journal ended with the message numbered seal, and gives its
// partitions to others. Call it only after that message is stored.
func (t *table) seal(slot uint32, seal uint64) {
	if n := t.slot(slot); n != nil && n.State != sealed {
		n.State, n.Seal = sealed, seal
		t.assign()
	}
}

// give makes those of the partitions that a node owns those of the nodes that should have
// them. The owner alone calls it, for partitions for which it no longer acts; adopted says since when
// it had them, until then, and is without those that it has only been the owner of.
func (t *table) give(slot uint32, parts []int, adopted map[int]time.Time, then time.Time) {
	for _, p := range parts {
		if t.Owner[p] != slot || t.Want[p] == 0 || t.Want[p] == slot {
			continue
		}
		t.move(p)
		since, had := adopted[p]
		if before, died := t.Died[p]; !died || !had {
			continue
		} else if then.Sub(since) >= doubtFor {
			delete(t.Died, p)
		} else if before == 0 {
			t.Died[p] = since.UnixMicro()
		}
	}
}

// doubted returns the time up to which messages of a partition may be why its owner before has died, if
// a node has it from now on; zero: none are.
func (t *table) doubted(p int, now time.Time) time.Time {
	switch at, died := t.Died[p]; {
	case !died:
		return time.Time{}
	case at == 0:
		return now
	default:
		return time.UnixMicro(at)
	}
}

// assign decides again where partitions should be, and moves those that no node can act for.
func (t *table) assign() {
	t.Want = t.want()
	for p, owner := range t.Owner {
		if t.Want[p] == 0 {
			continue
		}
		if owner == 0 {
			t.Owner[p] = t.Want[p]
		} else if t.slot(owner).State == sealed {
			addPart(t.Debts, owner, p)
			t.move(p)
			t.Died[p] = 0
		}
	}
}

// move makes a partition that of the node that should have it.
func (t *table) move(p int) {
	addPart(t.Past, t.Owner[p], p)
	removePart(t.Past, t.Want[p], p) // an owner knows what it gave away
	t.Owner[p] = t.Want[p]
}

// saved says that the owner of partitions has saved what a sealed node's journal has of
// them. Partitions of another owner stay: the node has lost them meanwhile.
func (t *table) saved(owner, of uint32, parts []int) {
	for _, p := range parts {
		if t.Owner[p] == owner {
			removePart(t.Debts, of, p)
		}
	}
}

// passed says that the resume window of partitions that a node has given away is over.
func (t *table) passed(slot uint32, parts []int) {
	for _, p := range parts {
		removePart(t.Past, slot, p)
	}
}

// forget removes a sealed node to whose journal nobody owes anything, after its journal
// was deleted.
func (t *table) forget(slot uint32) {
	n := t.slot(slot)
	if n == nil || n.State != sealed || len(t.Debts[slot]) > 0 || slices.Contains(t.Owner, slot) {
		return
	}
	t.Nodes = slices.DeleteFunc(t.Nodes, func(n node) bool { return n.Slot == slot })
	delete(t.Past, slot)
}

// equal reports whether two tables say the same, whatever their versions.
func (t *table) equal(other *table) bool {
	same := func(a, b map[uint32][]int) bool { return maps.EqualFunc(a, b, slices.Equal) }
	return t.Next == other.Next && slices.Equal(t.Owner, other.Owner) && slices.Equal(t.Want, other.Want) &&
		same(t.Debts, other.Debts) && same(t.Past, other.Past) && maps.Equal(t.Died, other.Died) &&
		slices.EqualFunc(t.Nodes, other.Nodes, func(a, b node) bool {
			return a.Slot == b.Slot && a.State == b.State && a.Seal == b.Seal
		})
}

// addPart adds a partition to those of a slot, in order.
func addPart(of map[uint32][]int, slot uint32, p int) {
	if i, found := slices.BinarySearch(of[slot], p); !found {
		of[slot] = slices.Insert(of[slot], i, p)
	}
}

func removePart(of map[uint32][]int, slot uint32, p int) {
	if i, found := slices.BinarySearch(of[slot], p); found {
		if of[slot] = slices.Delete(of[slot], i, i+1); len(of[slot]) == 0 {
			delete(of, slot)
		}
	}
}
