package cluster

import (
	"cmp"
	"hash/fnv"
	"slices"

	"github.com/troupe-dev/troupe/backend/store"
)

// want returns for each partition the slot of the node that should own it; 0 if no node is
// up. It depends on the table alone.
//
// The numbers of partitions of two nodes differ by at most 1, and no fewer partitions have to
// move for that. Which of them move where is decided by rendezvous hashing (Thaler and
// Ravishankar) over the names of nodes, so that a node that comes back gets its old ones.
// A partition does not go to a node with a lower version of a definition than its owner has,
// as long as another is up: an older binary cannot read what a newer one has written.
// During an upgrade the numbers may therefore differ by more.
func (t *table) want() []uint32 {
	want := make([]uint32, store.Partitions)
	nodes, load := map[uint32]*node{}, map[uint32]int{}
	var order []uint32
	for i := range t.Nodes {
		if n := &t.Nodes[i]; n.State == up {
			nodes[n.Slot], load[n.Slot] = n, 0
			order = append(order, n.Slot)
		}
	}
	if len(order) == 0 {
		return want
	}
	var homeless []int
	for p, owner := range t.Owner {
		if nodes[owner] == nil {
			homeless = append(homeless, p)
			continue
		}
		want[p] = owner
		load[owner]++
	}

	// The nodes that have most already keep one more than others, if not all can have as many.
	slices.SortFunc(order, func(a, b uint32) int { return cmp.Or(load[b]-load[a], cmp.Compare(a, b)) })
	quota := map[uint32]int{}
	for i, slot := range order {
		if quota[slot] = store.Partitions / len(order); i < store.Partitions%len(order) {
			quota[slot]++
		}
	}

	type move struct {
		partition int
		to        uint32
		homeless  bool
		score     uint64
	}
	var moves []move
	for p, owner := range want {
		if owner != 0 && load[owner] <= quota[owner] {
			continue
		}
		for _, slot := range order {
			if load[slot] < quota[slot] && t.mayMove(p, nodes[slot]) {
				moves = append(moves, move{p, slot, owner == 0, score(nodes[slot].Name, p)})
			}
		}
	}
	slices.SortFunc(moves, func(a, b move) int {
		if a.homeless != b.homeless {
			if a.homeless {
				return -1
			}
			return 1
		}
		return cmp.Or(cmp.Compare(b.score, a.score), a.partition-b.partition, cmp.Compare(a.to, b.to))
	})
	for _, m := range moves {
		from := want[m.partition]
		if from != t.Owner[m.partition] && from != 0 || load[m.to] >= quota[m.to] || from != 0 && load[from] <= quota[from] {
			continue // it has moved already, or the nodes have what they should have
		}
		want[m.partition] = m.to
		load[m.to]++
		if from != 0 {
			load[from]--
		}
	}
	for _, p := range homeless { // that no node with room may have
		if want[p] == 0 {
			to := slices.MinFunc(order, func(a, b uint32) int {
				if mayA, mayB := t.mayMove(p, nodes[a]), t.mayMove(p, nodes[b]); mayA != mayB {
					if mayA {
						return -1
					}
					return 1
				}
				return cmp.Or(load[a]-load[b], cmp.Compare(a, b))
			})
			want[p] = to
			load[to]++
		}
	}
	return want
}

// mayMove reports whether a node can read what a partition's owner may have written.
func (t *table) mayMove(p int, to *node) bool {
	owner := t.slot(t.Owner[p])
	if owner == nil {
		return true
	}
	for definition, version := range owner.Versions {
		if has, ok := to.Versions[definition]; !ok || has < version {
			return false
		}
	}
	return true
}

// score is how well a partition fits a node of that name: the highest score is the best.
func score(name string, partition int) uint64 {
	h := fnv.New64a()
	h.Write([]byte{byte(partition)})
	h.Write([]byte(name))
	x := h.Sum64()
	x ^= x >> 33 // FNV alone mixes its last bytes too little
	x *= 0xff51afd7ed558ccd
	x ^= x >> 33
	x *= 0xc4ceb9fe1a85ec53
	return x ^ x>>33
}
