package runtime_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	goruntime "runtime"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
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
	var group []*store.Commit
	for i := range n {
		ref := sleeperRef(from + i)
		id, at := host.ActorID(ref.Name, ref.Key), due(i).Truncate(time.Millisecond).UTC()
		c := &store.Commit{
			Actor: id, Name: ref.Name, Key: ref.Key, Log: "l", Rev: 1, Time: time.Now(), Born: 1, State: []byte(state), NextMessage: 1,
			Messages: []store.Message{{ID: 1, Order: 1, Type: "wakeUp", Data: json.RawMessage(`{"again":0}`), Due: at}}, Due: at,
		}
		group, ids = append(group, c), append(ids, id)
	}
	commitAll(t, s, group)
	return ids
}

func commitAll(t testing.TB, s store.Store, commits []*store.Commit) {
	t.Helper()
	for group := range slices.Chunk(commits, 1000) {
		if errs := s.Commit(t.Context(), group); errs != nil {
			t.Fatal(errs)
		}
	}
}

// pourers stores sleeping actors with a message to an actor that cannot be used each. They are
// due since a time.
func pourers(t testing.TB, s store.Store, n int, since time.Time) {
	t.Helper()
	dead, at := host.Key{"dead"}, since.Truncate(time.Millisecond).UTC()
	var group []*store.Commit
	for i := range n {
		key := host.Key{fmt.Sprint("pourer ", i)}
		order := uint64(since.UnixMicro())
		group = append(group, &store.Commit{
			Actor: host.ActorID("basin", key), Name: "basin", Key: key, Log: "l", Rev: 1, Time: since, Born: 1, State: []byte(`{"n":0}`), NextMessage: order,
			Messages: []store.Message{{ID: order, Order: order, To: host.ActorID("basin", dead), Name: "basin", Key: dead, Type: "drip", Data: json.RawMessage(`{}`)}}, Due: at,
		})
	}
	commitAll(t, s, group)
}

// When a crowd is due at once, all run on time, though some of them cannot be loaded, and a
// thousand with older times wait for an actor that cannot be used: 16 are loaded at the same
// time, few are in memory, and those that fail are not tried again in each pass. So does the
// second half of it after the clock was set back.
func TestG11_ACrowdIsDueAtOnce(t *testing.T) {
	good, bad, waiting, back := 90_000, 10_000, 1000, 24*time.Hour
	if testing.Short() {
		good, bad, waiting, back = 900, 100, 20, 30*time.Minute
	}
	onStores(t, func(t *testing.T, open func() store.Store, dir string, seed uint64) {
		if seed > 0 {
			return
		}
		good, bad, waiting, back := good, bad, waiting, back
		if dir != "" && testing.Short() {
			good, bad, waiting = 180, 20, 5
		} else if dir != "" {
			back = 3 * time.Hour // each try is a commit, which takes time there
		}
		creditRuns.clear()
		s := &crowdStore{Store: open(), loads: map[string]int{}, count: map[string]bool{}}
		half := func(i int) time.Time { return time.Now().Add(time.Minute + time.Duration(i%2)*2*time.Minute) }
		for _, id := range crowd(t, s, 0, bad, `{"ran":"none"}`, half) {
			s.count[id] = true
		}
		crowd(t, s, bad, good, `{"ran":[]}`, half)
		pourers(t, s, waiting, time.Now().Add(-time.Hour))
		sleeperRuns.take()
		registry := actor.NewRegistry(actor.Define[basin]("basin", actor.Handles((*basin).drip)),
			actor.Define[sleeper]("sleeper", actor.Handles(func(s *sleeper, c *nothing, m wakeUp) error { s.wakeUp(c, m); return nil })))
		var clock testClock
		courier := &countingCourier{count: map[string]int{}}
		courier.mu.Lock() // those that wait send at once
		n := runtime.New(registry, s, runtime.WithClock(runtime.Options{Logger: slog.New(slog.DiscardHandler), Courier: courier}, clock.now))
		courier.Courier = runtime.CourierOf(n)
		courier.mu.Unlock()
		most, done := 0, make(chan struct{})
		go func() {
			defer close(done)
			time.Sleep(time.Minute)
			for range min(good, 10_000) {
				most = max(most, n.Stats().Awake)
				goruntime.Gosched()
			}
		}()
		ran := func(when string, since time.Duration) {
			t.Helper()
			late := sleeperRuns.take()
			if len(late) != good/2 {
				t.Fatalf("%s %d messages have run, want %d", when, len(late), good/2)
			}
			if last := late[len(late)-1] - since; last > time.Second || late[0] < since {
				t.Errorf("%s they were late by %s to %s", when, late[0]-since, last)
			}
		}
		time.Sleep(2 * time.Minute)
		<-done
		ran("at first", 0)
		if limit := waiting + 100; most > limit {
			t.Errorf("%d actors were in memory, want at most %d", most, limit)
		}
		s.mu.Lock()
		for id, n := range s.loads {
			if n > 7 { // after 0, 1, 3, 7, 15, 31 and 63 s
				t.Errorf("actor %s, which cannot be loaded, was loaded %d times in a minute", id, n)
				break
			}
		}
		if len(s.loads) != bad/2 {
			t.Errorf("%d of the actors that cannot be loaded were tried, want %d", len(s.loads), bad/2)
		}
		s.mu.Unlock()
		clock.jump(-back)
		time.Sleep(30 * time.Second)
		if late := sleeperRuns.take(); len(late) > 0 {
			t.Errorf("%d messages ran before their time", len(late))
		}
		time.Sleep(back + time.Minute)
		ran("by the clock that was set back", back) // c.Now is another clock
		dead := host.Ref{Name: "basin", Key: host.Key{"dead"}}
		courier.mu.Lock()
		tries := courier.count[host.ActorID(dead.Name, dead.Key)]
		courier.mu.Unlock()
		if per, least := tries/waiting, int(back/(5*time.Minute)); per < least || per > 4*least+20 {
			t.Errorf("each of those that wait has tried %d times, want %d to %d", per, least, 4*least+20)
		}
		creditRuns.add("revived")
		time.Sleep(6 * time.Minute)
		if got := string(call(t, n, dead, "get")); got != fmt.Sprint(waiting) {
			t.Errorf("once it can be used the actor has %s messages, want %d", got, waiting)
		}
		if err := n.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if s.most > 16+1 { // and the one that the others try to reach
			t.Errorf("%d actors were loaded at the same time, want at most 17", s.most)
		}
		if dir != "" {
			if err := s.Close(); err != nil {
				t.Error(err)
			}
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
