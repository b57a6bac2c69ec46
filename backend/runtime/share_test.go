package runtime

import (
	"math/rand/v2"
	"testing"
)

func TestFairShareTakesFromThoseWhoUseMost(t *testing.T) {
	for _, test := range []struct {
		used        []int
		limit, want int
	}{
		{[]int{1, 1, 100}, 50, 48},
		{[]int{30, 30, 30}, 60, 20},
		{[]int{10, 20, 60}, 60, 30},
		{[]int{1, 1, 1}, 2, 0},
		{[]int{5}, -1, 0},
	} {
		if got := fairShare(test.used, test.limit); got != test.want {
			t.Errorf("%v of %d: got a share of %d, want %d", test.used, test.limit, got, test.want)
		}
	}
}

// An address with many users gives up what is more than its share, and so does a user of it.
func TestSharesAreOfAddressesAndThenOfSubjects(t *testing.T) {
	eve, bob, ada := owner{"a", "eve"}, owner{"a", "bob"}, owner{"b", "ada"}
	s := newShares(map[owner]int{eve: 90, bob: 10, ada: 40}, 100)
	for want := range 40 { // the two addresses may have 60 and 40
		if !s.exceeds(eve) || s.exceeds(bob) || s.exceeds(ada) {
			t.Fatalf("after %d: eve exceeds her share: %t, bob: %t, ada: %t", want, s.exceeds(eve), s.exceeds(bob), s.exceeds(ada))
		}
		s.take(eve, 1)
	}
	if s.exceeds(eve) {
		t.Error("eve exceeds her share when all have room")
	}
}

func TestTallyKnowsWhoHasMost(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	var tally tally
	want := map[string]int{}
	for range 10_000 {
		owner := string('a' + rune(r.IntN(5)))
		if r.IntN(2) == 0 || want[owner] == 0 {
			tally.add(owner)
			want[owner]++
		} else {
			tally.remove(owner)
			want[owner]--
		}
		most := 0
		for _, n := range want {
			most = max(most, n)
		}
		if owner, n := tally.most(); n != most || n > 0 && want[owner] != n {
			t.Fatalf("%s has most, %d; want an owner of %v", owner, n, want)
		}
	}
}
