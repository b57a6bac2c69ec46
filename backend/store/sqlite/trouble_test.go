//go:build unix

package sqlite_test

import (
	"errors"
	"math/rand/v2"
	"testing"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/troupe-dev/troupe/backend/store"
)

func TestADiskThatIsFull(t *testing.T) {
	d, c := newDisk(t), newClock()
	s := open(t, t.TempDir(), quiet.WithVFS(d.name).WithClock(c.now))
	defer closeStore(t, s)
	commit(t, s, commitOf("ada", 1), commitOf("bob", 1))

	d.failAll(opWrite, sqlite3.SQLITE_FULL)
	for range 3 { // the second and third are not even tried
		errs := s.Commit(t.Context(), []*store.Commit{commitOf("ada", 2), commitOf("new", 1)})
		if len(errs) != 2 || !errors.Is(errs[0], store.ErrFull) || !errors.Is(errs[1], store.ErrFull) {
			t.Fatalf("got %v, want ErrFull twice", errs)
		}
	}
	if err := s.Health(); !errors.Is(err, store.ErrFull) {
		t.Errorf("Health: got %v, want ErrFull", err)
	}
	checkActor(t, s, "ada", 1)
	if _, err := s.Load(t.Context(), "new"); !errors.Is(err, store.ErrNotFound) {
		t.Errorf("an actor whose first commit failed: got %v, want ErrNotFound", err)
	}

	d.failing(nil)
	c.pass(time.Second)
	s.Tick() // finds out without a commit
	if err := s.Health(); err != nil {
		t.Errorf("Health with room again: %v", err)
	}
	commit(t, s, commitOf("ada", 2), commitOf("new", 1))
	checkActor(t, s, "ada", 2)
	checkActor(t, s, "bob", 1)
}

// After a sync that failed nobody knows what is on the disk. Load says it, and
// what it says stays true, whatever happens to the power.
func TestADiskThatFails(t *testing.T) {
	for _, op := range []diskOp{opSync, opWrite} {
		t.Run(string(op), func(t *testing.T) {
			d, c := newDisk(t), newClock()
			s := open(t, t.TempDir(), quiet.WithVFS(d.name).WithClock(c.now))
			defer closeStore(t, s)
			for rev := uint64(1); rev <= 5; rev++ {
				commit(t, s, commitOf("ada", rev))
			}
			code := int32(sqlite3.SQLITE_IOERR_FSYNC)
			if op == opWrite {
				code = sqlite3.SQLITE_IOERR_WRITE
			}
			d.failAll(op, code)
			errs := s.Commit(t.Context(), []*store.Commit{commitOf("ada", 6)})
			if len(errs) != 1 || !errors.Is(errs[0], store.ErrUnknown) {
				t.Fatalf("got %v, want ErrUnknown", errs)
			}
			c.pass(time.Second)
			if got, err := s.Load(t.Context(), "ada"); err == nil {
				t.Errorf("Load while the disk fails: got revision %d, want an error: what it says might not stay true", got.Rev)
			}
			if errs := s.Commit(t.Context(), []*store.Commit{commitOf("ada", 6)}); len(errs) != 1 || errors.Is(errs[0], store.ErrUnknown) {
				t.Errorf("a commit while the disk fails: got %v, want an error that keeps nothing", errs)
			}
			if s.Health() == nil {
				t.Error("Health: got nil while the disk fails")
			}

			d.failing(nil)
			c.pass(time.Second)
			got, err := s.Load(t.Context(), "ada")
			if err != nil || got.Rev < 5 || got.Rev > 6 {
				t.Fatalf("Load: got %+v, %v; want revision 5 or 6", got, err)
			}
			if err := s.Health(); err != nil {
				t.Errorf("Health of a disk that works again: %v", err)
			}
			for i := range uint64(20) {
				after := open(t, d.powerLoss(t, rand.New(rand.NewPCG(i, 0))), quiet)
				checkActor(t, after, "ada", got.Rev)
				if again, err := after.Load(t.Context(), "ada"); err != nil || again.Rev != got.Rev {
					t.Errorf("after a loss of power: got %+v, %v; want revision %d", again, err, got.Rev)
				}
				closeStore(t, after)
			}
			commit(t, s, commitOf("ada", got.Rev+1))
			checkActor(t, s, "ada", got.Rev+1)
		})
	}
}

// A disk that fails at random moments, all the time, loses nothing that was
// acknowledged.
func TestADiskThatFailsAllTheTime(t *testing.T) {
	d := newDisk(t)
	o := quiet.WithVFS(d.name).WithClock(newClockThatRuns().now)
	o.MaxBytes = 50 << 10
	s := open(t, t.TempDir(), o)
	defer closeStore(t, s)
	r := rand.New(rand.NewPCG(1, 1))
	codes := map[diskOp][]int32{ // as SQLite's own file system gives them
		opWrite: {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR_WRITE}, opSync: {sqlite3.SQLITE_IOERR_FSYNC}, opTruncate: {sqlite3.SQLITE_IOERR_TRUNCATE},
	}
	acked, known, failures := uint64(0), uint64(0), 0
	for range 1000 {
		switch r.IntN(10) {
		case 0:
			n, which := r.IntN(6), r.Int()
			d.failing(func(op diskOp, _ string) int32 {
				if n--; n < 0 {
					return codes[op][which%len(codes[op])]
				}
				return 0
			})
		case 1, 2, 3:
			d.failing(nil)
		}
		errs := s.Commit(t.Context(), []*store.Commit{commitOf("ada", known+1)})
		switch {
		case errs == nil:
			known++
			acked = known
			continue
		case errors.Is(errs[0], store.ErrConflict):
			t.Fatalf("revision %d: %v", known+1, errs[0])
		}
		failures++
		if errors.Is(errs[0], store.ErrUnknown) {
			d.failing(nil)
			got, err := s.Load(t.Context(), "ada")
			for range 10 {
				if err == nil || errors.Is(err, store.ErrNotFound) {
					break
				}
				got, err = s.Load(t.Context(), "ada")
			}
			switch {
			case errors.Is(err, store.ErrNotFound) && acked == 0:
			case err != nil:
				t.Fatalf("Load after %v: %v", errs[0], err)
			case got.Rev < acked || got.Rev > known+1:
				t.Fatalf("Load: got revision %d, want %d or %d", got.Rev, acked, known+1)
			default:
				known = got.Rev
				acked = known
			}
		}
	}
	d.failing(nil)
	checkActor(t, s, "ada", acked)
	if failures < 50 || acked < 200 {
		t.Errorf("got %d failures and %d commits, want many of both", failures, acked)
	}
}
