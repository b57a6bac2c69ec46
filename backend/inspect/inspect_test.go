package inspect_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/inspect"
	"github.com/troupe-dev/troupe/backend/runtime"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// shop has what the inspector shows.
type shop struct {
	Owner  string                      `json:"owner"`
	Safe   string                      `json:"safe" troupe:"secret"`
	Orders actor.Table[int64, string]  `json:"orders"`
	Names  actor.Table[string, string] `json:"names"`
}

type sold struct {
	What string `json:"what"`
}

type shopContext = actor.Context[actor.NoState]

func (s *shop) Sell(c *shopContext, what string, n int) (int, error) {
	if n < 0 {
		return 0, actor.Errorf("negative", "cannot sell %d", n)
	}
	s.Owner, s.Safe = what, "hush"
	for k := range n {
		s.Orders.Set(int64(k-2), what)
		s.Names.Set(fmt.Sprint("order ", k), what)
	}
	c.Broadcast(sold{what})
	return n, nil
}

// office has an OnAuth.
type office struct{}

type clerk struct {
	Name string `json:"name"`
}

func (*office) OnAuth(context.Context, *actor.AuthRequest) (clerk, error) { return clerk{"ada"}, nil }

func (office) Who(c *shopContext) string { return actor.Auth[clerk](c).Name }

var shops = actor.NewRegistry(actor.Define[shop]("shop", actor.Emits[sold]()), actor.Define[office]("office"))

// gateway has no sockets.
type gateway struct{}

func (gateway) Traffic() host.Traffic { return host.Traffic{} }

func (gateway) Channels(host.Ref, []host.Attachment) map[host.Attachment]host.Channel { return nil }

const token = "a-token-that-is-long-enough"

type env struct {
	t    testing.TB
	node *runtime.Node
	in   *inspect.Inspector
	log  bytes.Buffer
	mu   sync.Mutex // guards log
}

func (e *env) Write(p []byte) (int, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.log.Write(p)
}

func newEnv(t testing.TB, write bool) *env {
	return newEnvOn(t, write, memory.New(memory.Options{}))
}

func newEnvOn(t testing.TB, write bool, s store.Store) *env {
	e := &env{t: t}
	logger := slog.New(slog.NewTextHandler(e, nil))
	e.node = runtime.New(shops, s, runtime.Options{Logger: logger})
	e.in = inspect.New(inspect.Options{Node: runtime.Inspect(e.node), Gateway: gateway{}, Write: write, Token: token, Logger: logger, Types: types, Version: "v1"})
	t.Cleanup(func() {
		e.in.Close()
		if err := e.node.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return e
}

const types = `
export interface Registry {
  shop: {
    actions: {
      /** sell sells. */
      sell(what: { a: string, b: number }, n: number): number;
    };
`

func (e *env) sell(key, what string, n int) {
	e.t.Helper()
	args := []json.RawMessage{json.RawMessage(fmt.Sprintf("%q", what)), json.RawMessage(fmt.Sprint(n))}
	if _, err := e.node.CallOnce(e.t.Context(), host.Ref{Name: "shop", Key: host.Key{key}}, host.DirectCall{Create: true, Action: "sell", Args: args}); err != nil {
		e.t.Fatal(err)
	}
}

// request makes a request with the token. Changes are made to it before it is sent.
func (e *env) request(method, path, body string, changes ...func(*http.Request)) *httptest.ResponseRecorder {
	e.t.Helper()
	r := httptest.NewRequestWithContext(e.t.Context(), method, "http://localhost:6060/inspect"+path, strings.NewReader(body))
	r.Header.Set("Authorization", "Bearer "+token)
	if method == http.MethodPost {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, change := range changes {
		change(r)
	}
	w := httptest.NewRecorder()
	e.in.Handler().ServeHTTP(w, r)
	return w
}

// get reads an answer into v.
func (e *env) get(path string, v any) {
	e.t.Helper()
	w := e.request(http.MethodGet, path, "")
	if w.Code != http.StatusOK {
		e.t.Fatalf("%s: got %d %s", path, w.Code, w.Body)
	}
	if err := json.Unmarshal(w.Body.Bytes(), v); err != nil {
		e.t.Fatalf("%s: %v in %s", path, err, w.Body)
	}
}

func idOf(key string) string { return host.ActorID("shop", host.Key{key}) }
