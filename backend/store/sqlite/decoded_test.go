package sqlite_test

import (
	"fmt"
	"testing"

	"github.com/troupe-dev/troupe/backend/store"
)

// A reader of a log decodes a commit once, however many reads it takes to get through it.
func TestEntriesDecodeALongCommitOnce(t *testing.T) {
	reads := 0
	s := open(t, t.TempDir(), quiet.WithAfterRead(func() { reads++ }))
	defer s.Close()
	const n = 1_000
	c := commitOf("ada", 1)
	c.Entries = nil
	for seq := range uint64(n) {
		c.Entries = append(c.Entries, store.Entry{Seq: seq + 1, Event: "said", Data: fmt.Appendf(nil, `{"n":%d}`, seq+1)})
	}
	commit(t, s, c)
	next := commitOf("ada", 2)
	next.Entries[0].Seq = n + 1
	commit(t, s, next)
	after := uint64(0)
	for after < n+1 {
		entries, err := s.Entries(t.Context(), "ada", after, 64, 1<<20)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if after++; e.Seq != after || e.Seq <= n && string(e.Data) != fmt.Sprintf(`{"n":%d}`, after) || !e.Time.Equal(startTime) {
				t.Fatalf("got %+v, want entry %d", e, after)
			}
		}
	}
	if reads > 3 {
		t.Errorf("two commits were decoded %d times, want once each, and once more for the second", reads)
	}
}
