package jetstream

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// BenchmarkCommit is the cost of a commit of about 600 bytes, with some actors that each
// wait for the last one: in groups that are as long as they have become meanwhile.
func BenchmarkCommit(b *testing.B) {
	for _, actors := range []int{1, 64, 1000} {
		b.Run(fmt.Sprintf("actors=%d/store=sqlite", actors), func(b *testing.B) {
			s, err := sqlite.Open(b.Context(), b.TempDir(), sqlite.Options{Logger: slog.New(slog.DiscardHandler)})
			if err != nil {
				b.Fatal(err)
			}
			benchmarkCommit(b, s, actors)
		})
		b.Run(fmt.Sprintf("actors=%d/store=one", actors), func(b *testing.B) {
			benchmarkCommit(b, oneServer(b).newPlace(quiet).takeOver(b), actors)
		})
		b.Run(fmt.Sprintf("actors=%d/store=three", actors), func(b *testing.B) {
			benchmarkCommit(b, threeServers(b).newPlace(quiet).takeOver(b), actors)
		})
	}
}

// benchmarkCommit commits as the runtime does: one group at a time, of all actors that
// have something, about a millisecond apart.
func benchmarkCommit(b *testing.B, s store.Store, actors int) {
	defer s.Close()
	text := make([]byte, 300)
	for i := range text {
		text[i] = 'x'
	}
	type actor struct {
		c    *store.Commit
		done chan struct{}
	}
	queue := make(chan actor, actors)
	var committer sync.WaitGroup
	committer.Go(func() {
		var group []*store.Commit
		var waiting []chan struct{}
		for first := range queue {
			group, waiting = append(group[:0], first.c), append(waiting[:0], first.done)
			for more := true; more; {
				select {
				case a, ok := <-queue:
					if more = ok; ok {
						group, waiting = append(group, a.c), append(waiting, a.done)
					}
				default:
					more = false
				}
			}
			if errs := s.Commit(context.Background(), group); errs != nil {
				b.Error(errs)
			}
			for _, done := range waiting {
				done <- struct{}{}
			}
		}
	})
	before := cpuTime(b)
	b.ResetTimer()
	var wg sync.WaitGroup
	for i := range actors {
		wg.Go(func() {
			id, done := fmt.Sprint("actor", i), make(chan struct{}, 1)
			for rev := uint64(1); rev <= uint64(b.N/actors+1); rev++ {
				c := commitOf(id, rev)
				c.State = fmt.Appendf(nil, `{"rev":%d,"text":%q}`, rev, text)
				c.Time = time.Now()
				c.Entries[0].Data = fmt.Appendf(nil, `%q`, text[:150])
				queue <- actor{c, done}
				<-done
			}
		})
	}
	wg.Wait()
	close(queue)
	committer.Wait()
	b.StopTimer()
	b.ReportMetric(float64((cpuTime(b)-before).Microseconds())/float64(b.N), "cpu-µs/op")
}

// cpuTime is what this process and the servers have used of processors so far.
func cpuTime(b *testing.B) time.Duration {
	pids := []int{os.Getpid()}
	for _, p := range servers.three {
		pids = append(pids, p.cmd.Process.Pid)
	}
	total := time.Duration(0)
	for _, pid := range pids {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		if err != nil {
			b.Skip("there is no /proc: ", err)
		}
		const user, system, tick = 11, 12, 10 * time.Millisecond // counted from behind the name
		fields := strings.Fields(string(stat[strings.LastIndexByte(string(stat), ')')+1:]))
		for _, i := range []int{user, system} {
			n, err := strconv.Atoi(fields[i])
			if err != nil {
				b.Fatal(err)
			}
			total += time.Duration(n) * tick
		}
	}
	return total
}
