package memory_test

import (
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// TestEntriesRoundTrip encodes and decodes entries of all shapes and sizes, while
// the oldest are dropped.
func TestEntriesRoundTrip(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 2))
	s := memory.New(memory.Options{MaxBytes: 60_000})
	at := time.Now()
	var all []store.Entry
	trimmed := false
	for rev := range uint64(3000) {
		c := &store.Commit{Actor: "a", Name: "room", Key: []string{"k"}, Log: "l", Rev: rev + 1, Time: at.Add(time.Duration(rev) * 1234567), State: []byte("{}")}
		for range r.IntN(4) {
			e := randomEntry(r)
			e.Seq = uint64(len(all)) + 1
			c.Entries = append(c.Entries, e)
			e.Time = c.Time
			e.Target.Conns = slices.Clone(e.Target.Conns)
			all = append(all, e)
		}
		if errs := s.Commit(t.Context(), []*store.Commit{c}); errs != nil {
			t.Fatal(errs)
		}
		for _, e := range c.Entries {
			clear(e.Target.Conns) // the caller may reuse them
		}
		after := uint64(r.IntN(len(all) + 1))
		got, err := s.Entries(t.Context(), "a", after, 1+r.IntN(40), 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) == 0 {
			if after < uint64(len(all)) {
				t.Fatalf("nothing after %d of %d", after, len(all))
			}
			continue
		}
		oldest, err := s.Entries(t.Context(), "a", 0, 1, 1)
		if err != nil || got[0].Seq != max(after+1, oldest[0].Seq) {
			t.Fatalf("the first entry after %d is %d, the oldest one %d (%v)", after, got[0].Seq, oldest[0].Seq, err)
		}
		trimmed = trimmed || oldest[0].Seq > 1
		for i, e := range got {
			want := all[got[0].Seq-1+uint64(i)]
			if !e.Time.Equal(want.Time) {
				t.Fatalf("entry %d: got time %v, want %v", want.Seq, e.Time, want.Time)
			}
			if e.Time = want.Time; !reflect.DeepEqual(e, want) {
				t.Fatalf("got %+v, want %+v", e, want)
			}
		}
	}
	if !trimmed {
		t.Error("nothing was dropped")
	}
}

func randomEntry(r *rand.Rand) store.Entry {
	e := store.Entry{Call: r.Uint64() >> r.IntN(64), Direct: r.IntN(2) == 0}
	if r.IntN(2) == 0 {
		e.Event = fmt.Sprint("event", r.IntN(3))
	} else {
		e.Caller = strings.Repeat("c", r.IntN(200))
	}
	e.Target.Mode = store.TargetMode(r.IntN(3))
	for range r.IntN(5) * r.IntN(5) {
		e.Target.Conns = append(e.Target.Conns, r.Uint32())
	}
	switch r.IntN(4) {
	case 0:
	case 1:
		e.Data = []byte{}
	default:
		e.Data = []byte(strings.Repeat("d", r.IntN(300)))
		if r.IntN(100) == 0 {
			e.Data = []byte(strings.Repeat("D", 40_000))
		}
	}
	return e
}
