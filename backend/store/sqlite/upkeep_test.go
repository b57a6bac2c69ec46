package sqlite_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
)

// retained returns the numbers of an actor's oldest retained entry and of the
// newest.
func retained(t *testing.T, s store.Store, actor string) string {
	t.Helper()
	entries, err := s.Entries(t.Context(), actor, 0, 1<<20, 1<<30)
	if err != nil {
		t.Fatal(err)
	}
	if len(entries) == 0 {
		return "none"
	}
	return fmt.Sprint(entries[0].Seq, " to ", entries[len(entries)-1].Seq)
}

// Sleeping actors cost disk, not memory.
func TestIdleActorsLeaveMemory(t *testing.T) {
	const actors = 1000
	c := newClock()
	s := open(t, t.TempDir(), quiet.WithoutSync().WithClock(c.now))
	defer closeStore(t, s)
	for i := range actors / 100 {
		var group []*store.Commit
		for n := range 100 {
			group = append(group, commitOf(fmt.Sprint("actor", 100*i+n), 1))
		}
		commit(t, s, group...)
	}
	if n, states := s.Resident(); n != actors || states != actors {
		t.Errorf("got %d actors and %d states in memory, want all", n, states)
	}
	c.pass(31 * time.Second)
	for range 10 { // a batch at a time
		s.Tick()
	}
	if _, states := s.Resident(); states != 0 {
		t.Errorf("after 31 s: got %d states in memory, want none", states)
	}
	checkActor(t, s, "actor7", 1)
	c.pass(4 * time.Minute)
	for range 10 {
		s.Tick()
	}
	if n, _ := s.Resident(); n != 0 || s.JournalBytes() != 0 {
		t.Errorf("once the journal is over: got %d actors in memory and %d bytes of journal, want none", n, s.JournalBytes())
	}
	checkActor(t, s, "actor8", 1)
	commit(t, s, commitOf("actor9", 2))
	checkActor(t, s, "actor9", 2)
}

func TestRetention_byAge(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	o := quiet.WithClock(c.now)
	o.Retention = time.Minute
	s := open(t, dir, o)
	for rev := uint64(1); rev <= 10; rev++ {
		c.pass(10 * time.Second)
		commit(t, s, commitOf("ada", rev))
	}
	s.Tick()
	if got, want := retained(t, s, "ada"), "4 to 10"; got != want {
		t.Errorf("a minute: got %s, want %s", got, want)
	}
	closeStore(t, s)

	// Ages count only the time that the server is up: clients that come back in time
	// after a pause get what they missed.
	c.pass(time.Hour)
	s = open(t, dir, o)
	s.Tick()
	if got, want := retained(t, s, "ada"), "4 to 10"; got != want {
		t.Errorf("after a pause: got %s, want %s", got, want)
	}
	c.pass(61 * time.Second)
	s.Tick()
	if got, want := retained(t, s, "ada"), "none"; got != want {
		t.Errorf("a minute later: got %s, want %s", got, want)
	}
	checkActor(t, s, "ada", 10)
	commit(t, s, commitOf("ada", 11))
	if got, want := retained(t, s, "ada"), "11 to 11"; got != want {
		t.Errorf("after another turn: got %s, want %s", got, want)
	}
	closeStore(t, s)
}

// Under constant traffic the journal and the file stay bounded.
func TestRetention_bySize(t *testing.T) {
	dir := t.TempDir()
	o := quiet.WithoutSync().WithClock(newClock().now) // nothing gets old
	o.MaxBytes = 200 << 10
	s := open(t, dir, o)
	defer closeStore(t, s)
	size := func() (bytes int64) {
		for _, name := range []string{"troupe.db", "troupe.db-wal"} {
			info, err := os.Stat(filepath.Join(dir, name))
			if err != nil {
				t.Fatal(err)
			}
			bytes += info.Size()
		}
		return bytes
	}
	commit(t, s, commitOf("quiet", 1))
	var early int64
	for rev := uint64(1); rev <= 3000; rev++ {
		commit(t, s, commitOf(fmt.Sprint("actor", rev%5), 1+(rev-1)/5))
		if rev == 1000 {
			early = size()
		}
		if bytes := s.JournalBytes(); bytes > o.MaxBytes*11/10 {
			t.Fatalf("after %d commits: got %d bytes of journal, want about %d", rev, bytes, o.MaxBytes)
		}
	}
	if late := size(); late > early*11/10 {
		t.Errorf("the files grew from %d to %d bytes", early, late)
	}
	if got, want := retained(t, s, "quiet"), "none"; got != want {
		t.Errorf("the oldest commit: got %s, want %s", got, want)
	}
	// The trimmed commits are in snapshots.
	after := open(t, crashed(t, dir), quiet)
	defer closeStore(t, after)
	for i := range 5 {
		checkActor(t, after, fmt.Sprint("actor", i), 600)
	}
	checkActor(t, after, "quiet", 1)
}

// Loading an actor reads a bounded part of the journal, however often it has
// changed, also after a crash.
func TestLoad_afterManyCommits(t *testing.T) {
	dir := t.TempDir()
	s := open(t, dir, quiet)
	defer closeStore(t, s)
	const turns = 5000
	for rev := uint64(1); rev <= turns; rev += 50 {
		var group []*store.Commit
		for r := rev; r < rev+50; r++ {
			group = append(group, commitOf("ada", r))
		}
		commit(t, s, group...)
	}
	after := open(t, crashed(t, dir), quiet)
	defer closeStore(t, after)
	checkActor(t, after, "ada", turns)
	var saved int
	if err := raw(t, dir).QueryRow("SELECT rev FROM snapshots").Scan(&saved); err != nil || saved < turns-1100 {
		t.Errorf("got a snapshot of revision %d, %v; want one of the last 1,100", saved, err)
	}
}

// Actors are loaded, which completes their residents, while their journal is trimmed.
// This test is for the race detector.
func TestLoad_whileTrimming(t *testing.T) {
	const actors, loaders = 800, 2
	dir := t.TempDir()
	s := open(t, dir, quiet.WithoutSync())
	for i := 0; i < actors; i += 100 {
		var group []*store.Commit
		for n := range 100 {
			group = append(group, commitOf(fmt.Sprint("actor", i+n), 1))
		}
		commit(t, s, group...)
	}
	after := crashed(t, dir)
	closeStore(t, s)
	o := quiet.WithoutSync().WithClock(newClockThatRuns().now).WithIdleAfter(time.Second)
	o.MaxBytes = 10 << 10
	s = open(t, after, o)
	defer closeStore(t, s)
	var wait sync.WaitGroup
	for first := range loaders {
		wait.Go(func() {
			for i := first; i < actors; i += loaders {
				actor := fmt.Sprint("actor", i)
				if got, err := s.Load(t.Context(), actor); err != nil || got.Rev != 1 || string(got.State) != string(stateOf(actor, 1)) {
					t.Errorf("%s: got %+v, %v; want revision 1", actor, got, err)
				}
			}
		})
	}
	wait.Go(func() {
		for rev := uint64(1); rev <= 10; rev++ {
			commit(t, s, commitOf("other", rev))
			s.Tick()
		}
	})
	wait.Wait()
}

// Over the cap the journal is trimmed, however many snapshots that takes.
func TestRetention_cap(t *testing.T) {
	const actors, large = 64, 130_000
	o := quiet.WithoutSync().WithClock(newClock().now)
	o.MaxBytes, o.CapBytes = 50<<10, 200<<10
	s := open(t, t.TempDir(), o)
	defer closeStore(t, s)
	var state []byte // of each of them
	filler := strings.Repeat("x", large)
	for rev := uint64(1); rev <= 40; rev++ {
		base := state
		state = fmt.Appendf(nil, `{"filler":"%s","rev":%d}`, filler, rev)
		var group []*store.Commit
		for i := range actors {
			c := commitOf(fmt.Sprint("actor", i), rev)
			c.Base, c.State = base, state
			group = append(group, c)
		}
		commit(t, s, group...)
		// It is trimmed with each eighth group, before that one is counted.
		if bytes, want := s.JournalBytes(), o.CapBytes+actors*300; rev > 8 && rev%8 == 0 && bytes > want {
			t.Fatalf("at revision %d: got %d bytes of journal, want at most %d", rev, bytes, want)
		}
	}
}

// After a flood the file returns its free pages to the system.
func TestShrink(t *testing.T) {
	dir, c := t.TempDir(), newClock()
	s := open(t, dir, quiet.WithoutSync().WithClock(c.now))
	size := func() int64 {
		info, err := os.Stat(filepath.Join(dir, "troupe.db"))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	for rev := uint64(1); rev <= 60; rev++ {
		flood := commitOf("ada", rev)
		flood.Entries[0].Data = []byte(`"` + strings.Repeat("x", 500_000) + `"`)
		commit(t, s, flood)
	}
	before := size()
	c.pass(time.Hour)
	for range 20 {
		s.Tick()
	}
	checkActor(t, s, "ada", 60)
	closeStore(t, s) // with SQLite's log
	if after := size(); before < 25<<20 || after > 18<<20 {
		t.Errorf("the file shrank from %d to %d bytes, want to 18 MiB or less", before, after)
	}
}

// SQLite's log is moved into the file as it grows, unless another program does that.
func TestAutoCheckpoint(t *testing.T) {
	grown := func(pages int) int64 {
		dir := t.TempDir()
		o := quiet.WithoutSync()
		o.AutoCheckpoint = pages
		s := open(t, dir, o)
		defer closeStore(t, s)
		for rev := uint64(1); rev <= 40; rev++ {
			c := commitOf("ada", rev)
			c.Entries[0].Data = []byte(`"` + strings.Repeat("x", 200_000) + `"`)
			commit(t, s, c)
		}
		info, err := os.Stat(filepath.Join(dir, "troupe.db-wal"))
		if err != nil {
			t.Fatal(err)
		}
		return info.Size()
	}
	if small, standard, never := grown(50), grown(0), grown(-1); small > 1<<20 || standard < 2<<20 || standard > 5<<20 || never < 8<<20 {
		t.Errorf("got %d bytes with 50 pages, %d with the default and %d with none; want under 1 MiB, about 4 MiB, all 8 MB", small, standard, never)
	}
}

// An actor that changes and leaves memory while it is being loaded is read again.
func TestLoad_overtaken(t *testing.T) {
	for _, journal := range []bool{false, true} {
		t.Run(fmt.Sprint("some of it is in the journal: ", journal), func(t *testing.T) {
			dir, c := t.TempDir(), newClock()
			s := open(t, dir, quiet.WithClock(c.now))
			commit(t, s, commitOf("ada", 1))
			if !journal {
				c.pass(time.Hour)
				s.Tick()
				s.Tick()
			}
			after := crashed(t, dir)
			closeStore(t, s)
			overtake := func() {}
			s = open(t, after, quiet.WithClock(c.now).WithAfterRead(func() {
				f := overtake
				overtake = func() {}
				f()
			}))
			defer closeStore(t, s)
			forget := func() {
				c.pass(time.Hour)
				for range 3 {
					s.Tick()
				}
				if n, _ := s.Resident(); n != 0 {
					t.Fatalf("got %d actors in memory, want none", n)
				}
			}
			reads := 0
			change := func() {
				commit(t, s, commitOf("ada", 2))
				forget()
			}
			overtake = change
			if journal { // the first look is at the snapshot only
				overtake = func() { overtake = change; reads++ }
			}
			if got, err := s.Load(t.Context(), "ada"); err != nil || got.Rev != 2 {
				t.Errorf("got %+v, %v; want revision 2", got, err)
			}
			checkActor(t, s, "ada", 2)
			commit(t, s, commitOf("ada", 3))
		})
	}
}
