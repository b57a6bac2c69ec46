package runtime

import "slices"

// What clients share in an actor is limited in all. Beyond the limit those of the address
// that has most give way, so that nobody loses anything to a stranger.

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
