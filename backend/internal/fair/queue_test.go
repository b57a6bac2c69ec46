package fair

import (
	"fmt"
	"slices"
	"testing"
)

// A kind leaves places to others, and an owner of many waits behind others' first ones.
func TestPlacesGoInTurns(t *testing.T) {
	q := New(4)
	var got []string
	acquire := func(kind, owner string, n int) (cancel func() bool) {
		return q.Acquire(kind, owner, func() { got = append(got, fmt.Sprint(kind, owner, n)) })
	}
	for i := range 5 {
		acquire("a", "eve", i)
	}
	cancel := acquire("a", "eve", 5)
	acquire("a", "ada", 0)
	acquire("b", "eve", 0)
	acquire("b", "bob", 0)
	if want := []string{"aeve0", "aeve1", "aeve2", "beve0"}; !slices.Equal(got, want) {
		t.Fatalf("got %v, want %v", got, want)
	}
	if all, own := q.Waiting("a", "eve"); all != 5 || own != 3 {
		t.Errorf("%d wait, %d of them of eve; want 5 and 3", all, own)
	}
	if !cancel() || cancel() {
		t.Error("one who waits cannot be cancelled, once")
	}
	got = nil
	for _, kind := range []string{"a", "a", "a", "b", "a", "a"} {
		q.Release(kind)
	}
	if want := []string{"aeve3", "bbob0", "aada0", "aeve4"}; !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	q.Release("b")
	q.Release("a")
	if q.taken != 0 || len(q.kinds) != 0 || q.order.Len() != 0 {
		t.Errorf("%d places are taken, kinds %v; want none", q.taken, q.kinds)
	}
}
