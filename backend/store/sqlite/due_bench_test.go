//go:build linux

package sqlite_test

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	goruntime "runtime"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/sqlite"
)

// Person is woken once a year.
type Person struct {
	Age int `json:"age"`
}

type birthday struct{}

func (p *Person) birthday(c *actor.Context[actor.NoState], m birthday) error {
	p.Age++
	c.Schedule(c.Due().AddDate(1, 0, 0), m)
	return nil
}

var people = actor.NewRegistry(actor.Define[Person]("person", actor.Handles((*Person).birthday)))

// asleep makes a store with n sleeping actors, whose messages are due at times, if not nil. Its
// journal is empty: all are snapshots.
func asleep(b *testing.B, n int, due func(i int) time.Time) (*sqlite.Store, string) {
	b.Helper()
	dir := b.TempDir()
	c := newClock()
	s := open(b, dir, quiet.WithClock(c.now))
	for first := 0; first < n; first += 1000 {
		var group []*store.Commit
		for i := first; i < min(first+1000, n); i++ {
			key := host.Key{fmt.Sprint(i)}
			c := &store.Commit{Actor: host.ActorID("person", key), Name: "person", Key: key, Log: "l", Rev: 1, Born: 1, Time: startTime, State: []byte(`{"age":0}`)}
			if due != nil {
				at := due(i).Truncate(time.Millisecond).UTC()
				c.NextMessage, c.Due = 1, at
				c.Messages = []store.Message{{ID: 1, Order: 1, Type: "birthday", Data: json.RawMessage(`{}`), Due: at}}
			}
			group = append(group, c)
		}
		commit(b, s, group...)
	}
	c.pass(time.Hour)
	for s.JournalBytes() > 0 {
		s.Tick()
	}
	closeStore(b, s)
	return open(b, dir, quiet), dir
}

// BenchmarkYear has 100,000 sleeping actors, with a message a year each or without messages.
//
// An operation is what the node does for them each 30 seconds while nothing is due: it asks the
// store. wake is one whose message is due: it is loaded, runs, schedules the next one, and leaves
// memory.
func BenchmarkYear(b *testing.B) {
	const actors = 100_000
	for _, messages := range []int{0, actors} {
		b.Run(fmt.Sprint("messages=", messages), func(b *testing.B) {
			now := time.Now()
			due := func(i int) time.Time { return now.Add(time.Hour + time.Duration(i)*(365*24*time.Hour/actors)) }
			if messages == 0 {
				due = nil
			}
			var before, after goruntime.MemStats
			goruntime.GC()
			goruntime.ReadMemStats(&before)
			s, dir := asleep(b, actors, due)
			n := runtime.New(people, s, runtime.Options{Logger: quiet.Logger})
			b.ResetTimer()
			used := cpu()
			for range b.N {
				if wakes, err := s.Due(b.Context(), store.Wake{}, now.Add(30*time.Second), 256); err != nil || len(wakes) > 0 {
					b.Fatal(wakes, err)
				}
			}
			used = cpu() - used
			b.StopTimer()
			reportCPU(b, used)
			b.ReportMetric(used.Seconds()/float64(b.N)*2*60*24, "cpu-s/day")
			goruntime.GC()
			goruntime.ReadMemStats(&after)
			b.ReportMetric(float64(int64(after.HeapInuse)-int64(before.HeapInuse))/(1<<20), "MiB")
			info, err := os.Stat(filepath.Join(dir, "troupe.db"))
			if err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(info.Size())/actors, "file-B/actor")
			if err := n.Shutdown(context.Background()); err != nil {
				b.Error(err)
			}
			closeStore(b, s)
		})
	}
	b.Run("wake", func(b *testing.B) {
		s, _ := asleep(b, b.N, func(i int) time.Time { return startTime.Add(time.Duration(i) * time.Millisecond) })
		b.ResetTimer()
		used := cpu()
		n := runtime.New(people, s, runtime.Options{Logger: quiet.Logger})
		for due := b.N; due > 0; time.Sleep(5 * time.Millisecond) {
			wakes, err := s.Due(b.Context(), store.Wake{}, time.Now(), 1)
			if err != nil {
				b.Fatal(err)
			}
			due = len(wakes)
		}
		reportCPU(b, cpu()-used)
		if err := n.Shutdown(context.Background()); err != nil {
			b.Error(err)
		}
		closeStore(b, s)
	})
}
