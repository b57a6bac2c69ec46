package gateway_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/gateway"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

// Vault admits clients with a cookie, or with a name in their params.
type Vault struct {
	Rung int `json:"rung"`
}

type (
	// VaultParams are what a client passes to connect().
	VaultParams struct {
		As     string `json:"as,omitempty"`
		SlowMs int    `json:"slowMs,omitempty"` // that OnAuth takes
	}
	// Guest is the identity of a client.
	Guest string
	// Rang is an event.
	Rang string
	// Left says that a connection lost its socket, or is over.
	Left string
)

// authsRunning and authsMost count the OnAuth of vaults that run.
var authsRunning, authsMost atomic.Int32

func (Vault) OnAuth(ctx context.Context, r *actor.AuthRequest) (Guest, error) {
	n := authsRunning.Add(1)
	defer authsRunning.Add(-1)
	for most := authsMost.Load(); n > most && !authsMost.CompareAndSwap(most, n); most = authsMost.Load() {
	}
	var p VaultParams
	r.Params(&p)
	select {
	case <-time.After(time.Duration(p.SlowMs) * time.Millisecond):
	case <-ctx.Done():
		return "", ctx.Err()
	}
	who := r.Header.Cookie("who")
	if p.As != "" {
		who = p.As
	}
	switch who {
	case "":
		return "", actor.Errorf(wire.CodeUnauthorized, "who are you?")
	case "mallory":
		return "", &actor.Error{Code: wire.CodeForbidden, Message: "not you", Metadata: []string{"why"}}
	case "broken":
		return "", errors.New("the database is down")
	case "addressed":
		who = r.RemoteAddr + " " + r.Header.Get("user-agent") + " " + r.Header.Get("Sec-WebSocket-Key") + r.Action
	}
	return Guest(who), nil
}

func (v *Vault) OnDrop(c *roomContext)       { c.Broadcast(Left("dropped " + actor.Auth[Guest](c))) }
func (v *Vault) OnDisconnect(c *roomContext) { c.Broadcast(Left("over " + actor.Auth[Guest](c))) }

// Ring broadcasts who rang, and returns that.
func (v *Vault) Ring(c *roomContext) Guest {
	v.Rung++
	c.Broadcast(Rang(actor.Auth[Guest](c)))
	return actor.Auth[Guest](c)
}

// withVault has vaults whose connections may change hands.
var withVault = otherActor(actor.Define[Vault]("vault", actor.Emits[Rang](), actor.Emits[Left](), actor.WithOptions(actor.Options{AnySubject: true})))

// dialAs opens a socket whose request has a header, and takes its hello.
func (e *env) dialAs(header http.Header) *client {
	e.t.Helper()
	c, _, err := tryDialPipe(e.t, e.h, header, "/api/socket?v=1")
	if err != nil {
		e.t.Fatal(err)
	}
	e.clients = append(e.clients, c)
	e.settle()
	c.expect("hello")
	return c
}

func cookie(who string) http.Header { return http.Header{"Cookie": {"who=" + who}} }

const vault = `"actor":"vault"`

func params(p VaultParams) string {
	return fmt.Sprintf(`"params":{"as":%q,"slowMs":%d}`, p.As, p.SlowMs)
}

func refresh(channel int, p VaultParams) string {
	return fmt.Sprintf(`{"t":"params","c":%d,%s}`, channel, params(p))
}

func TestAuth_byCookie(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dialAs(cookie("ada"))
		c.open(1, "ada", vault)
		e.settle()
		c.call(1, 1, "ring")
		e.settle()
		c.expect("1 opened 0", "1 at 0", `1 reply 2 #1 "ada"`)

		stranger := e.dial()
		stranger.open(1, "stranger", vault)
		stranger.open(2, "mallory", vault, params(VaultParams{As: "mallory"}))
		stranger.open(3, "broken", vault, params(VaultParams{As: "broken"}))
		stranger.open(4, "late", vault, params(VaultParams{As: "late", SlowMs: 60_000}))
		stranger.open(5, "room") // which asks nobody
		time.Sleep(6 * time.Second)
		stranger.expectSorted("1 closed unauthorized false", `2 closed forbidden false["why"]`, "3 closed internal_error true", `4 closed timeout true{"limit":5000,"option":"actor.Options.ConnectTimeout"}`, "5 at 0", "5 opened 0")
		stranger.isOpen()
	}, withVault)
}

func TestAuth_byID(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		made := do(t, e.h, "POST", "/api/actors/vault", `{"key":["lobby"]}`, "Cookie", "who=ada")
		c := e.dial()
		byID := `"actor":"vault","actorId":"` + made.ID + `"`
		c.open(1, "stranger", byID)
		c.open(2, "bob", byID, params(VaultParams{As: "bob"}))
		c.open(3, "nobody", `"actorId":"none"`)
		e.settle()
		c.expectSorted("1 closed unauthorized false", "2 at 0", "2 opened 0", "3 closed not_found false")
		// The id of a vault in the address of a room does not help.
		for path, want := range map[string]int{"room": 404, "vault": 401} {
			if a := do(t, e.h, "POST", "/api/actors/"+path+"/actions/ring?id="+made.ID, ``); a.status != want {
				t.Errorf("%s: got %d %s, want %d", path, a.status, a.body, want)
			}
		}
	}, withVault)
}

func TestAuth_overHTTP(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		for _, test := range []struct {
			method, path, body, who string
			status                  int
			want                    string // the body if it succeeds, else the code
		}{
			{"POST", "/actions/ring?key=a", ``, "", 401, "unauthorized"},
			{"POST", "/actions/ring?key=a", ``, "mallory", 403, "forbidden"},
			{"POST", "/actions/ring?key=a", ``, "broken", 500, "internal_error"},
			{"POST", "/actions/nope?key=a", ``, "", 401, "unauthorized"},
			{"POST", "/actions/ring?key=a", ``, "ada", 200, `{"result":"ada"}`},
			{"POST", "/actions/ring?key=a", ``, "addressed", 200, `{"result":"192.0.2.1  ring"}`},
			{"POST", "", `{"key":["b"]}`, "", 401, "unauthorized"},
			{"GET", "?key=a", ``, "", 401, "unauthorized"},
			{"GET", "?key=b", ``, "ada", 404, "not_found"}, // it was not made
		} {
			a := do(t, e.h, test.method, "/api/actors/vault"+test.path, test.body, "Cookie", "who="+test.who)
			got := a.Code
			if a.status < 300 {
				got = a.body
			}
			if a.status != test.status || got != test.want {
				t.Errorf("%+v: got %d %s", test, a.status, a.body)
			}
			if strings.Contains(a.body, "database") {
				t.Errorf("%+v: the answer tells what went wrong inside: %s", test, a.body)
			}
		}
		if !strings.Contains(e.logs.String(), "the database is down") {
			t.Error("the log does not tell what went wrong")
		}
		// A page of another origin does not reach OnAuth, whatever its visitor's cookies.
		if a := do(t, e.h, "POST", "/api/actors/vault/actions/ring?key=a", ``, "Cookie", "who=ada", "Origin", "https://evil.example"); a.status != 403 || a.Code != "bad_origin" {
			t.Errorf("cross-site: got %d %s", a.status, a.body)
		}
	}, withVault, unchecked)
}

// What a client sends on a channel while OnAuth runs is handled afterwards, in order;
// other channels do not wait.
func TestAuth_whatIsSentMeanwhile(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.open(1, "ada", vault, params(VaultParams{As: "ada", SlowMs: 3000}))
		c.send(`{"t":"sub","c":1,"e":["rang"]}`)
		c.call(1, 1, "ring")
		c.call(1, 1, "ring") // the same
		c.send(refresh(1, VaultParams{As: "bob", SlowMs: 1000}))
		c.call(1, 2, "ring")
		c.send(`{"t":"unsub","c":1,"e":["rang"]}`)
		c.call(1, 3, "ring")
		c.send(`{"t":"close","c":1}`, `{"t":"call","c":1,"id":4,"a":"ring"}`)
		c.open(2, "room")
		e.settle()
		c.expect("2 opened 0", "2 at 0")
		time.Sleep(3 * time.Second)
		e.settle()
		c.expect("1 opened 0", "1 at 0", `1 event 1 rang "ada"`, `1 reply 2 #1 "ada"`)
		time.Sleep(time.Second)
		e.settle()
		// The close came with the last two calls, and has no answer.
		watcher := e.dialAs(cookie("eve"))
		watcher.open(1, "eve", vault, `"subs":["rang","left"]`)
		e.settle()
		watcher.expect("1 opened 7", "1 at 7") // each ring is an event and a reply, the end an event
		if a := do(t, e.h, "POST", "/api/actors/vault/actions/ring?key=lobby", ``, "Cookie", "who=eve"); a.status != 200 {
			t.Errorf("got %d %s", a.status, a.body)
		}
		e.settle()
		watcher.expect(`1 event 8 rang "eve"`)
	}, withVault)
}

// New params change the identity of a connection without a disconnect.
func TestAuth_refresh(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dialAs(cookie("ada"))
		c.open(1, "ada", vault, `"subs":["rang","left"]`)
		c.open(2, "room", `"params":{"greet":false}`)
		e.settle()
		c.take()
		c.send(refresh(1, VaultParams{As: "bob"}))
		c.call(1, 1, "ring")
		c.send(`{"t":"params","c":2,"params":{"refuse":"denied"}}`, `{"t":"params","c":9,"params":1}`, `{"t":"params","c":1,"params":"`+strings.Repeat("x", 5000)+`"}`)
		e.settle()
		c.expectSorted(`1 error too_large{"size":5002,"limit":4096,"option":"params"}`, `1 event 1 rang "bob"`, `1 reply 2 #1 "bob"`, `2 closed denied false["why"]`, "9 error unknown_channel")

		// Refused by OnAuth: for the actor the socket is gone. With the right params the
		// connection comes back without a gap.
		watcher := e.dialAs(cookie("eve"))
		watcher.open(1, "eve", vault, `"subs":["left"]`)
		e.settle()
		log := watcher.takeMessages()[0].Log
		c.send(refresh(1, VaultParams{As: "mallory"}))
		e.settle()
		c.expect(`1 closed forbidden false["why"]`)
		watcher.expect(`1 event 3 left "dropped bob"`)
		c.open(3, "ada", vault, `"subs":["rang","left"]`, resume(log, 2))
		e.settle()
		c.expect("3 opened 2 resumed", `3 event 3 left "dropped bob"`, "3 at 3")
	}, withVault)
}

// A resume with a session that was revoked meanwhile is refused.
func TestAuth_resume(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dialAs(cookie("ada"))
		c.open(1, "ada", vault)
		e.settle()
		log := c.takeMessages()[0].Log
		c.cut()
		e.settle()
		c = e.dialAs(cookie("mallory"))
		c.open(1, "ada", vault, resume(log, 0))
		e.settle()
		c.expect(`1 closed forbidden false["why"]`)
		// The connection's id does not open it, either.
		c = e.dialAs(cookie("eve"))
		c.open(1, "", vault, `"k":"`+connOf("ada")+`"`, resume(log, 0), `"subs":["left"]`)
		e.settle()
		c.expect("1 opened 1 lost expired 1 true", "1 at 1")
	}, withVault)
}

// A socket that ends while OnAuth runs leaves no connection behind.
func TestAuth_theSocketEndsMeanwhile(t *testing.T) {
	for _, at := range []time.Duration{time.Second, 3 * time.Second} { // before OnAuth answers, and just when it does
		run(t, func(t *testing.T, e *env) {
			c := e.dial()
			c.open(1, "ada", vault, params(VaultParams{As: "ada", SlowMs: 3000}))
			time.Sleep(at)
			c.cut()
			time.Sleep(10 * time.Second)
			if n := authsRunning.Load(); n != 0 {
				t.Errorf("%d OnAuth still run", n)
			}
			watcher := e.dialAs(cookie("eve"))
			watcher.open(1, "eve", vault, `"subs":["left"]`)
			e.settle()
			watcher.take()
			time.Sleep(3 * time.Minute)
			if got := watcher.take(); len(got) > 0 && got[0] != `1 event 2 left "over ada"` {
				t.Errorf("got %q, want nothing, or the end of a connection that was there for a moment", got)
			}
		}, withVault)
	}
}

// lastWordHost has something happen between OnAuth's answer and the open.
type lastWordHost struct {
	host.Host
	before *func()
}

func (p lastWordHost) Open(r host.Ref, o host.OpenRequest) error {
	if f := *p.before; f != nil {
		*p.before = nil
		f()
	}
	return p.Host.Open(r, o)
}

// The same at the worst moment: the socket ends after OnAuth has answered and before the
// actor gets the open. The connection is dropped then, not left online.
func TestAuth_theSocketEndsInBetween(t *testing.T) {
	var before func()
	run(t, func(t *testing.T, e *env) {
		watcher, c := e.dialAs(cookie("eve")), e.dialAs(cookie("ada"))
		watcher.open(1, "eve", vault, `"subs":["left"]`)
		e.settle()
		watcher.take()
		before = func() {
			c.cut()
			time.Sleep(time.Second)
		}
		c.open(1, "ada", vault)
		time.Sleep(2 * time.Second)
		e.settle()
		watcher.expect(`1 event 1 left "dropped ada"`)
	}, withVault, wrapHost(func(p host.Host) host.Host { return lastWordHost{p, &before} }))
}

// TestG8_SlowAuth: running OnAuths are bounded, per socket and in all, and so is what
// waits for them.
func TestG8_SlowAuth(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		authsMost.Store(0)
		c := e.dial()
		for i := range 40 {
			c.open(i+1, fmt.Sprint("ada", i), vault, params(VaultParams{As: "ada", SlowMs: 1000}))
		}
		time.Sleep(1500 * time.Millisecond)
		if got := len(c.take()); got != 2*8 || authsMost.Load() != 8 {
			t.Errorf("after 1 s: got %d messages, %d OnAuth at a time; want an opened and an at of 8", got, authsMost.Load())
		}
		time.Sleep(4 * time.Second)
		e.settle()
		if got := len(c.take()); got != 2*32 {
			t.Errorf("got %d messages, want an opened and an at of 32", got)
		}

		c.open(41, "bob", vault, params(VaultParams{As: "bob", SlowMs: 4000}))
		for i := range 20 {
			c.call(41, i+1, "ring", strings.Repeat("x", 30<<10))
		}
		e.settle()
		refused := 0
		for _, line := range c.take() {
			if strings.HasSuffix(line, ` overloaded{"limit":262144,"option":"heldForAuth"}`) {
				refused++
			}
		}
		if refused < 10 || refused > 14 {
			t.Errorf("%d of 20 calls of 30 KiB each were refused, want all beyond 256 KiB", refused)
		}
		c.isOpen()
	}, withVault, gatewayOptions(gateway.Options{Limits: wire.Limits{Rate: 1e6, Burst: 1e6}}))
}

// What waits for OnAuth has no effect once the server shuts down.
func TestAuth_shutdown(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.open(1, "ada", vault, params(VaultParams{As: "ada", SlowMs: 1000}))
		c.call(1, 1, "ring")
		e.g.Quiesce()
		time.Sleep(3 * time.Second)
		c.expect("bye")
		e.restart()
		if a := do(t, e.h, "GET", "/api/actors/vault?key=lobby", ``, "Cookie", "who=eve"); a.status != 404 {
			t.Errorf("got %d %s, want that the vault does not exist", a.status, a.body)
		}
	}, withVault)
}

// TestG8_HeadersOfSockets: what a socket keeps of its request is bounded, and does not take
// the room of what is meant to drain.
func TestG8_HeadersOfSockets(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		_, response, err := tryDialPipe(e.t, e.h, http.Header{"Cookie": {strings.Repeat("x", 9<<10)}}, "/api/socket?v=1")
		if err == nil || response == nil || response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
			t.Errorf("a header of 9 KiB: got %v, %v; want status 431", response, err)
		}
		for range 2 { // which are refused with a close frame, so they are open for a moment
			c, _, err := tryDialPipe(e.t, e.h, http.Header{"Origin": {"https://evil.example"}, "Cookie": {strings.Repeat("x", 200<<10)}}, "/api/socket?v=1")
			if err != nil {
				t.Fatal(err)
			}
			e.clients = append(e.clients, c)
		}
		for range 20 {
			e.dialAs(http.Header{"Cookie": {"who=ada; " + strings.Repeat("x", 7<<10)}})
		}
		if n := e.g.Buffers(); n != 0 {
			t.Errorf("idle sockets hold %d bytes of what is meant to drain, want none", n)
		}
		c := e.dialAs(cookie("ada"))
		c.open(1, "ada", vault)
		e.settle()
		c.expect("1 opened 0", "1 at 0")
	}, withVault, gatewayOptions(gateway.Options{MaxBuffers: 200_000}))
}
