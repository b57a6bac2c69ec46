//go:build linux

package crashtest

import (
	"math/rand/v2"
	"os/exec"
	"path/filepath"
	"slices"
	"testing"
	"time"
)

// G11, G12, combination 9: backups of a cluster under transfers, while nodes are broken. In what is
// restored of each, as the data of one server, money is conserved, and no alarm has rung twice.
func TestG12_NodesBackup(t *testing.T) {
	c, seed := startNodes(t, servePurses+"=1")
	r := rand.New(rand.NewPCG(seed, 400))
	var files []string
	var sum totals
	failed := 0
	runPurses(t, c, seed, func(func()) { // no fault of these kills a process
		for i := range *roundsFlag {
			time.Sleep(time.Duration(r.IntN(1000)) * time.Millisecond)
			broken := make(chan struct{})
			go func() {
				defer close(broken)
				c.fault(r, oneOf(r, others), &sum)
			}()
			file := filepath.Join(t.TempDir(), "backup.db")
			for begin := time.Now(); ; failed++ {
				out, err := c.backup(t, file)
				if err == nil {
					files = append(files, file)
					break
				}
				if time.Since(begin) > settling {
					t.Errorf("backup %d: %v\n%s", i, err, out)
					break
				}
			}
			if <-broken; !c.awaitReady() {
				t.Errorf("the nodes are not ready within %v", settling)
				return
			}
		}
	})
	for _, file := range files {
		checkRestored(t, c.all[0].binary, file)
	}
	t.Logf("%d backups, made again %d times: %+v", len(files), failed, sum)
}

// backup makes a backup of the cluster with the real binary.
func (c *nodes) backup(t *testing.T, file string) (out []byte, err error) {
	args := c.all[0].args
	flags := []string{"-log", "warn"}
	for _, name := range []string{"-cluster", "-cluster-secret", "-cluster-peers"} {
		flags = append(flags, name, args[slices.Index(args, name)+1])
	}
	return exec.Command(buildServer(t), append(flags, "backup", file)...).CombinedOutput()
}

// checkRestored checks the purses of a backup.
func checkRestored(t *testing.T, binary, file string) {
	data := t.TempDir()
	if out, err := exec.Command(buildServer(t), "-data", data, "restore", file).CombinedOutput(); err != nil {
		t.Errorf("restore: %v\n%s", err, out)
		return
	}
	s := newServerOf(t, binary)
	s.data, s.env = data, []string{servePurses + "=1"}
	s.start()
	var total int
	for deadline := time.Now().Add(settling); ; time.Sleep(20 * time.Millisecond) {
		total = 0
		for _, name := range []string{"a", "b", "c", "d", "jar", "tin"} {
			var p purse
			if err := purseCall(s, &p, name, "look", ""); err != nil {
				t.Fatal(err)
			}
			total += p.Balance
			for alarm, n := range p.Rang {
				if n != 1 {
					t.Errorf("after the restore of %s, alarm %s has rung %d times", file, alarm, n)
				}
			}
			if p.Disorder > 0 {
				t.Errorf("after the restore of %s, %d payments to %s were out of order", file, p.Disorder, name)
			}
		}
		if total == 0 || t.Failed() {
			break
		}
		if time.Now().After(deadline) {
			t.Errorf("after the restore of %s there is %d too much", file, total)
			break
		}
	}
	s.stop()
}
