package runtime

import (
	"cmp"
	"maps"
	"slices"
)

// owner is whose share of an actor's limits something takes: that of a subject at an address.
// What is bounded is divided among addresses, since subjects may be free to make, and what an
// address has among its subjects: users of one network do not take each other's.
type owner struct{ from, subject string }

// ownerOf returns the owner of what a client at an address has made. If the address is not
// known, as of what was stored, the subject stands for it; without one it is id.
func ownerOf(from, subject, id string) owner { return owner{cmp.Or(from, subject, id), subject} }

// shares is what owners have of something that is limited, and may keep.
type shares struct {
	of     map[owner]int
	from   map[string]int // of each address
	each   int            // what an address may keep
	within map[string]int // and a subject of an address that has more than that
}

func newShares(of map[owner]int, limit int) shares {
	s := shares{of: of, from: map[string]int{}, within: map[string]int{}}
	subjects := map[string][]int{}
	for o, n := range of {
		s.from[o.from] += n
		subjects[o.from] = append(subjects[o.from], n)
	}
	s.each = fairShare(slices.Collect(maps.Values(s.from)), limit)
	for from, n := range s.from {
		if n > s.each {
			s.within[from] = fairShare(subjects[from], s.each)
		}
	}
	return s
}

// exceeds reports whether an owner has to give something up.
func (s *shares) exceeds(o owner) bool { return s.from[o.from] > s.each && s.of[o] > s.within[o.from] }

// take takes something from an owner.
func (s *shares) take(o owner, n int) {
	s.from[o.from] -= n
	s.of[o] -= n
}

// fairShare returns how much each of several owners may keep of what they use, so that they
// use no more than limit together: those that use less keep all of it.
func fairShare(used []int, limit int) int {
	slices.Sort(used)
	for i, n := range used {
		share := max(limit, 0) / (len(used) - i)
		if n > share {
			return share
		}
		limit -= n
	}
	return limit
}

// A tally counts what each owner has, one by one, and knows who has most.
type tally struct {
	of   map[string]int
	with []map[string]struct{} // with[n] are the owners of n+1
}

func (t *tally) add(owner string) {
	if t.of == nil {
		t.of = map[string]int{}
	}
	n := t.of[owner]
	t.of[owner] = n + 1
	if n > 0 {
		delete(t.with[n-1], owner)
	}
	if n == len(t.with) {
		t.with = append(t.with, nil)
	}
	if t.with[n] == nil {
		t.with[n] = map[string]struct{}{}
	}
	t.with[n][owner] = struct{}{}
}

func (t *tally) remove(owner string) {
	n := t.of[owner]
	if n == 1 {
		delete(t.of, owner)
	} else {
		t.of[owner] = n - 1
		t.with[n-2][owner] = struct{}{}
	}
	delete(t.with[n-1], owner)
	for len(t.with) > 0 && len(t.with[len(t.with)-1]) == 0 {
		t.with = t.with[:len(t.with)-1]
	}
}

// most returns an owner who has most, and how much.
func (t *tally) most() (owner string, n int) {
	if n = len(t.with); n > 0 {
		for owner = range t.with[n-1] {
			break
		}
	}
	return owner, n
}
