package storetest

import (
	"fmt"
	"slices"
	"testing"

	"github.com/troupe-dev/troupe/backend/store"
)

func connected(t *testing.T, s store.Store) {
	for i := range uint32(5) {
		c := turn(fmt.Sprint("actor", i), 1)
		if i != 2 {
			c.Conns = []store.Conn{{Num: 1, ID: "a"}, {Num: 2, ID: "b"}}
		}
		commit(t, s, c)
	}
	gone := turn("actor4", 2)
	gone.Gone = []uint32{1, 2}
	half := turn("actor3", 2)
	half.Gone = []uint32{1}
	commit(t, s, gone, half)

	var got []string
	if err := s.Connected(t.Context(), store.AllPartitions, func(actor string) bool { got = append(got, actor); return true }); err != nil {
		t.Fatalf("Connected: %v", err)
	}
	slices.Sort(got)
	equal(t, "connected actors", got, []string{"actor0", "actor1", "actor3"})
}

func connectedStops(t *testing.T, s store.Store) {
	for i := range 3 {
		c := turn(fmt.Sprint("actor", i), 1)
		c.Conns = []store.Conn{{Num: 1, ID: "a"}}
		commit(t, s, c)
	}
	calls := 0
	err := s.Connected(t.Context(), store.AllPartitions, func(actor string) bool {
		calls++
		load(t, s, actor)
		return calls < 2
	})
	if err != nil || calls != 2 {
		t.Errorf("got %d calls and error %v, want 2 and none", calls, err)
	}
}
