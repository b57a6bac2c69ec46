//go:build unix

package sqlite_test

import (
	"errors"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	sqlite3 "modernc.org/sqlite/lib"

	"github.com/troupe-dev/troupe/backend/store"
)

func TestDiskFull(t *testing.T) {
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
	s.Tick() // recovers without a commit
	if err := s.Health(); err != nil {
		t.Errorf("Health with room again: %v", err)
	}
	commit(t, s, commitOf("ada", 2), commitOf("new", 1))
	checkActor(t, s, "ada", 2)
	checkActor(t, s, "bob", 1)
}

// After a failed sync it is not known what is on disk. Load decides it, and its
// answer stays true even after a loss of power.
func TestDiskFails(t *testing.T) {
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

// A disk that fails at random moments loses no acknowledged commit.
func TestDiskFailsAtRandom(t *testing.T) {
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
	for range 700 {
		switch r.IntN(10) {
		case 0:
			n, which := r.IntN(6), r.Int()
			d.failing(func(op diskOp, _ string) int32 {
				if n--; n < 0 && op != opClose {
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

// A store whose disk fails, and one that is closed, returns an error and never an
// empty result, also at the moment of the failure.
func TestLoad_whileTheDiskFails(t *testing.T) {
	d := newDisk(t)
	o := quiet
	o.Retention = 1e6 * time.Hour // each look at the clock takes 100 ms
	s := open(t, t.TempDir(), o.WithVFS(d.name).WithClock(newClockThatRuns().now))
	commit(t, s, commitOf("ada", 1))
	var reads sync.RWMutex // locked: no read is under way, which would close its file when it ends
	var wait sync.WaitGroup
	stop := make(chan struct{})
	for range 8 {
		wait.Go(func() {
			for {
				reads.RLock()
				if got, err := s.Load(t.Context(), "ada"); (got == nil) == (err == nil) {
					t.Errorf("Load: got %v, %v; want one of both", got, err)
				}
				got, err := s.Entries(t.Context(), "ada", 0, 10, 1<<20)
				if err == nil && len(got) != 1 {
					t.Errorf("Entries: got %v, %v; want one entry or an error", got, err)
				}
				reads.RUnlock()
				select {
				case <-stop:
					return
				default:
				}
			}
		})
	}
	for rev := uint64(1); rev <= 50; rev++ {
		d.failing(func(op diskOp, _ string) int32 {
			switch op {
			case opSync:
				return sqlite3.SQLITE_IOERR_FSYNC
			case opClose: // a reader at this moment must get the reason
				if s.Health() == nil {
					t.Error("the file is closed before Health says why")
				}
			}
			return 0
		})
		_ = s.Commit(t.Context(), []*store.Commit{commitOf("bob", rev)})
		d.failing(nil)
		for s.Health() != nil {
			s.Tick()
		}
		func() {
			reads.Lock() // those of the old file end
			defer reads.Unlock()
		}()
	}
	d.failing(func(op diskOp, _ string) int32 {
		if op == opClose && s.Health() == nil {
			t.Error("Close: the file is closed before Health says so")
		}
		return 0
	})
	closeStore(t, s)
	close(stop)
	wait.Wait()
}

func TestClose_whileTheDiskFails(t *testing.T) {
	d := newDisk(t)
	s := open(t, t.TempDir(), quiet.WithVFS(d.name).WithClock(newClock().now))
	commit(t, s, commitOf("ada", 1))
	d.failAll(opSync, sqlite3.SQLITE_IOERR_FSYNC)
	if err := s.Close(); err == nil {
		t.Error("Close: got nil, want the disk's error")
	}
	checkClosed(t, s)
	// The acknowledged commit is on disk.
	again := open(t, d.powerLoss(t, rand.New(rand.NewPCG(1, 0))), quiet)
	defer closeStore(t, again)
	checkActor(t, again, "ada", 1)
}

// A process does not write to a file that another process took over while its disk
// failed.
func TestG10_TakenOverWhileTheDiskFailed(t *testing.T) {
	dir, d, c := t.TempDir(), newDisk(t), newClock()
	s := open(t, dir, quiet.WithVFS(d.name).WithClock(c.now))
	defer closeStore(t, s)
	commit(t, s, commitOf("ada", 1))
	d.failAll(opSync, sqlite3.SQLITE_IOERR_FSYNC)
	if errs := s.Commit(t.Context(), []*store.Commit{commitOf("ada", 2)}); errs == nil {
		t.Fatal("a commit while the disk fails: got no error")
	}
	d.failing(nil)
	exec(t, raw(t, dir), "UPDATE meta SET epoch = epoch + 1")
	c.pass(time.Second)
	checkFenced(t, s)
	if errs := s.Commit(t.Context(), []*store.Commit{commitOf("ada", 2)}); len(errs) != 1 || !errors.Is(errs[0], store.ErrConflict) {
		t.Errorf("Commit: got %v, want ErrConflict", errs)
	}
	exec(t, raw(t, dir), "UPDATE meta SET epoch = epoch - 1")
	c.pass(time.Second)
	checkFenced(t, s) // permanently
}

// While another program reads the file, a store whose disk failed stays unavailable:
// SQLite's log cannot be made durable.
func TestReopening_withAReader(t *testing.T) {
	dir, d, c := t.TempDir(), newDisk(t), newClock()
	s := open(t, dir, quiet.WithVFS(d.name).WithClock(c.now).WithBusy(time.Millisecond))
	defer closeStore(t, s)
	commit(t, s, commitOf("ada", 1))
	reader := startReading(t, dir)
	d.failAll(opSync, sqlite3.SQLITE_IOERR_FSYNC)
	if errs := s.Commit(t.Context(), []*store.Commit{commitOf("ada", 2)}); errs == nil {
		t.Fatal("a commit while the disk fails: got no error")
	}
	d.failing(nil)
	c.pass(time.Second)
	if _, err := s.Load(t.Context(), "ada"); err == nil || !strings.Contains(err.Error(), "another program is reading it") {
		t.Errorf("Load: got %v, want an error that another program is reading", err)
	}
	if err := reader.Close(); err != nil {
		t.Fatal(err)
	}
	c.pass(time.Second)
	checkActor(t, s, "ada", 1)
	if err := s.Health(); err != nil {
		t.Errorf("Health: %v", err)
	}
}

// A process that is killed may have written commits and not synced them. The next
// process makes them durable before it returns them, even if it cannot move them into
// the file because another program reads it.
func TestG6_StartingWithAReaderMakesDurable(t *testing.T) {
	dir, d := t.TempDir(), newDisk(t)
	s := open(t, dir, quiet.WithVFS(d.name).WithClock(newClock().now))
	s.SyncOff(t.Context())
	for rev := uint64(1); rev <= 20; rev++ {
		commit(t, s, commitOf("ada", rev))
	}
	startReading(t, dir)
	s.CloseUnsaved(t)
	s = open(t, dir, quiet.WithVFS(d.name))
	checkActor(t, s, "ada", 20)
	for i := range uint64(20) {
		after := open(t, d.powerLoss(t, rand.New(rand.NewPCG(i, 0))), quiet)
		checkActor(t, after, "ada", 20)
		closeStore(t, after)
	}
	closeStore(t, s)
}

// A store whose file is deleted while its disk fails does not make a new one.
func TestDiskFails_fileGone(t *testing.T) {
	dir, d, c := t.TempDir(), newDisk(t), newClock()
	s := open(t, dir, quiet.WithVFS(d.name).WithClock(c.now))
	commit(t, s, commitOf("ada", 1))
	d.failAll(opSync, sqlite3.SQLITE_IOERR_FSYNC)
	if errs := s.Commit(t.Context(), []*store.Commit{commitOf("ada", 2)}); errs == nil {
		t.Fatal("a commit while the disk fails: got no error")
	}
	d.failing(nil)
	path := filepath.Join(dir, "troupe.db")
	must(t, os.Remove(path))
	c.pass(time.Second)
	s.Tick()
	if err := s.Health(); !errors.Is(err, store.ErrGone) {
		t.Errorf("Health: got %v, want ErrGone", err)
	}
	if _, err := os.Stat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("got %v, want no new file", err)
	}
	_ = s.Close() // nothing is open
}
