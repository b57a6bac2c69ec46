package gateway_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"
	"unicode/utf8"

	"github.com/coder/websocket"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/wire"
)

type (
	// Keeper keeps what its clients send: any JSON, in its state, in events, results and
	// the states of connections.
	Keeper struct {
		Raw   json.RawMessage             `json:"raw,omitempty"`
		Any   any                         `json:"any"`
		Tree  tree                        `json:"tree"`
		Items actor.List[json.RawMessage] `json:"items"`
		Named actor.Map[string, any]      `json:"named"`
	}
	tree struct {
		Text string `json:"text"`
		Kids []tree `json:"kids,omitempty"`
	}
	// KeeperConn is the state of a connection.
	KeeperConn struct {
		Raw json.RawMessage `json:"raw,omitempty"`
		Any any             `json:"any"`
	}
	// Kept is what was kept.
	Kept struct {
		Raw  json.RawMessage `json:"raw,omitempty"`
		Any  any             `json:"any"`
		Tree tree            `json:"tree"`
	}
	keeperContext = actor.Context[KeeperConn]
)

// OnCreate keeps the input.
func (k *Keeper) OnCreate(c *keeperContext, in json.RawMessage) { k.keep(c, in) }

// CreateConnState keeps the params.
func (k *Keeper) CreateConnState(_ *actor.ConnectContext, params json.RawMessage) (KeeperConn, error) {
	var s KeeperConn
	if len(params) == 0 {
		return s, nil
	}
	s.Raw = params
	return s, decode(params, &s.Any)
}

func (k *Keeper) keep(c *keeperContext, raw json.RawMessage) {
	if len(raw) == 0 {
		return
	}
	k.Raw = raw
	k.Items.Append(raw)
	c.Broadcast(Kept{Raw: raw})
}

// Put keeps JSON as it is.
func (k *Keeper) Put(c *keeperContext, raw json.RawMessage) json.RawMessage {
	k.keep(c, raw)
	return raw
}

// PutAny keeps decoded JSON.
func (k *Keeper) PutAny(c *keeperContext, name string, v any) any {
	k.Any = v
	k.Named.Set(name, v)
	c.Broadcast(Kept{Any: v})
	return v
}

// PutTree keeps a value of a recursive type.
func (k *Keeper) PutTree(c *keeperContext, t tree) tree {
	k.Tree = t
	c.Broadcast(Kept{Tree: t})
	return t
}

// Keep keeps JSON in the state of the connection.
func (k *Keeper) Keep(c *keeperContext, raw json.RawMessage) error {
	s := KeeperConn{Raw: raw}
	if err := decode(raw, &s.Any); err != nil {
		return err
	}
	c.Conn().SetState(s)
	return nil
}

// decode is json.Unmarshal. What it refuses, 1e999 say, is the client's mistake.
func decode(raw json.RawMessage, v *any) error {
	if err := json.Unmarshal(raw, v); err != nil {
		return actor.Errorf("not_kept", "%v", err)
	}
	return nil
}

// Read returns the state, as text: it may nest as deep as a result may.
func (k *Keeper) Read(*keeperContext) (string, error) {
	b, err := json.Marshal(k)
	return string(b), err
}

// Mine returns the state of the connection, as text.
func (k *Keeper) Mine(c *keeperContext) (string, error) {
	b, err := json.Marshal(c.Conn().State())
	return string(b), err
}

var withKeeper = otherActor(actor.Define[Keeper]("keeper", actor.Emits[Kept]()))

// accepted is a run of FuzzAccepted: what was committed, and what clients were given.
type accepted struct {
	t      *testing.T
	id     string            // of keeper ["k"]
	states map[string]string // by actor id: what Read returned
	events []string          // that the watcher got
	mine   string            // the state of the connection of "con"; empty if it is not open
	log    string
	again  func(*env) string // repeats a call with an Idempotency-Key; nil if there was none
	answer string            // of that
}

// FuzzAccepted: whatever is accepted, through any door, can be loaded and replayed. It
// sends a body, a key, params, input, arguments or a frame of any bytes, then restarts the
// server in both ways, killed and closed. Both times the states of actors and connections
// are what they were, a client that resumes gets the same events, and nothing fails.
func FuzzAccepted(f *testing.F) {
	deep := func(n int, open, inner, end string) string {
		return strings.Repeat(open, n) + inner + strings.Repeat(end, n)
	}
	raws := []string{
		`"x"`, `null`, ``, `{}`, `[]`, `1e999`, `-0`, `9007199254740993`, `1.0`, `{"a":1,"a":2}`, `{"":{"__proto__":null}}`,
		`"\u0000"`, `"\ud800"`, `"\u2028<&>"`, "\"\xff\"", "\"\xed\xa0\x80\"", "{\"\xc0\":1}", " [ 1 , 2 ] ", `"\uFFFD"`, "\"\u00e9\U0001f600\"",
		deep(100, "[", "", "]"), deep(490, "[", "", "]"), deep(498, "[", "", "]"), deep(500, "[", "", "]"), deep(501, "[", "", "]"), deep(5000, "[", "", "]"),
		deep(9997, "[", "", "]"), deep(499, `{"a":`, "1", "}"), deep(250, `{"a":[`, "1", "]}"), deep(4900, `{"a":[`, "1", "]}"),
		deep(250, `{"text":"x","kids":[`, "", "]}"), deep(4999, `{"text":"x","kids":[`, "", "]}"), `{"args":["x"]}`, `{"args":[` + deep(9997, "[", "", "]") + `]}`,
		`{"key":["k2"],"input":[1]}`, `{"key":"k2","input":` + deep(600, "[", "", "]") + `}`, `{"t":"call","c":1,"id":1,"a":"put","args":[` + deep(700, "[", "", "]") + `]}`,
		`["a","b"]`, `[[[["x"]]]]`, `"k\u0001"`,
	}
	turns := []int{0, 5, 11}
	if testing.Short() {
		turns = turns[:1]
	}
	for i, raw := range raws {
		for _, n := range turns {
			f.Add(byte((i+n)%len(doors)), "key=k&key="+url.QueryEscape(raw[:min(8, len(raw))]), []byte(raw))
		}
	}
	for i, query := range []string{"key=a;b", "key=%ff", "key=k&create=false", "id=x", "key=%00", "key=a%2Fb", "key=" + strings.Repeat("x", 128), "", "key=%C3%A9", "&&key=k&"} {
		f.Add(byte(4), query, []byte{})
		f.Add(byte(15), query, []byte{byte('0' + i)})
	}
	f.Fuzz(func(t *testing.T, door byte, key string, raw []byte) {
		if len(raw) > 60<<10 || len(key) > 2000 {
			return
		}
		synctest.Test(t, func(t *testing.T) { fuzzAccepted(t, doors[int(door)%len(doors)], key, string(raw)) })
	})
}

// A door sends raw, or key, to a server. c has the channel 1 of keeper ["k"] open. It
// returns the id of another actor that it made, if it made one.
type door struct {
	name string
	send func(a *accepted, e *env, c *client, key, raw string) (id string)
}

var doors = []door{
	{"the body of a call", func(a *accepted, e *env, _ *client, _, raw string) string {
		a.request(e, "POST", "/api/actors/keeper/actions/put?key=k", raw)
		return ""
	}},
	{"an argument over HTTP", func(a *accepted, e *env, _ *client, _, raw string) string {
		a.request(e, "POST", "/api/actors/keeper/actions/put?key=k", `{"args":[`+raw+`]}`)
		return ""
	}},
	{"the body of a creation", func(a *accepted, e *env, _ *client, _, raw string) string {
		return a.request(e, "POST", "/api/actors/keeper", raw).ID
	}},
	{"an input", func(a *accepted, e *env, _ *client, _, raw string) string {
		return a.request(e, "POST", "/api/actors/keeper", `{"key":["new"],"input":`+raw+`}`).ID
	}},
	{"a query", func(a *accepted, e *env, _ *client, key, _ string) string {
		if strings.ContainsAny(key, "# \t\r\n") || strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r == 0x7f }) {
			return "" // no request can have it
		}
		if a.request(e, "POST", "/api/actors/keeper/actions/put?"+key, `{"args":["x"]}`).status == 200 {
			return a.request(e, "GET", "/api/actors/keeper?"+key, "").ID
		}
		return ""
	}},
	{"a key in a frame", func(_ *accepted, _ *env, c *client, _, raw string) string {
		c.try(openFrame(2, "other", `"actor":"keeper"`, `"key":`+raw, `"input":"x"`))
		return ""
	}},
	{"an input in a frame", func(_ *accepted, _ *env, c *client, _, raw string) string {
		c.try(openFrame(2, "other", `"actor":"keeper"`, `"key":"new"`, `"input":`+raw))
		return ""
	}},
	{"an argument", func(_ *accepted, _ *env, c *client, _, raw string) string {
		c.try(`{"t":"call","c":1,"id":1,"a":"put","args":[` + raw + `]}`)
		return ""
	}},
	{"an argument that is decoded", func(_ *accepted, _ *env, c *client, key, raw string) string {
		name, _ := json.Marshal(key)
		c.try(`{"t":"call","c":1,"id":1,"a":"putAny","args":[` + string(name) + `,` + raw + `]}`)
		return ""
	}},
	{"an argument of a recursive type", func(_ *accepted, _ *env, c *client, _, raw string) string {
		c.try(`{"t":"call","c":1,"id":1,"a":"putTree","args":[` + raw + `]}`)
		return ""
	}},
	{"params", func(_ *accepted, _ *env, c *client, _, raw string) string {
		c.try(openFrame(2, "con", `"actor":"keeper"`, `"key":"k"`, `"params":`+raw))
		return ""
	}},
	{"new params", func(_ *accepted, _ *env, c *client, _, raw string) string {
		c.try(openFrame(2, "con", `"actor":"keeper"`, `"key":"k"`))
		c.try(`{"t":"params","c":2,"params":` + raw + `}`)
		return ""
	}},
	{"the state of a connection", func(_ *accepted, _ *env, c *client, _, raw string) string {
		c.try(openFrame(2, "con", `"actor":"keeper"`, `"key":"k"`))
		c.try(`{"t":"call","c":2,"id":1,"a":"keep","args":[` + raw + `]}`)
		return ""
	}},
	{"a frame", func(_ *accepted, _ *env, c *client, _, raw string) string {
		c.try(raw)
		return ""
	}},
	{"a frame over HTTP", func(a *accepted, e *env, _ *client, _, raw string) string {
		e.over = overPolls // for stop
		w := httptest.NewRecorder()
		e.h.ServeHTTP(w, httptest.NewRequest("POST", "/api/poll?v=1", nil))
		socket := socketOf(w.Body.Bytes())
		a.request(e, "POST", "/api/stream", fmt.Sprintf(`{"socket":%q,"n":1,"frame":%s}`, socket, openFrame(1, "posts", `"actor":"keeper"`, `"key":"k"`)))
		a.request(e, "POST", "/api/stream", fmt.Sprintf(`{"socket":%q,"n":2,"frame":%s}`, socket, raw))
		return ""
	}},
	{"an Idempotency-Key", func(a *accepted, e *env, _ *client, key, raw string) string {
		a.again = func(e *env) string {
			return a.request(e, "POST", "/api/actors/keeper/actions/put?key=k", `{"args":[`+raw+`]}`, "Idempotency-Key", key).body
		}
		a.answer = a.again(e)
		return ""
	}},
}

func fuzzAccepted(t *testing.T, d door, key, raw string) {
	e := newEnv(t, withKeeper, noRates, unchecked, func(e *env) { e.dir = t.TempDir() })
	a := &accepted{t: t, states: map[string]string{}}
	a.request(e, "POST", "/api/actors/keeper/actions/read?key=k", "")
	a.id = a.request(e, "GET", "/api/actors/keeper?key=k", "").ID
	watcher := e.dial()
	watcher.open(1, "watcher", `"actor":"keeper"`, `"key":"k"`, `"subs":["kept"]`)
	e.settle()
	a.log = watcher.logOf(1)
	c := e.dial()
	c.open(1, "sender", `"actor":"keeper"`, `"key":"k"`)
	e.settle()
	c.take()

	other := d.send(a, e, c, key, raw)
	e.settle()
	for _, m := range c.takeMessages() {
		if m.Type == wire.TypeOpened && m.ActorID != a.id {
			other = m.ActorID
		}
		a.harmless(m)
	}
	switch status := c.status(); status {
	case 0, websocket.StatusInvalidFramePayloadData, websocket.StatusPolicyViolation, websocket.StatusMessageTooBig:
	default:
		t.Errorf("%s: the socket was closed with %d", d.name, status)
	}
	c.cut()
	watcher.isOpen()
	a.events = a.eventsOf(watcher)
	for _, id := range []string{a.id, other} {
		if id != "" {
			a.states[id] = a.read(e, id)
		}
	}
	a.mine = a.mineOf(e)
	a.calm(e)

	killed := filepath.Join(t.TempDir(), "killed")
	if err := os.CopyFS(killed, os.DirFS(e.dir)); err != nil {
		t.Fatal(err)
	}
	e.stop()
	for how, dir := range map[string]string{"killed": killed, "closed": e.dir} {
		after := newEnv(t, withKeeper, noRates, unchecked, func(e *env) { e.dir = dir })
		a.compare(after, d.name+", "+how)
		after.stop()
	}
}

// compare checks a server that has been restarted.
func (a *accepted) compare(e *env, what string) {
	a.t.Helper()
	for id, want := range a.states {
		if got := a.read(e, id); got != want {
			a.t.Errorf("%s: the state is %.300s, want %.300s", what, got, want)
		}
	}
	watcher := e.dial()
	watcher.open(1, "watcher", `"actor":"keeper"`, `"key":"k"`, `"subs":["kept"]`, resume(a.log, 0))
	e.settle()
	if got := a.eventsOf(watcher); !slices.Equal(got, a.events) {
		a.t.Errorf("%s: the replay has %.300q, want %.300q", what, got, a.events)
	}
	watcher.isOpen()
	if a.mine != "" {
		if got := a.mineOf(e); got != a.mine {
			a.t.Errorf("%s: the state of the connection is %.300s, want %.300s", what, got, a.mine)
		}
	}
	if a.again != nil {
		if got := a.again(e); got != a.answer {
			a.t.Errorf("%s: the repeated call got %.300s, want %.300s", what, got, a.answer)
		}
	}
	if got := a.request(e, "POST", "/api/actors/keeper/actions/put?key=k", `{"args":["after"]}`); got.status != 200 {
		a.t.Errorf("%s: the actor does not work: %d %s", what, got.status, got.body)
	}
	e.settle()
	watcher.isOpen()
	a.calm(e)
}

// request is do for a request that nothing may fail at.
func (a *accepted) request(e *env, method, path, body string, header ...string) answer {
	a.t.Helper()
	got := do(a.t, e.h, method, path, body, header...)
	if got.status >= 500 || !utf8.ValidString(got.body) || got.Code == wire.CodeStateIncompatible {
		a.t.Errorf("%s %.200s %.200q: got %d %.300q", method, path, body, got.status, got.body)
	}
	return got
}

// read returns the state of an actor.
func (a *accepted) read(e *env, id string) string {
	a.t.Helper()
	got := a.request(e, "POST", "/api/actors/keeper/actions/read?id="+id, "")
	if got.status != 200 {
		a.t.Errorf("read: got %d %.300s", got.status, got.body)
	}
	return got.body
}

// mineOf resumes the connection "con" and returns its state, empty if it is not open.
func (a *accepted) mineOf(e *env) string {
	a.t.Helper()
	c := e.dial()
	defer c.cut()
	c.open(1, "con", `"actor":"keeper"`, `"key":"k"`, resume(a.log, 0))
	e.settle()
	c.isOpen()
	c.call(1, 1000+int(time.Now().UnixMilli()%1e9), "mine")
	e.settle()
	var mine string
	for _, m := range c.takeMessages() {
		if m.Type == wire.TypeReply && m.Data != nil {
			mine = string(m.Data)
		}
		a.harmless(m)
	}
	c.isOpen()
	return mine
}

// eventsOf returns the events that a client has got.
func (a *accepted) eventsOf(c *client) (events []string) {
	a.t.Helper()
	for _, m := range c.takeMessages() {
		if a.harmless(m); m.Type == wire.TypeEvent {
			events = append(events, fmt.Sprintf("%d %s", m.Seq, m.Data))
		}
		if m.Lost != nil {
			a.t.Errorf("the client has a gap: %+v", m.Lost)
		}
	}
	return events
}

// harmless checks a message to a client.
func (a *accepted) harmless(m wire.ServerMessage) {
	a.t.Helper()
	switch m.Code {
	case wire.CodeInternal, wire.CodeUnavailable, wire.CodeStateIncompatible, wire.CodeSlow:
		a.t.Errorf("a client got %s: %.300s", m.Code, m.Message)
	}
	if !utf8.Valid(m.Data) {
		a.t.Errorf("a client got %.300q, which is not UTF-8", m.Data)
	}
}

// calm checks that the log has no failure.
func (a *accepted) calm(e *env) {
	a.t.Helper()
	if logs := e.logs.String(); strings.Contains(logs, "level=ERROR") || strings.Contains(logs, "panic") {
		a.t.Errorf("the log has failures:\n%.2000s", logs)
	}
}
