package cluster

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"
	natsserver "github.com/nats-io/nats-server/v2/server"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/server"
	"github.com/troupe-dev/troupe/backend/store"
)

// Tally is an actor that counts.
type Tally struct {
	N int `json:"n"`
}

// Added is emitted when it has counted.
type Added struct {
	N int `json:"n"`
}

// User is who uses a tally.
type User struct{ Name string }

func (u User) Subject() string { return u.Name }

func (Tally) OnAuth(context.Context, *actor.AuthRequest) (User, error) { return User{"ada"}, nil }

func (t *Tally) Add(c *actor.Context[actor.NoState]) int {
	t.N++
	c.Broadcast(Added{t.N})
	return t.N
}

func (t Tally) Get(*actor.Context[actor.NoState]) int { return t.N }

// webNode is a server that is a node of a cluster, with a site of its own.
type webNode struct {
	cluster *Cluster
	server  *server.Server
	site    *httptest.Server
}

// startWebNodes starts servers that share one nats-server, and waits until each has its part of
// the actors.
func startWebNodes(t *testing.T, s *natsserver.Server, names ...string) []*webNode {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	nodes := make([]*webNode, len(names))
	for i, name := range names {
		c, err := New(Options{Node: name, URL: s.ClientURL(), Replicas: 1, Lease: natsLease, Logger: log})
		if err != nil {
			t.Fatal(err)
		}
		c.store.options.Timeout = 2 * time.Second // of commits that nobody answers
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		srv, err := server.NewContext(ctx, actor.NewRegistry(actor.Define[Tally]("tally", actor.Emits[Added]())), server.Options{Cluster: c, Logger: log})
		cancel()
		if err != nil {
			t.Fatal(err)
		}
		nodes[i] = &webNode{c, srv, httptest.NewServer(srv.Handler())}
		t.Cleanup(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
			defer cancel()
			if err := srv.Close(ctx); err != nil {
				t.Error(err)
			}
			nodes[i].site.Close()
		})
	}
	eventually(t, "each node has its part", func() bool {
		for _, n := range nodes {
			table, slot := n.cluster.member.table()
			if table == nil || n.cluster.Ready() != nil || len(table.owned(slot)) < store.Partitions/len(nodes) {
				return false
			}
		}
		return true
	})
	return nodes
}

// eventually waits for something that other goroutines and a server do.
func eventually(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(what + ": it is not so within a minute")
		}
	}
}

// kill ends a node as if its process were killed.
func (n *webNode) kill() {
	n.cluster.stop()
	<-n.cluster.member.left
	n.cluster.nc.Close()
	n.site.CloseClientConnections()
}

// keyOf returns a key of a tally that a node owns.
func (n *webNode) keyOf(t *testing.T) string {
	t.Helper()
	for i := range 10_000 {
		key := fmt.Sprint("key-", i)
		if owner, self := n.cluster.member.Owner(store.Partition(host.ActorID("tally", host.Key{key}))); owner == self {
			return key
		}
	}
	t.Fatal("the node owns no tally")
	return ""
}

// call calls an action over HTTP.
func (n *webNode) call(ctx context.Context, key, action, idempotency string) (result int, err error) {
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, n.site.URL+"/api/actors/tally/actions/"+action+"?key="+key, strings.NewReader(`{"args":[]}`))
	if err != nil {
		return 0, err
	}
	r.Header.Set("Content-Type", "application/json")
	if idempotency != "" {
		r.Header.Set("Idempotency-Key", idempotency)
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err
	}
	body, err := io.ReadAll(response.Body)
	if err := errors.Join(err, response.Body.Close()); err != nil {
		return 0, err
	}
	if response.StatusCode != http.StatusOK {
		return 0, fmt.Errorf("%s: %s", response.Status, body)
	}
	var answer struct{ Result int }
	return answer.Result, json.Unmarshal(body, &answer)
}

// add counts one more, however often that has to be tried.
func (n *webNode) add(t *testing.T, key, idempotency string) (result int) {
	t.Helper()
	eventually(t, "a call", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
		defer cancel()
		var err error
		result, err = n.call(ctx, key, "add", idempotency)
		return err == nil
	})
	return result
}

// message is one of a socket, as far as the tests look at it.
type message struct {
	T, Log, Code, Action string
	C, S                 int
	Resumed, Reconnect   bool
	Lost                 json.RawMessage
	D                    struct{ N int }
}

// client is a connection to a tally.
type client struct {
	t      *testing.T
	socket *websocket.Conn
	key    string
	log    string // with s, what it has seen
	s      int
	waits  []message
}

func (n *webNode) connect(t *testing.T, key string) *client {
	t.Helper()
	socket, _, err := websocket.Dial(t.Context(), strings.Replace(n.site.URL, "http", "ws", 1)+"/api/socket?v=1", nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = socket.CloseNow() }) // it may be closed already
	return &client{t: t, socket: socket, key: key}
}

// open opens channel c, as a resume if there is anything to resume.
func (c *client) open(channel int) {
	c.t.Helper()
	open := map[string]any{
		"t": "open", "c": channel, "actor": "tally", "key": []string{c.key}, "subs": []string{"added"},
		"k": "c2VjcmV0c2VjcmV0c2VjcQ", "caller": "Y2FsbGVyY2FsbGVyY2FsbA", "n": channel,
	}
	if c.log != "" {
		open["log"], open["s"] = c.log, c.s
	}
	data, err := json.Marshal(open)
	if err != nil {
		c.t.Fatal(err)
	}
	if err := c.socket.Write(c.t.Context(), websocket.MessageText, data); err != nil {
		c.t.Fatal(err)
	}
}

// next returns the next message of one of some types.
func (c *client) next(types ...string) message {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), time.Minute)
	defer cancel()
	for {
		for len(c.waits) > 0 {
			m := c.waits[0]
			c.waits = c.waits[1:]
			for _, one := range types {
				if m.T == one {
					return m
				}
			}
		}
		_, data, err := c.socket.Read(ctx)
		if err != nil {
			c.t.Fatalf("waiting for %v: %v", types, err)
		}
		if data[0] != '[' {
			data = []byte("[" + string(data) + "]")
		}
		if err := json.Unmarshal(data, &c.waits); err != nil {
			c.t.Fatal(err)
		}
	}
}

// opened opens channels until one is opened: the actor may be moving.
func (c *client) opened(channel int) (message, int) {
	c.t.Helper()
	for ; ; channel++ {
		c.open(channel)
		switch m := c.next("opened", "closed"); {
		case m.T == "opened":
			c.log = m.Log
			return m, channel
		case !m.Reconnect:
			c.t.Fatalf("the server closed the channel, and the client may not open it again: %+v", m)
		}
	}
}

// TestG3_TheOwnerDies uses an actor through all nodes, of which one runs it and dies. Its client
// on another node misses nothing, and no call runs twice (G5) or is lost (G6).
func TestG3_TheOwnerDies(t *testing.T) {
	t.Parallel() // it waits for a lease
	nodes := startWebNodes(t, natsServer(t), "a", "b", "c")
	owner, second, third := nodes[0], nodes[1], nodes[2]
	key := owner.keyOf(t)
	c := second.connect(t, key)
	_, channel := c.opened(1)
	for i, n := range nodes {
		if got := n.add(t, key, fmt.Sprint("call-", i)); got != i+1 {
			t.Fatalf("call %d through node %d: got %d", i+1, i, got)
		}
		if m := c.next("event", "closed"); m.D.N != i+1 || m.C != channel {
			t.Fatalf("after call %d: got %+v", i+1, m)
		} else {
			c.s = m.S
		}
	}

	owner.kill()
	began := time.Now()
	if got := second.add(t, key, "call-2"); got != 3 {
		t.Errorf("a call that was repeated: got %d, want the answer that it had, 3", got)
	}
	t.Logf("the next answer after %v, with a lease of %v", time.Since(began), natsLease)
	if got := third.add(t, key, "call-3"); got != 4 {
		t.Errorf("got %d, want 4", got)
	}
	if m := c.next("event", "closed"); m.T != "closed" || m.Code != "moved" || !m.Reconnect {
		t.Fatalf("got %+v, want that the actor has moved", m)
	}
	m, channel := c.opened(channel + 1)
	if !m.Resumed || m.Lost != nil {
		t.Errorf("got %+v, want a resume without a gap", m)
	}
	if m := c.next("event", "closed"); m.D.N != 4 || m.C != channel {
		t.Errorf("got %+v, want the event that happened meanwhile", m)
	}
	if got := second.add(t, key, "call-4"); got != 5 {
		t.Errorf("got %d, want 5", got)
	}
	if m := c.next("event", "closed"); m.D.N != 5 {
		t.Errorf("got %+v, want the newest event", m)
	}
}

// TestSigningOutReachesAllNodes ends the connections of a user to actors of all nodes, through
// any of them.
func TestSigningOutReachesAllNodes(t *testing.T) {
	nodes := startWebNodes(t, natsServer(t), "a", "b")
	var clients []*client
	for i, owner := range nodes {
		c := nodes[i].connect(t, owner.keyOf(t))
		c.opened(1)
		clients = append(clients, c)
	}
	if err := nodes[1].server.Disconnect(t.Context(), "bob", "signed out"); err != nil {
		t.Error(err)
	}
	if err := nodes[1].server.Disconnect(t.Context(), "ada", "signed out"); err != nil {
		t.Error(err)
	}
	for i, c := range clients {
		if m := c.next("closed"); m.Code != "disconnected" || m.Reconnect {
			t.Errorf("client %d: got %+v, want an end", i, m)
		}
	}
}

// TestG10_ANodeThatIsCutOff cuts the owner of an actor off from all others. It does not answer
// with what it has in memory once another one may have it.
func TestG10_ANodeThatIsCutOff(t *testing.T) {
	t.Parallel() // it waits for a lease
	nodes := startWebNodes(t, natsServer(t), "a", "b")
	owner, other := nodes[0], nodes[1]
	key := owner.keyOf(t)
	if got := owner.add(t, key, ""); got != 1 {
		t.Fatalf("got %d, want 1", got)
	}
	owner.cluster.nc.Close()
	if got := other.add(t, key, "again"); got != 2 {
		t.Errorf("the next owner: got %d, want 2", got)
	}
	if err := owner.cluster.Health(); err == nil {
		t.Error("a node that is cut off takes itself for healthy")
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if got, err := owner.call(ctx, key, "get", ""); err == nil {
		t.Errorf("the old owner answers %d", got)
	}
	owner.kill() // it could not leave either
}
