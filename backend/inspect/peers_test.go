package inspect_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/inspect"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
	"github.com/troupe-dev/troupe/backend/wire"
)

// peers is a cluster of two nodes, of which this is the first.
type peers struct {
	second host.InspectServer
	away   map[int]bool // partitions of the second
	lost   map[int]bool // and those of nobody
	passed int
	ended  chan struct{} // gets one for each request that was ended from here
	breaks bool          // the other node is lost after a megabyte of an answer
}

func (*peers) Nodes() host.ClusterInfo {
	return host.ClusterInfo{Self: 1, Version: 7, Nodes: []host.NodeInfo{{Slot: 1, Name: "a", State: "up", Partitions: 200}, {Slot: 2, Name: "b", State: "leaving", Partitions: 56}}, Links: host.LinkInfo{In: 5}}
}

func (p *peers) Owner(part int) (owner, self uint32) {
	switch {
	case p.lost[part]:
		return 0, 1
	case p.away[part]:
		return 2, 1
	}
	return 1, 1
}

func (p *peers) Inspect(ctx context.Context, slot uint32, q host.InspectRequest, part func([]byte)) error {
	p.passed++
	if p.breaks {
		part([]byte(`{"status":200,"type":"application/json"}` + "\n" + strings.Repeat(" ", 1<<20)))
		return host.Faultf(wire.CodeUnavailable, "the node cannot be reached at the moment")
	}
	if slot != 2 {
		return host.Faultf(wire.CodeUnavailable, "the node cannot be reached at the moment")
	}
	err := p.second.ServeInspect(ctx, q, func(_ context.Context, b []byte) error { part(b); return nil })
	if ctx.Err() != nil {
		p.ended <- struct{}{}
	}
	return err
}

func (*peers) ServeInspector(host.InspectServer) {}

// newTwo returns two nodes. The actor with the key there is the second one's.
func newTwo(t *testing.T, write, otherWrites bool) (*env, *env, *peers) {
	t.Helper()
	second := newEnv(t, otherWrites)
	p := &peers{second: second.in, away: map[int]bool{store.Partition(idOf("there")): true}, lost: map[int]bool{store.Partition(idOf("nowhere")): true}, ended: make(chan struct{}, 1)}
	e := &env{t: t}
	logger := slog.New(slog.NewTextHandler(e, nil))
	e.node = runtime.New(shops, memory.New(memory.Options{}), runtime.Options{Logger: logger})
	e.in = inspect.New(inspect.Options{Peers: p, Node: runtime.Inspect(e.node), Gateway: gateway{}, Write: write, Token: token, Logger: logger, Types: types, Version: "v1"})
	t.Cleanup(func() {
		e.in.Close()
		if err := e.node.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	e.sell("here", "tea", 1)
	second.sell("there", "rice", 300)
	return e, second, p
}

// What an actor's owner knows and does, any node's inspector shows and does.
func TestPeers(t *testing.T) {
	e, second, p := newTwo(t, true, true)
	var shown struct{ State struct{ Owner string } }
	for key, owner := range map[string]string{"here": "tea", "there": "rice"} {
		if e.get("/api/actors/"+idOf(key), &shown); shown.State.Owner != owner {
			t.Errorf("%s: got %+v, want the owner %s", key, shown, owner)
		}
	}
	var items struct{ Items []struct{ Key string } }
	if e.get("/api/actors/"+idOf("there")+"/tables/names?after=order%205&limit=2", &items); len(items.Items) != 2 || items.Items[0].Key != "order 50" {
		t.Errorf("got the items %+v", items)
	}
	var list struct{ Actors []struct{ Key []string } }
	for query, key := range map[string]string{"": "here", "?node=1": "here", "?node=2": "there", "?node=2&from=store": "there"} {
		if e.get("/api/actors"+query, &list); len(list.Actors) != 1 || list.Actors[0].Key[0] != key {
			t.Errorf("actors%s: got %+v, want %s", query, list, key)
		}
	}
	var cluster struct {
		Cluster struct {
			Self  uint32
			Nodes []struct {
				Name       string
				State      string
				Partitions int
			}
			Links map[string]int
		}
	}
	if e.get("/api/cluster", &cluster); cluster.Cluster.Self != 1 || len(cluster.Cluster.Nodes) != 2 || cluster.Cluster.Nodes[1].Name != "b" || cluster.Cluster.Nodes[1].State != "leaving" || cluster.Cluster.Nodes[0].Partitions != 200 || cluster.Cluster.Links["in"] != 5 {
		t.Errorf("the cluster is %+v", cluster)
	}
	call := "/api/actors/" + idOf("there") + "/call"
	body := `{"action":"sell","args":["soup",2]}`
	if w := e.request(http.MethodPost, call, body, func(r *http.Request) { r.RemoteAddr = "192.0.2.7:1" }); w.Code != http.StatusOK || strings.TrimSpace(w.Body.String()) != `{"result":2}` || w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("a call: got %d %s %v", w.Code, w.Body, w.Header())
	}
	if log := second.log.String(); !strings.Contains(log, "what=call") || !strings.Contains(log, "address=192.0.2.7") {
		t.Errorf("the owner's log does not say who has touched its actor: %s", log)
	}
	if w := e.request(http.MethodPost, call, `{"action":"sell","args":["soup",-2]}`); w.Code != http.StatusUnprocessableEntity || !strings.Contains(w.Body.String(), `"negative"`) {
		t.Errorf("a call that is refused: got %d %s", w.Code, w.Body)
	}
	for query, want := range map[string]int{
		"/api/actors/" + idOf("nowhere"):                http.StatusServiceUnavailable, // no node owns it
		"/api/actors?node=3":                            http.StatusServiceUnavailable,
		"/api/actors?node=x":                            http.StatusBadRequest,
		"/api/actors/" + idOf("there") + "/tables/none": http.StatusNotFound,
	} {
		if w := e.request(http.MethodGet, query, ""); w.Code != want || !json.Valid(w.Body.Bytes()) {
			t.Errorf("%s: got %d %s, want %d", query, w.Code, w.Body, want)
		}
	}
	before := p.passed
	for _, change := range []func(*http.Request){
		func(r *http.Request) { r.Header.Del("Authorization") },
		func(r *http.Request) { r.Header.Set("Origin", "http://evil.example") },
		func(r *http.Request) { r.Header.Set("Content-Type", "text/plain") },
	} {
		if w := e.request(http.MethodPost, call, body, change); w.Code < 400 || p.passed != before {
			t.Errorf("a request that this node must refuse: got %d, %d were passed on", w.Code, p.passed-before)
		}
	}
}

// An inspector that only looks passes no changes on, and makes none for others.
func TestPeers_read(t *testing.T) {
	reset := "/api/actors/" + idOf("there") + "/reset"
	e, _, p := newTwo(t, false, true)
	if w := e.request(http.MethodPost, reset, `{}`); w.Code != http.StatusForbidden || p.passed != 0 {
		t.Errorf("got %d %s, and %d requests were passed on", w.Code, w.Body, p.passed)
	}
	e, _, p = newTwo(t, true, false)
	if w := e.request(http.MethodPost, reset, `{}`); w.Code != http.StatusForbidden || p.passed != 1 {
		t.Errorf("the other one only looks: got %d %s", w.Code, w.Body)
	}
}

// A page that shows an actor of another node is live, and its end reaches that node.
func TestPeers_stream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e, second, p := newTwo(t, true, true)
		page := e.open("view=actor&id=" + idOf("there"))
		time.Sleep(2 * time.Second)
		if all := page.take("actor"); len(all) != 1 || !strings.Contains(all[0], `"rice"`) {
			t.Errorf("got %q, want the actor", all)
		}
		second.sell("there", "beans", 1)
		time.Sleep(2 * time.Second)
		if all := page.take("actor"); len(all) == 0 || !strings.Contains(all[len(all)-1], `"beans"`) {
			t.Errorf("got %q, want the actor as it is now", all)
		}
		page.end()
		synctest.Wait()
		select {
		case <-p.ended:
		default:
			t.Error("the other node goes on for a page that is gone")
		}
	})
}

// A panic while a node answers another one ends the answer, not the node.
func TestPeers_panic(t *testing.T) {
	e := newEnv(t, false)
	err := e.in.ServeInspect(t.Context(), host.InspectRequest{Method: http.MethodGet, Target: "/api/overview"}, func(context.Context, []byte) error { panic("a fault of the code") })
	var fault *host.Fault
	if !errors.As(err, &fault) || fault.Code != wire.CodeInternal {
		t.Errorf("got %v, want an internal error", err)
	}
}

// deadlines counts the deadlines of an answer.
type deadlines struct {
	*httptest.ResponseRecorder
	n int
}

func (d *deadlines) SetWriteDeadline(time.Time) error {
	d.n++
	return nil
}

// An answer whose node is lost in the middle ends as a broken one, and a large one has time for each
// of its parts.
func TestPeers_lost(t *testing.T) {
	e, _, p := newTwo(t, true, true)
	p.breaks = true
	w := &deadlines{ResponseRecorder: httptest.NewRecorder()}
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, "http://localhost:6060/inspect/api/actors/"+idOf("there"), nil)
	r.Header.Set("Authorization", "Bearer "+token)
	defer func() {
		if v := recover(); v != http.ErrAbortHandler {
			t.Errorf("got the panic %v, want that the connection is cut", v)
		}
		if w.n < 16 || w.Body.Len() != 1<<20 {
			t.Errorf("%d bytes were sent, with %d deadlines", w.Body.Len(), w.n)
		}
	}()
	e.in.Handler().ServeHTTP(w, r)
}
