package runtime_test

import (
	"context"
	"encoding/json"
	"log/slog"
	goruntime "runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// crowdStore counts loads, and how many run at the same time.
type crowdStore struct {
	store.Store
	mu    sync.Mutex
	now   int
	most  int
	loads map[string]int // of those that are counted
	count map[string]bool
}

func (s *crowdStore) Load(ctx context.Context, id string) (*store.Snapshot, error) {
	s.mu.Lock()
	s.now++
	s.most = max(s.most, s.now)
	if s.count[id] {
		s.loads[id]++
	}
	s.mu.Unlock()
	goruntime.Gosched()
	defer func() {
		s.mu.Lock()
		s.now--
		s.mu.Unlock()
	}()
	return s.Store.Load(ctx, id)
}

// crowd stores sleeping actors with a message at a time each.
func crowd(t testing.TB, s store.Store, from, n int, state string, due func(i int) time.Time) (ids []string) {
	t.Helper()
	for i := range n {
		ref := sleeperRef(from + i)
		id, at := host.ActorID(ref.Name, ref.Key), due(i).Truncate(time.Millisecond).UTC()
		c := &store.Commit{
			Actor: id, Name: ref.Name, Key: ref.Key, Log: "l", Rev: 1, Time: time.Now(), Born: 1, State: []byte(state), NextMessage: 1,
			Messages: []store.Message{{ID: 1, Order: 1, Type: "wakeUp", Data: json.RawMessage(`{"again":0}`), Due: at}}, Due: at,
		}
		if errs := s.Commit(t.Context(), []*store.Commit{c}); errs != nil {
			t.Fatal(errs)
		}
		ids = append(ids, id)
	}
	return ids
}

// When a crowd is due at once, all run on time, though some of them cannot be loaded: 16 are
// loaded at the same time, few are in memory, and those that fail are not tried again in
// each pass.
func TestG11_ACrowdIsDueAtOnce(t *testing.T) {
	good, bad := 90_000, 10_000
	if testing.Short() {
		good, bad = 4_500, 500
	}
	inBubble(t, func(t *testing.T) {
		s := &crowdStore{Store: memory.New(memory.Options{}), loads: map[string]int{}, count: map[string]bool{}}
		due := func(int) time.Time { return time.Now().Add(time.Minute) }
		for _, id := range crowd(t, s, 0, bad, `{"ran":"none"}`, due) {
			s.count[id] = true
		}
		crowd(t, s, bad, good, `{"ran":[]}`, due)
		sleeperRuns.take()
		n := runtime.New(sleepers, s, runtime.Options{Logger: slog.New(slog.DiscardHandler)})
		defer n.Shutdown(context.Background())
		most, done := 0, make(chan struct{})
		go func() {
			defer close(done)
			time.Sleep(time.Minute)
			for range 10_000 {
				most = max(most, n.Stats().Awake)
				goruntime.Gosched()
			}
		}()
		time.Sleep(2 * time.Minute)
		<-done
		late := sleeperRuns.take()
		if len(late) != good {
			t.Fatalf("%d messages have run, want %d", len(late), good)
		}
		if last := late[len(late)-1]; last > time.Second {
			t.Errorf("one was late by %s", last)
		}
		s.mu.Lock()
		defer s.mu.Unlock()
		if s.most > 16 {
			t.Errorf("%d actors were loaded at the same time, want at most 16", s.most)
		}
		if most > 1000 {
			t.Errorf("%d actors were in memory", most)
		}
		for id, n := range s.loads {
			if n > 7 { // after 0, 1, 3, 7, 15, 31 and 63 s
				t.Fatalf("actor %s, which cannot be loaded, was loaded %d times in a minute", id, n)
			}
		}
		if len(s.loads) != bad {
			t.Errorf("%d of the actors that cannot be loaded were tried, want %d", len(s.loads), bad)
		}
	})
}

// BenchmarkDue runs the messages of 100,000 sleeping actors that are due at once, and calls
// another actor each millisecond, before that and meanwhile.
func BenchmarkDue(b *testing.B) {
	const actors, quiet = 100_000, 2 * time.Second
	bystand := func(n *runtime.Node, until func() bool) (p99 float64) {
		var took []time.Duration
		for !until() {
			start := time.Now()
			if _, err := n.CallOnce(b.Context(), sleeperRef(actors), host.DirectCall{Create: true, Action: "getRan"}); err != nil {
				b.Error(err)
			}
			took = append(took, time.Since(start))
			time.Sleep(time.Millisecond)
		}
		slices.Sort(took)
		return float64(took[len(took)*99/100].Microseconds())
	}
	for b.Loop() {
		b.StopTimer()
		s := &crowdStore{Store: memory.New(memory.Options{})}
		at := time.Now().Add(quiet + 5*time.Second) // to store them takes a while
		crowd(b, s, 0, actors, `{"ran":[]}`, func(int) time.Time { return at })
		sleeperRuns.take()
		var before, now goruntime.MemStats
		goruntime.GC()
		goruntime.ReadMemStats(&before)
		n := runtime.New(sleepers, s, runtime.Options{Logger: slog.New(slog.DiscardHandler)})
		b.ReportMetric(bystand(n, func() bool { return !time.Now().Before(at) }), "us-p99-quiet")
		b.StartTimer()
		start := time.Now()
		var done atomic.Bool
		p99 := make(chan float64)
		go func() { p99 <- bystand(n, done.Load) }()
		awake := 0
		for ran := 0; ran < actors; {
			time.Sleep(5 * time.Millisecond)
			awake = max(awake, n.Stats().Awake)
			ran += len(sleeperRuns.take())
		}
		b.ReportMetric(float64(time.Since(start).Nanoseconds())/actors, "ns/message")
		done.Store(true)
		b.ReportMetric(<-p99, "us-p99-due")
		b.ReportMetric(float64(s.most), "loads")
		b.ReportMetric(float64(awake), "awake")
		goruntime.GC()
		goruntime.ReadMemStats(&now)
		b.ReportMetric(float64(int64(now.HeapInuse)-int64(before.HeapInuse))/(1<<20), "MiB")
		if err := n.Shutdown(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAlarmDelay reports how late the messages of sleeping actors are, one each
// millisecond, among 100,000 others whose messages are due in a year.
func BenchmarkAlarmDelay(b *testing.B) {
	const others, actors = 100_000, 2000
	for b.Loop() {
		s := memory.New(memory.Options{})
		crowd(b, s, actors, others, `{"ran":[]}`, func(int) time.Time { return time.Now().AddDate(1, 0, 0) })
		start := time.Now().Add(time.Second)
		crowd(b, s, 0, actors, `{"ran":[]}`, func(i int) time.Time { return start.Add(time.Duration(i) * time.Millisecond) })
		sleeperRuns.take()
		n := runtime.New(sleepers, s, runtime.Options{Logger: slog.New(slog.DiscardHandler)})
		time.Sleep(time.Until(start) + actors*time.Millisecond + 5*time.Second)
		late := sleeperRuns.take()
		if len(late) != actors {
			b.Fatalf("%d messages have run, want %d", len(late), actors)
		}
		b.ReportMetric(float64(late[actors/2].Microseconds())/1000, "p50-ms")
		b.ReportMetric(float64(late[actors*99/100].Microseconds())/1000, "p99-ms")
		b.ReportMetric(float64(late[actors-1].Microseconds())/1000, "max-ms")
		if err := n.Shutdown(context.Background()); err != nil {
			b.Fatal(err)
		}
	}
}
