package storetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

func entries(t *testing.T, s store.Store, actor string, after uint64, limit, maxBytes int) []store.Entry {
	t.Helper()
	got, err := s.Entries(t.Context(), actor, after, limit, maxBytes)
	if err != nil {
		t.Fatalf("Entries(%q, %d, %d, %d): %v", actor, after, limit, maxBytes, err)
	}
	return got
}

func numbers(entries []store.Entry) []uint64 {
	var seqs []uint64
	for _, e := range entries {
		seqs = append(seqs, e.Seq)
	}
	return seqs
}

func entriesWhole(t *testing.T, s store.Store) {
	first := []store.Entry{
		{Seq: 1, Event: "said", Data: json.RawMessage(`{"text":"ä \u0000 <b>"}`)},
		{Seq: 2, Event: "whispered", Direct: true, Target: store.Target{Mode: store.ToOnly, Conns: []uint32{1, 4}}, Data: json.RawMessage(`null`)},
	}
	second := []store.Entry{
		{Seq: 3, Event: "moved", Target: store.Target{Mode: store.ToExcept, Conns: []uint32{7}}, Data: json.RawMessage(`[]`)},
		{Seq: 4, Caller: "x", Call: 9, Target: store.Target{Mode: store.ToOnly, Conns: []uint32{7}}, Data: json.RawMessage(`"ok"`)},
		{Seq: 5, Caller: "x", Call: 10, Target: store.Target{Mode: store.ToOnly, Conns: []uint32{7}}},
	}
	commit(t, s, turn("ada", 1, first...), turn("ada", 2, second...))
	got := entries(t, s, "ada", 0, 10, 1<<20)
	equal(t, "entries", got, slices.Concat(first, second))
	for _, e := range got {
		want := start.Add(time.Millisecond)
		if e.Seq > 2 {
			want = start.Add(2 * time.Millisecond)
		}
		if !e.Time.Equal(want) {
			t.Errorf("time of entry %d: got %v, want %v", e.Seq, e.Time, want)
		}
	}
	if last := got[len(got)-1]; last.Data != nil {
		t.Errorf("data of a reply without a result: got %q, want nil", last.Data)
	}
}

func entriesLimit(t *testing.T, s store.Store) {
	commit(t, s, turn("ada", 1, event(1)), turn("ada", 2, event(2), event(3)), turn("ada", 3), turn("ada", 4, event(4)))
	tests := []struct {
		after uint64
		limit int
		want  []uint64
	}{
		{0, 10, []uint64{1, 2, 3, 4}},
		{0, 2, []uint64{1, 2}}, // within a commit
		{2, 1, []uint64{3}},
		{2, 10, []uint64{3, 4}},
		{3, 10, []uint64{4}},
		{4, 10, nil}, // the head
		{9, 10, nil}, // beyond it
		{0, 0, nil},
	}
	for _, test := range tests {
		what := fmt.Sprintf("after %d, at most %d", test.after, test.limit)
		equal(t, what, numbers(entries(t, s, "ada", test.after, test.limit, 1<<20)), test.want)
	}
}

func entriesSize(t *testing.T, s store.Store) {
	large := func(seq uint64) store.Entry {
		return store.Entry{Seq: seq, Event: "said", Data: json.RawMessage(`"` + strings.Repeat("x", 1000) + `"`)}
	}
	commit(t, s, turn("ada", 1, large(1), large(2)), turn("ada", 2, large(3)), turn("ada", 3, large(4), large(5)))
	if got := entries(t, s, "ada", 0, 10, 1); len(got) != 1 {
		t.Errorf("with room for less than one entry: got %d, want 1", len(got))
	}
	got := entries(t, s, "ada", 1, 10, 2500)
	if len(got) == 0 || len(got) > 3 || got[0].Seq != 2 {
		t.Errorf("with room for two and a half: got %v, want 2 and 3, perhaps 4", numbers(got))
	}
}

func entriesGap(t *testing.T, s store.Store) {
	commit(t, s, turn("ada", 1, event(1)))
	for _, wrong := range [][]store.Entry{{event(1)}, {event(3)}, {event(2), event(4)}} {
		errs := s.Commit(t.Context(), []*store.Commit{turn("ada", 2, wrong...)})
		if len(errs) != 1 || !errors.Is(errs[0], store.ErrConflict) {
			t.Errorf("entries %v after 1: got %v, want one ErrConflict", numbers(wrong), errs)
		}
	}
	commit(t, s, turn("ada", 2, event(2)))
}

func replies(t *testing.T, s *reopenable) {
	reply := func(seq uint64, caller string, call uint64) store.Entry {
		return store.Entry{Seq: seq, Caller: caller, Call: call, Data: json.RawMessage(`"0123456789"`)}
	}
	trap := event(3)
	trap.Data = json.RawMessage(`{"caller":"x","call":9}`)
	other := turn("bob", 1, reply(1, "x", 5))
	commit(t, s, turn("ada", 1, reply(1, "x", 1), event(2), trap), turn("ada", 2, reply(4, "y", 2)), other,
		turn("ada", 3, reply(5, "x", 4), reply(6, "x", 6)), turn("ada", 4, event(7)), turn("ada", 5, reply(8, "<\"ä", 1)))
	for range 2 {
		for _, test := range []struct {
			caller       string
			above        uint64
			limit, bytes int
			want         []uint64
		}{
			{"x", 0, 10, 1000, []uint64{1, 5, 6}},
			{"x", 1, 10, 1000, []uint64{5, 6}},
			{"x", 5, 10, 1000, []uint64{6}},
			{"x", 6, 10, 1000, nil},
			{"x", 0, 2, 1000, []uint64{5, 6}},
			{"x", 0, 10, 30, []uint64{5, 6}},
			{"x", 0, 10, 1, []uint64{6}},
			{"x", 0, 0, 1000, nil},
			{"y", 0, 10, 1000, []uint64{4}},
			{"<\"ä", 0, 10, 1000, []uint64{8}},
			{"z", 0, 10, 1000, nil},
		} {
			got, err := s.Replies(t.Context(), "ada", test.caller, test.above, test.limit, test.bytes)
			if err != nil || !slices.Equal(numbers(got), test.want) {
				t.Errorf("replies to %s above %d, at most %d and %d bytes: got %v, %v; want %v", test.caller, test.above, test.limit, test.bytes, numbers(got), err, test.want)
			}
			for _, e := range got {
				if all := entries(t, s, "ada", e.Seq-1, 1, 1000); len(all) != 1 || !e.Time.Equal(all[0].Time) {
					t.Errorf("reply %d: got the time %v, want that of the entry", e.Seq, e.Time)
				} else {
					equal(t, "reply", e, all[0])
				}
			}
		}
		s.again(t)
	}
	if got, err := s.Replies(t.Context(), "nobody", "x", 0, 10, 1000); err != nil || len(got) != 0 {
		t.Errorf("of an unknown actor: got %v, %v", got, err)
	}
}
