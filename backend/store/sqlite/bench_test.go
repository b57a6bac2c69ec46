//go:build linux

package sqlite_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// cpu is what the process has used of the processors.
func cpu() time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// reportCPU reports the CPU time of an operation, if all of them used that much.
func reportCPU(b *testing.B, used time.Duration) {
	b.ReportMetric(float64(used.Nanoseconds())/1e3/float64(b.N), "cpu-µs/op")
}

// fsyncs returns how often a second a small append to a file can be synced in a
// directory: the most that a store could commit one at a time.
func fsyncs(b *testing.B, dir string) float64 {
	b.Helper()
	f, err := os.Create(filepath.Join(dir, "sync"))
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	block := make([]byte, 4096)
	begin, n := time.Now(), 0
	for ; time.Since(begin) < 300*time.Millisecond; n++ {
		if _, err := f.Write(block); err != nil {
			b.Fatal(err)
		}
		if err := syscall.Fdatasync(int(f.Fd())); err != nil {
			b.Fatal(err)
		}
	}
	return float64(n) / time.Since(begin).Seconds()
}

// BenchmarkCommit commits turns with one event and one reply, about 600 bytes in
// all, of 1,000 actors, in groups of one size. An operation is one commit. What
// it takes to make the commits is not measured.
func BenchmarkCommit(b *testing.B) {
	const actors = 1000
	for _, size := range []int{1, 64, 1000} {
		b.Run(fmt.Sprint("group=", size), func(b *testing.B) {
			s := open(b, b.TempDir(), quiet)
			text := strings.Repeat("x", 150)
			data := json.RawMessage(`"` + text + `"`)
			var states [2][]byte
			for i := range states {
				states[i] = fmt.Appendf(nil, `{"list":[%q,%q,%q,%q],"n":%d}`, text, text, text, text, 123456+i)
			}
			commits := make([]store.Commit, actors)
			group := make([]*store.Commit, 0, size)
			for i := range commits {
				commits[i] = store.Commit{
					Actor: fmt.Sprint("actor", i), Name: "room", Key: []string{"a"}, Log: "log", Time: startTime, NextConn: 2,
					Entries: []store.Entry{
						{Event: "messageReceived", Data: data},
						{Caller: "caller", Data: data, Target: store.Target{Mode: store.ToOnly, Conns: []uint32{1}}},
					},
					Callers: []store.Caller{{ID: "caller", Used: startTime}},
				}
			}
			b.ReportAllocs()
			b.ResetTimer()
			before := cpu()
			for n := 0; n < b.N; n += size {
				group = group[:0]
				for i := range min(size, b.N-n) {
					c := &commits[(n+i)%actors]
					c.Rev++
					c.Base, c.State = c.State, states[c.Rev%2]
					c.Entries[0].Seq, c.Entries[1].Seq = 2*c.Rev-1, 2*c.Rev
					c.Entries[1].Call, c.Callers[0].Highest = c.Rev, c.Rev
					group = append(group, c)
				}
				if errs := s.Commit(b.Context(), group); errs != nil {
					b.Fatal(errs)
				}
			}
			b.StopTimer()
			reportCPU(b, cpu()-before)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
			closeStore(b, s)
		})
	}
}

// BenchmarkFloor is what the disk takes for as many bytes as BenchmarkCommit
// writes: one write and one fdatasync a group, to a file that is written over.
func BenchmarkFloor(b *testing.B) {
	for _, size := range []int{1, 64, 1000} {
		b.Run(fmt.Sprint("group=", size), func(b *testing.B) {
			f, err := os.Create(filepath.Join(b.TempDir(), "log"))
			if err != nil {
				b.Fatal(err)
			}
			defer f.Close()
			group := make([]byte, 600*size)
			b.ResetTimer()
			before := cpu()
			for n, at := 0, 0; n < b.N; n, at = n+size, (at+len(group))%(16<<20) {
				if _, err := f.WriteAt(group, int64(at)); err != nil {
					b.Fatal(err)
				}
				if err := syscall.Fdatasync(int(f.Fd())); err != nil {
					b.Fatal(err)
				}
			}
			b.StopTimer()
			reportCPU(b, cpu()-before)
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "commits/s")
		})
	}
}

// Doc is an actor with a state of some size.
type Doc struct {
	Filler []string `json:"filler"`
	N      int      `json:"n"`
}

// Counted is its event.
type Counted struct {
	N    int    `json:"n"`
	Text string `json:"text"`
}

// Fill makes the state size bytes large.
func (d *Doc) Fill(_ *actor.Context[actor.NoState], size int) {
	d.Filler = nil
	for n := 0; n < size; n += 100 {
		d.Filler = append(d.Filler, fmt.Sprintf("%097d", n))
	}
}

// Count changes a little of it and tells everybody.
func (d *Doc) Count(c *actor.Context[actor.NoState]) int {
	d.N++
	c.Broadcast(Counted{N: d.N, Text: strings.Repeat("x", 200)})
	return d.N
}

var docs = actor.NewRegistry(actor.Define[Doc]("doc", actor.Emits[Counted]()))

// durably calls Count on a node with a new store, callers at a time on each of
// some actors, until b is through, and reports how that went.
func durably(b *testing.B, actors, callers, stateBytes int) {
	dir := b.TempDir()
	s := open(b, dir, quiet)
	node := runtime.New(docs, s, runtime.Options{})
	ref := func(i int) host.Ref { return host.Ref{Name: "doc", Key: host.Key{fmt.Sprint(i)}} }
	call := func(i int, action string, args ...json.RawMessage) {
		if _, err := node.CallOnce(b.Context(), ref(i), host.DirectCall{Action: action, Args: args, Create: true}); err != nil {
			b.Error(err)
		}
	}
	for i := range actors {
		call(i, "fill", json.RawMessage(fmt.Sprint(stateBytes)))
	}
	disk := fsyncs(b, dir)
	var left atomic.Int64
	left.Store(int64(b.N))
	latencies := make([][]time.Duration, actors*callers)
	var wait sync.WaitGroup
	b.ResetTimer()
	before := cpu()
	for i := range latencies {
		wait.Go(func() {
			for left.Add(-1) >= 0 {
				begin := time.Now()
				call(i%actors, "count")
				latencies[i] = append(latencies[i], time.Since(begin))
			}
		})
	}
	wait.Wait()
	b.StopTimer()
	all := slices.Concat(latencies...)
	slices.Sort(all)
	rate := float64(b.N) / b.Elapsed().Seconds()
	reportCPU(b, cpu()-before)
	b.ReportMetric(rate, "actions/s")
	b.ReportMetric(rate/disk, "actions/fsync")
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "p50-µs")
	b.ReportMetric(float64(all[len(all)*99/100].Microseconds()), "p99-µs")
	if err := node.Shutdown(b.Context()); err != nil {
		b.Error(err)
	}
	closeStore(b, s)
}

// BenchmarkDurableActions is a node with a store: an operation is one action
// whose commit is durable. actions/fsync compares with how often the disk can
// sync, measured in the same run.
func BenchmarkDurableActions(b *testing.B) {
	for _, actors := range []int{1, 64, 1000} {
		b.Run(fmt.Sprint("actors=", actors), func(b *testing.B) { durably(b, actors, 1, 1000) })
	}
	b.Run("actors=1,callers=64", func(b *testing.B) { durably(b, 1, 64, 1000) })
}

// BenchmarkDurableActionsOfState is one actor with states of several sizes.
func BenchmarkDurableActionsOfState(b *testing.B) {
	for _, size := range []int{1000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint("bytes=", size), func(b *testing.B) { durably(b, 1, 1, size) })
	}
}

// BenchmarkOpen opens a store with 100,000 sleeping actors, and one with a
// journal of 64 MiB after a crash.
func BenchmarkOpen(b *testing.B) {
	for _, actors := range []int{100, 100_000} {
		b.Run(fmt.Sprint("asleep=", actors), func(b *testing.B) {
			dir := b.TempDir()
			c := newClock()
			o := quiet.WithClock(c.now)
			s := open(b, dir, o)
			for n := 0; n < actors; n += 100 {
				var group []*store.Commit
				for i := n; i < n+100; i++ {
					group = append(group, commitOf(fmt.Sprint("actor", i), 1))
				}
				commit(b, s, group...)
			}
			c.pass(time.Hour)
			for s.JournalBytes() > 0 {
				s.Tick()
			}
			closeStore(b, s)
			b.ResetTimer()
			for b.Loop() {
				s := open(b, dir, o)
				b.StopTimer()
				closeStore(b, s)
				b.StartTimer()
			}
		})
	}
	for _, size := range []int{1, 64} {
		b.Run(fmt.Sprint("journal,group=", size), func(b *testing.B) {
			dir := b.TempDir()
			o := quiet.WithClock(newClock().now)
			s := open(b, dir, o)
			n := 0
			for rev := uint64(1); s.JournalBytes() < 63<<20; rev++ {
				for first := 0; first < 1000; first += size {
					var group []*store.Commit
					for i := first; i < min(1000, first+size); i++ {
						group = append(group, commitOf(fmt.Sprint("actor", i), rev))
					}
					commit(b, s, group...)
					n += len(group)
				}
			}
			crash := crashed(b, dir)
			closeStore(b, s)
			b.ResetTimer()
			var after *sqlite.Store
			for b.Loop() {
				after = open(b, crash, o)
				b.StopTimer()
				b.ReportMetric(float64(n), "commits")
				after.CloseUnsaved(b)
				b.StartTimer()
			}
		})
	}
}

// BenchmarkSleep is an actor of about 1 KB that leaves memory, and BenchmarkLoad one that
// comes back: an operation is one snapshot, or one load.
func BenchmarkSleep(b *testing.B) { sleepAndLoad(b, true) }

// BenchmarkLoad is the other half of BenchmarkSleep.
func BenchmarkLoad(b *testing.B) { sleepAndLoad(b, false) }

func sleepAndLoad(b *testing.B, sleep bool) {
	const actors = 1000
	c := newClock()
	s := open(b, b.TempDir(), quiet.WithClock(c.now).WithoutSync())
	var used time.Duration
	b.ResetTimer()
	b.StopTimer()
	phase := func(measured bool, do func()) {
		before := cpu()
		if measured {
			b.StartTimer()
		}
		do()
		if b.StopTimer(); measured {
			used += cpu() - before
		}
	}
	for n, rev := 0, uint64(1); n < b.N; n, rev = n+actors, rev+1 {
		var group []*store.Commit
		for i := range actors {
			group = append(group, commitOf(fmt.Sprint("actor", i), rev))
		}
		commit(b, s, group...)
		phase(sleep, func() {
			for range 3 {
				c.pass(time.Hour)
				s.Tick()
			}
		})
		phase(!sleep, func() {
			for i := range min(actors, b.N-n) {
				if _, err := s.Load(b.Context(), fmt.Sprint("actor", i)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	reportCPU(b, used)
	closeStore(b, s)
}

// BenchmarkCommit_whileSaving is how long commits of one actor take while 100 MB of
// snapshots of another one are written.
func BenchmarkCommit_whileSaving(b *testing.B) {
	const size, rounds = 50 << 20, 2
	for b.Loop() {
		dir := b.TempDir()
		s := open(b, dir, quiet.WithIdleAfter(100*time.Millisecond))
		large := commitOf("large", 1)
		large.State = []byte(`["` + strings.Repeat("x", size) + `"]`)
		commit(b, s, large)
		var latencies []time.Duration
		rev := uint64(0)
		small := func() {
			rev++
			c := commitOf("small", rev)
			begin := time.Now()
			commit(b, s, c)
			latencies = append(latencies, time.Since(begin))
		}
		for round := range uint64(rounds) {
			edit := commitOf("large", round+2)
			edit.Base, edit.State = nil, nil
			edit.Edits = []store.Edit{{At: size / 2, Cut: 1, Put: []byte("y")}}
			commit(b, s, edit)
			for deadline := time.Now().Add(time.Minute); s.Unsaved("large") && time.Now().Before(deadline); {
				small()
			}
		}
		slices.Sort(latencies)
		for _, p := range []int{500, 990, 999, 1000} {
			b.ReportMetric(float64(latencies[(len(latencies)-1)*p/1000].Microseconds())/1000, fmt.Sprintf("p%g-ms", float64(p)/10))
		}
		b.ReportMetric(float64(len(latencies)), "commits")
		closeStore(b, s)
	}
}
