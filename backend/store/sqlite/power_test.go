//go:build unix

package sqlite_test

import (
	"flag"
	"math/rand/v2"
	"os"
	"slices"
	"testing"

	"github.com/troupe-dev/troupe/backend/store"
)

var (
	lossesFlag = flag.Int("sqlite.losses", 8, "how many losses of power to simulate")
	powerSeed  = flag.Uint64("sqlite.seed", 0, "seed of the random choices; 0: another one each time")
)

// G6: what the store has acknowledged survives the loss of power, at any moment.
func TestG6_PowerLoss(t *testing.T) {
	seed := *powerSeed
	if seed == 0 {
		seed = rand.Uint64() | 1
	}
	t.Logf("to repeat its choices: -sqlite.seed=%d", seed)
	r := rand.New(rand.NewPCG(seed, 0))
	d := newDisk(t)
	// A small journal and ticks all the time: snapshots and trimming are under way.
	o := quiet.WithVFS(d.name)
	o.MaxBytes = 200 << 10
	s := open(t, t.TempDir(), o)
	w := startWriters(t, s, 8)
	var checked, beyond int
	for range *lossesFlag {
		<-w.moved // however busy the machine is
		for range r.IntN(2000) {
			_, _ = os.Stat("/") // some microseconds
		}
		acked := w.acknowledged()
		dir := d.powerLoss(t, r)
		after := open(t, dir, quiet)
		for actor, rev := range acked {
			checkActor(t, after, actor, rev)
			checked++
			if got, err := after.Load(t.Context(), actor); err == nil && got.Rev > rev {
				beyond++
			}
		}
		closeStore(t, after)
		if t.Failed() {
			break
		}
		if err := os.RemoveAll(dir); err != nil {
			t.Fatal(err)
		}
	}
	close(w.stop)
	w.wait.Wait()
	closeStore(t, s)
	total := uint64(0)
	for _, rev := range w.acked {
		total += rev
	}
	t.Logf("%d losses of power, %d actors checked (%d were further than acknowledged), %d commits", *lossesFlag, checked, beyond, total)
	if total == 0 || checked == 0 {
		t.Error("nothing was checked")
	}
}

// The disk of these tests loses unsynced writes: a database that does not sync loses
// rows.
func TestDiskForgets(t *testing.T) {
	d := newDisk(t)
	s := open(t, t.TempDir(), quiet.WithVFS(d.name))
	s.SyncOff(t.Context())
	for rev := uint64(1); rev <= 20; rev++ {
		if errs := s.Commit(t.Context(), []*store.Commit{commitOf("ada", rev)}); errs != nil {
			t.Fatal(errs)
		}
	}
	var revs []uint64
	for i := range uint64(40) {
		after := open(t, d.powerLoss(t, rand.New(rand.NewPCG(i, 0))), quiet)
		rev := uint64(0)
		if got, err := after.Load(t.Context(), "ada"); err == nil {
			rev = got.Rev
		}
		revs = append(revs, rev)
		closeStore(t, after)
	}
	closeStore(t, s)
	if slices.Min(revs) == 20 {
		t.Errorf("got revisions %v, want some that are lost", revs)
	}
}
