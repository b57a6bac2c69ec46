//go:build linux

package crashtest

import (
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
	"unsafe"
)

// diskSize is the size of a node's disk. Its file has only what the node writes.
const diskSize = 1 << 30

// disk is a file system of its own in a file, mounted for the data of one node. It can be full,
// and lose its power.
type disk struct{ image, dir string }

// newDisk makes a disk and mounts it at dir, which is new. The error says why this process may not.
func newDisk(t *testing.T, dir string) (*disk, error) {
	d := &disk{dir + ".img", dir}
	file, err := os.Create(d.image)
	if err == nil {
		err = errors.Join(file.Truncate(diskSize), file.Close(), os.Mkdir(dir, 0o700))
	}
	if err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.ext4", "-q", "-m", "0", d.image).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("mkfs.ext4: %w: %s", err, out)
	}
	if err := d.mount(); err != nil {
		return nil, err
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(d.dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return d, nil
}

func (d *disk) mount() error {
	if out, err := exec.Command("mount", "-o", "loop", d.image, d.dir).CombinedOutput(); err != nil {
		return fmt.Errorf("mount -o loop: %w: %s", err, out)
	}
	return nil
}

// cutPower ends the file system as the loss of power does: nothing reaches the image any more,
// neither what is in memory only nor the file system's journal of it.
func (d *disk) cutPower() error {
	const shutdown, noLogFlush = 0x8004587d, 2 // EXT4_IOC_SHUTDOWN, EXT4_GOING_FLAGS_NOLOGFLUSH
	dir, err := os.Open(d.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	flags := uint32(noLogFlush)
	if _, _, errno := syscall.Syscall(syscall.SYS_IOCTL, dir.Fd(), shutdown, uintptr(unsafe.Pointer(&flags))); errno != 0 {
		return fmt.Errorf("shut the file system down: %w", errno)
	}
	return nil
}

// restorePower mounts what the image has, when no process uses the disk.
func (d *disk) restorePower() error {
	if err := syscall.Unmount(d.dir, 0); err != nil {
		return fmt.Errorf("unmount %s: %w", d.dir, err)
	}
	return d.mount()
}

// fill takes all room that is left.
func (d *disk) fill() error {
	file, err := os.Create(d.ballast())
	if err != nil {
		return err
	}
	defer file.Close()
	for size := int64(diskSize); size >= 1<<10; size /= 2 {
		for err = nil; err == nil; {
			var at int64
			if at, err = file.Seek(0, 2); err != nil {
				return err
			}
			if err = syscall.Fallocate(int(file.Fd()), 0, at, size); err == nil {
				_, err = file.Seek(at+size, 0)
			}
		}
		if !errors.Is(err, syscall.ENOSPC) {
			return err
		}
	}
	return nil
}

// leave gives some bytes of a full disk back.
func (d *disk) leave(bytes int64) error {
	info, err := os.Stat(d.ballast())
	if err != nil {
		return err
	}
	return os.Truncate(d.ballast(), info.Size()-bytes)
}

// makeRoom undoes fill, also if the power is cut then.
func (d *disk) makeRoom() error {
	dir, err := os.Open(d.dir)
	if err != nil {
		return err
	}
	defer dir.Close()
	return errors.Join(os.Remove(d.ballast()), dir.Sync())
}

func (d *disk) ballast() string { return filepath.Join(d.dir, "ballast") }

// power cuts the power of some nodes at once, and returns of how many processes.
func (c *nodes) power(some []int, away time.Duration) (ended int) {
	for _, i := range some {
		c.all[i].pause(true) // so that none sees the others' end, or its own disk's
	}
	for _, i := range some {
		n := c.all[i]
		n.mu.Lock()
		if !n.dark { // else it has not been there since the last time
			n.dark = true
			if err := n.disk.cutPower(); err != nil {
				n.t.Error(err)
			}
		}
		n.mu.Unlock()
	}
	return c.end(syscall.SIGKILL, some, away)
}

// fill fills the disk of a node until its process has ended by itself. For a while longer there
// are only a few bytes left, and it may be started again and end again.
func (c *nodes) fill(n *node, left int64, longer time.Duration) {
	within := func(what string, f func() bool) bool {
		for deadline := time.Now().Add(settling); !n.locked(f); time.Sleep(20 * time.Millisecond) {
			if time.Now().After(deadline) {
				n.t.Errorf("a node whose disk is full: %s not within %v", what, settling)
				return false
			}
		}
		return true
	}
	before := 0
	full := within("it was not started", func() bool {
		if n.cmd == nil || n.ending != 0 {
			return false // what an earlier fault ends has to end as that fault wants it
		}
		if err := n.disk.fill(); err != nil {
			n.t.Error(err)
		}
		before, n.mayFail = n.failed, math.MaxInt
		return true
	})
	if !full || !within("it did not end", func() bool { return n.failed > before }) {
		return
	}
	if err := n.disk.leave(left); err != nil {
		n.t.Error(err)
	}
	time.Sleep(longer)
	n.locked(func() bool {
		n.mayFail = n.starts // which may have met the full disk, too
		if err := n.disk.makeRoom(); err != nil {
			n.t.Error(err)
		}
		return true
	})
}

func (n *node) locked(f func() bool) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return f()
}

// The disks of these tests forget what was not synced when their power is cut, and nothing else;
// and take nothing when they are full.
func TestNodeDisks(t *testing.T) {
	d, err := newDisk(t, filepath.Join(t.TempDir(), "disk"))
	if err != nil {
		t.Skip(err)
	}
	path := func(name string) string { return filepath.Join(d.dir, name) }
	const text = "some text that is short"
	must(t, os.WriteFile(path("synced"), []byte(text), 0o600))
	file, err := os.OpenFile(path("synced"), os.O_RDWR, 0)
	must(t, errors.Join(err, file.Sync(), file.Close(), os.WriteFile(path("forgotten"), []byte(text), 0o600)))
	must(t, d.cutPower())
	if os.WriteFile(path("late"), []byte(text), 0o600) == nil {
		t.Error("a disk without power can be written to")
	}
	must(t, d.restorePower())
	if got, err := os.ReadFile(path("synced")); string(got) != text {
		t.Errorf("got %q, %v, want what was synced", got, err)
	}
	if got, err := os.ReadFile(path("forgotten")); len(got) > 0 {
		t.Errorf("got %q, %v, want nothing of what was not synced", got, err)
	}
	must(t, d.fill())
	if err := os.WriteFile(path("more"), []byte(text), 0o600); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("got %v, want a full disk", err)
	}
	must(t, d.makeRoom())
	must(t, d.cutPower())
	must(t, d.restorePower())
	must(t, os.WriteFile(path("more"), []byte(text), 0o600))
}
