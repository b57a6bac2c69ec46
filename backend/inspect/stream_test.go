package inspect_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// page reads a stream as a page does.
type page struct {
	*httptest.ResponseRecorder
	mu     sync.Mutex
	events []string // "name data"
	end    context.CancelFunc
}

func (p *page) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	name, data, ok := strings.Cut(strings.TrimPrefix(string(b), "event: "), "\ndata: ")
	if ok {
		p.events = append(p.events, name+" "+strings.TrimSpace(data))
	}
	return len(b), nil
}

// Flush implements http.Flusher; the recorder's is not for several goroutines.
func (p *page) Flush() {}

// take returns the events of a name that came since it was last asked for any.
func (p *page) take(name string) (data []string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, e := range p.events {
		if rest, ok := strings.CutPrefix(e, name+" "); ok {
			data = append(data, rest)
		}
	}
	p.events = nil
	return data
}

// open opens a stream. Call it in a bubble.
func (e *env) open(query string) *page {
	ctx, cancel := context.WithCancel(e.t.Context())
	e.t.Cleanup(cancel)
	p := &page{ResponseRecorder: httptest.NewRecorder(), end: cancel}
	r := httptest.NewRequestWithContext(ctx, http.MethodGet, "http://localhost/inspect/api/stream?"+query, nil)
	r.Header.Set("Authorization", "Bearer "+token)
	go e.in.Handler().ServeHTTP(p, r)
	synctest.Wait()
	return p
}

func TestStream_overview(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, true)
		e.sell("a", "tea", 1)
		time.Sleep(20 * time.Minute)
		p := e.open("view=overview")
		var first struct {
			Write   bool             `json:"write"`
			Samples []map[string]any `json:"samples"`
		}
		all := p.take("overview")
		if err := json.Unmarshal([]byte(all[0]), &first); err != nil || len(first.Samples) != 15*60 || !first.Write {
			t.Errorf("got %d samples, %v", len(first.Samples), err)
		}
		for range 10 {
			e.sell("a", "tea", 1)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		got := p.take("sample")
		if len(got) != 2 || !strings.Contains(got[0], `"turns":10,"messages":0`) || !strings.Contains(got[1], `"turns":0,`) || !strings.Contains(got[0], `"awake":1`) {
			t.Errorf("got %s", got)
		}
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if got := p.take("stored"); len(got) != 1 || got[0] != `{"shop":1}` {
			t.Errorf("got stored %s", got)
		}
	})
}

func TestStream_actor(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, true)
		e.sell("a", "tea", 1)
		p := e.open("view=actor&id=" + idOf("a"))
		if got := p.take("actor"); len(got) != 1 || !strings.Contains(got[0], `"owner":"tea"`) {
			t.Errorf("got %s", got)
		}
		e.sell("a", "milk", 1)
		time.Sleep(300 * time.Millisecond)
		synctest.Wait()
		p.mu.Lock()
		seen := strings.Join(p.events, "\n")
		p.mu.Unlock()
		for _, want := range []string{`"owner":"milk","safe":"‹secret›"`, `"event":"sold"`, `"what":"sell"`, `"data":{"what":"milk"}`} {
			if strings.Count(seen, want) != 1 {
				t.Errorf("%s is not there once in %s", want, seen)
			}
		}
		p.take("")
		time.Sleep(time.Second)
		if got := p.take("actor"); len(got) != 0 {
			t.Errorf("nothing has changed, and it was sent %s", got)
		}
		time.Sleep(time.Minute) // it falls asleep
		if got := p.take("actor"); len(got) != 1 || !strings.Contains(got[0], `"awake":false`) || e.node.Stats().Awake != 0 {
			t.Errorf("got %s, with %d actors awake", got, e.node.Stats().Awake)
		}
		gone := e.open("view=actor&id=nobody")
		if got := gone.take("gone"); len(got) != 1 || !strings.Contains(got[0], "not_found") {
			t.Errorf("got %s", got)
		}
		if w := e.request("GET", "/api/stream?view=x", ""); w.Code != http.StatusBadRequest {
			t.Errorf("got %d", w.Code)
		}
	})
}

// slowStore does not load while it is slow.
type slowStore struct {
	store.Store
	slow atomic.Bool
}

func (s *slowStore) Load(ctx context.Context, id string) (*store.Snapshot, error) {
	if s.slow.Load() {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return s.Store.Load(ctx, id)
}

// TestStream_slowStore: the page of an actor that sleeps outlives a store that is slow.
func TestStream_slowStore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &slowStore{Store: memory.New(memory.Options{})}
		e := newEnvOn(t, false, s)
		e.sell("a", "tea", 1)
		time.Sleep(time.Hour)
		s.slow.Store(true)
		p := e.open("view=actor&id=" + idOf("a"))
		time.Sleep(time.Minute)
		synctest.Wait()
		if len(p.take("actor")) != 0 {
			t.Error("it was sent an actor that was not read")
		}
		s.slow.Store(false)
		time.Sleep(10 * time.Second)
		synctest.Wait()
		if got := p.take("actor"); len(got) != 1 || !strings.Contains(got[0], `"owner":"tea"`) {
			t.Errorf("got %s", got)
		}
	})
}

// TestStream_many: too many streams are refused, and there is room when they end.
func TestStream_many(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, false)
		pages := []*page{}
		for range 50 {
			pages = append(pages, e.open("view=overview"))
		}
		if w := e.request("GET", "/api/stream?view=overview", ""); w.Code != http.StatusServiceUnavailable || !strings.Contains(w.Body.String(), "overloaded") {
			t.Errorf("got %d %s", w.Code, w.Body)
		}
		pages[0].end()
		synctest.Wait()
		if p := e.open("view=overview"); len(p.take("overview")) != 1 {
			t.Error("there is no room after one has ended")
		}
	})
}

// TestClose: streams end with the inspector.
func TestClose(t *testing.T) {
	e := newEnv(t, true)
	done := make(chan *httptest.ResponseRecorder)
	go func() { done <- e.request("GET", "/api/stream?view=overview", "") }()
	e.in.Close()
	if w := <-done; w.Code != http.StatusOK {
		t.Errorf("got %d", w.Code)
	}
}
