package gateway_test

import (
	"context"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/troupe-dev/troupe/backend/gateway"
	"github.com/troupe-dev/troupe/backend/host"
	"github.com/troupe-dev/troupe/backend/wire"
)

// TestHello: the server sends the first message.
func TestHello(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := dialPipe(t, e.h)
		e.clients = append(e.clients, c)
		e.settle()
		got := c.takeMessages()
		if len(got) != 1 {
			t.Fatalf("got %d messages, want a hello", len(got))
		}
		m := got[0]
		if m.Type != wire.TypeHello || m.Version != 1 || *m.Limits != wire.DefaultLimits || m.BeatMs != 15000 || m.DeadMs != 25000 || m.SpreadMs != 0 {
			t.Errorf("got %+v", m)
		}
	})
}

// TestHelloTellsTheContract: a page finds out that it was built against another contract.
func TestHelloTellsTheContract(t *testing.T) {
	parts := []string{"hall.say():Zm9v"}
	run(t, func(t *testing.T, e *env) {
		c := dialPipe(t, e.h)
		e.clients = append(e.clients, c)
		e.settle()
		got := c.takeMessages()
		if len(got) != 1 || got[0].Contract != "Zm9vYmFyYmF6" || !slices.Equal(got[0].Parts, parts) {
			t.Errorf("got %+v, want a hello with the contract and its parts", got)
		}
	}, gatewayOptions(gateway.Options{Contract: "Zm9vYmFyYmF6", Parts: parts}))
}

// TestSpread: the clients of a busy server are asked not to come back all at once.
func TestSpread(t *testing.T) {
	runOver(t, func(t *testing.T, e *env) {
		var all []*client
		for range 50 {
			all = append(all, e.dial())
		}
		c := dialPipe(t, e.h)
		e.clients = append(e.clients, c)
		e.settle()
		if got := c.takeMessages()[0].SpreadMs; got != 5100 {
			t.Errorf("got a spread of %d ms over 51 sockets, want 5100", got)
		}
		e.g.Quiesce()
		e.settle()
		delays := map[int64]bool{}
		for _, c := range all {
			m := c.takeMessages()[0]
			if m.Type != wire.TypeBye || m.DelayMs < 0 || m.DelayMs > 5100 {
				t.Fatalf("got %s with %d ms", brief(m), m.DelayMs)
			}
			delays[m.DelayMs] = true
		}
		if len(delays) < 25 {
			t.Errorf("got %d different delays of 50", len(delays))
		}
	}, gatewayOptions(gateway.Options{SpreadRate: 10}))
}

// TestHeartbeat: a socket on which nothing happens stays, for one beat in 15 s.
func TestHeartbeat(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dial()
		time.Sleep(10 * time.Minute)
		c.isOpen()
		c.mu.Lock()
		beats := c.beats
		c.mu.Unlock()
		if beats < 35 || beats > 40 {
			t.Errorf("got %d beats in 10 minutes, want one in 15 s", beats)
		}
	})
}

// TestHeartbeat_Probe: a probe gets a beat at once; a beat that is an answer gets none.
func TestHeartbeat_Probe(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dial()
		beats := func() int {
			e.settle()
			c.mu.Lock()
			defer c.mu.Unlock()
			return c.beats
		}
		c.send(`{"t":"beat"}`)
		if got := beats(); got != 0 {
			t.Errorf("got %d beats for one without probe, want 0", got)
		}
		c.send(`[{"t":"beat","probe":true},{"t":"beat","probe":true}]`)
		if got := beats(); got != 2 {
			t.Errorf("got %d beats for 2 probes", got)
		}
		// Probes count against the rate: a flood of them gets one error instead.
		c.send("[" + strings.Repeat(`{"t":"beat","probe":true},`, 999) + `{"t":"beat"}]`)
		if got := beats(); got > 2+wire.DefaultLimits.Burst {
			t.Errorf("got %d beats, more than the burst", got)
		}
		c.isOpen()
	})
}

// TestHeartbeat_Dead: a client that does not answer is gone after 25 s. Its connections
// are dropped, and can come back.
func TestHeartbeat_Dead(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.setDeaf(true)
		c.open(1, "ada")
		time.Sleep(24 * time.Second)
		c.isOpen()
		time.Sleep(4 * time.Second)
		if c.status() == 0 {
			t.Fatal("the socket is open after 28 s of silence")
		}
		if n := e.g.Sockets(); n != 0 {
			t.Errorf("%d sockets are left", n)
		}
		c = e.dial()
		c.open(1, "ada", resume("x", 0))
		e.settle()
		c.expect("1 opened 0 resumed lost restart 0 false", "1 at 0")
	})
}

// TestHeartbeat_BusyListener: a client that only listens stays while it answers beats,
// and still gets them.
func TestHeartbeat_BusyListener(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.open(1, "ada", `"subs":["said"]`)
		for range 120 {
			e.say("x")
			time.Sleep(time.Second)
		}
		c.isOpen()
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.beats < 6 || c.beats > 8 {
			t.Errorf("got %d beats in 2 minutes of events, want one in 15 s", c.beats)
		}
	})
}

// TestBye: a shutdown in its two steps.
func TestBye(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.open(1, "ada", `"subs":["said"]`)
		e.settle()
		log := c.logOf(1)
		c.take()
		e.g.Quiesce()
		e.settle()
		c.expect("bye")
		c.call(1, 1, "say", "too late")
		e.say("still runs")
		e.settle()
		c.expect(`1 event 1 said "still runs"`)
		if _, resp, err := tryDialPipe(t, e.h, nil, "/api/socket?v=1"); err == nil || resp.StatusCode != 503 {
			t.Errorf("got %v, %v for a new socket, want status 503", resp, err)
		}
		e.stop()
		if got := c.status(); got != websocket.StatusServiceRestart {
			t.Errorf("got status %d, want 1012", got)
		}
		e.start()
		c = e.dial()
		c.open(1, "ada", `"subs":["said"]`, resume(log, 1))
		e.settle()
		c.expect("1 opened 1 resumed", "1 at 1") // the late call had no effect
	})
}

// detachHost counts connections that are dropped.
type detachHost struct {
	host.Host
	dropped *atomic.Int32
}

func (p detachHost) Detach(r host.Ref, attachment host.Attachment) {
	p.dropped.Add(1)
	p.Host.Detach(r, attachment)
}

// TestBye_NoDrop: a shutdown is not a drop, also for clients that leave at the bye,
// before it is complete.
func TestBye_NoDrop(t *testing.T) {
	var dropped atomic.Int32
	run(t, func(t *testing.T, e *env) {
		dropped.Store(0)
		ada, bob := e.dial(), e.dial()
		ada.open(1, "ada")
		bob.open(1, "bob")
		e.settle()
		ada.cut()
		e.settle()
		if n := dropped.Load(); n != 1 {
			t.Errorf("%d connections were dropped with their socket, want 1", n)
		}
		e.g.Quiesce()
		bob.cut()
		e.settle()
		if n := dropped.Load(); n != 1 {
			t.Errorf("%d connections were dropped by the shutdown", n-1)
		}
	}, wrapHost(func(p host.Host) host.Host { return detachHost{p, &dropped} }))
}

// TestBye_TooLate: a call that its actor can no longer accept is not answered, so that
// its client sends it again.
func TestBye_TooLate(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		if e.remote {
			t.Skip("the node of the actors is not that of the sockets")
		}
		c := e.dial()
		c.open(1, "ada", `"subs":["said"]`)
		e.settle()
		c.take()
		if err := e.node.Shutdown(t.Context()); err != nil {
			t.Error(err)
		}
		c.call(1, 1, "say", "too late")
		e.settle()
		c.expect()
	})
}

// TestBye_LastWords: what turns of the shutdown send is written before the sockets close.
func TestBye_LastWords(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.open(1, "ada", `"subs":["said"]`)
		e.settle()
		c.take()
		e.g.Quiesce()
		for range 10 {
			e.once("burst", "100", "100")
		}
		if e.lagging {
			e.settle() // a copy that is not up to date has no last words yet
		}
		e.stop()
		if got := len(c.take()); got != 1001 {
			t.Errorf("got %d messages, want bye and 1,000 events", got)
		}
	})
}

// TestClose_stuckClients: clients that do not read or answer do not delay a shutdown.
func TestClose_stuckClients(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.open(1, "ada", `"subs":["said"]`)
		e.settle()
		c.pause(true)
		e.once("burst", "100", "1000")
		e.settle()
		e.g.Quiesce()
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		start := time.Now()
		if err := e.node.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := e.g.Close(ctx); err == nil {
			t.Error("got no error, want that not everything was written")
		}
		if took := time.Since(start); took > 6*time.Second {
			t.Errorf("took %s, want 5 s", took)
		}
		c.pause(false)
	})
}

// panickyHost panics on some calls.
type panickyHost struct{ host.Host }

func (p panickyHost) Call(r host.Ref, c host.CallRequest) error {
	if c.Action == "boom" {
		panic("boom")
	}
	return p.Host.Call(r, c)
}

// panicky makes both panic.
func panicky(e *env) {
	e.wrap = func(h host.Host) host.Host { return panickyHost{h} }
	e.wrapDefinitions = func(d host.Definitions) host.Definitions { return panickyDefinitions{d} }
}

// panickyDefinitions panic about one event.
type panickyDefinitions struct{ host.Definitions }

func (d panickyDefinitions) Emits(name, event string) bool {
	if event == "boom" {
		panic("boom")
	}
	return d.Definitions.Emits(name, event)
}

func (p panickyHost) Find(context.Context, host.Ref, host.Identity) (host.Ref, error) {
	panic("boom")
}

// TestPanic: a panic while a socket is served ends that socket only.
func TestPanic(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		other := e.dial()
		other.open(1, "bob")
		e.settle()
		other.take()
		for _, frame := range []string{callFrame(1, 1, "boom"), `{"t":"sub","c":1,"e":["boom"]}`} {
			c := e.dial()
			c.open(1, "ada")
			e.settle()
			c.send(frame)
			time.Sleep(10 * time.Second)
			if got := c.status(); got != websocket.StatusInternalError {
				t.Errorf("%s: got status %d, want 1011", frame, got)
			}
		}
		other.call(1, 1, "echo", "x")
		e.settle()
		other.expect(`1 reply 0 #1 "x"`)
		if n := e.g.Sockets(); n != 1 {
			t.Errorf("%d sockets are left, want 1", n)
		}
		if !strings.Contains(e.logs.String(), "boom") {
			t.Error("the log does not report the panic")
		}
		if got := do(t, e.h, "GET", "/api/actors/room?key=x", ""); got.status != 500 || got.Code != wire.CodeInternal {
			t.Errorf("got %+v, want 500", got)
		}
	}, panicky)
}

// TestCloseWithoutAnAnswer: a client that does not answer the close frame delays no one,
// and one that has not received it yet gets time to.
func TestCloseWithoutAnAnswer(t *testing.T) {
	shut := func(e *env) time.Duration {
		start := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := e.g.Close(ctx); err != nil {
			e.t.Error(err)
		}
		return time.Since(start)
	}
	run(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.pause(true)
		e.g.Quiesce() // its bye is read, by a read that was under way
		e.settle()
		go func() { _, _ = io.Copy(io.Discard, c.conn) }()
		if took := shut(e); took < time.Second || took > 3*time.Second {
			t.Errorf("it took %v to close the socket of a client that does not answer, want a second", took)
		}
	})
	run(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.pause(true)
		c.send(`{"t":"nothing"}`, `{"t":"nothing"}`) // answers, that stay
		go func() {
			time.Sleep(4 * time.Second)
			c.pause(false)
		}()
		if took := shut(e); took < 4*time.Second {
			t.Errorf("it took %v to close the socket of a client that reads after 4 s", took)
		}
		synctest.Wait()
		if got := c.status(); got != websocket.StatusServiceRestart {
			t.Errorf("got status %d, want 1012", got)
		}
	})
}

// TestG3_PageGone: a browser that closes a page says so with status 1001. Its connections
// end soon, unless they are resumed: a proxy may send 1001 as well.
func TestG3_PageGone(t *testing.T) {
	resumed := []string{"1 opened 0 resumed", `1 event 1 said "one"`, "1 at 1"}
	for name, c := range map[string]struct {
		status websocket.StatusCode
		away   time.Duration
		want   []string
	}{
		"a page that stays away":       {websocket.StatusGoingAway, gateway.LeaveGrace + time.Second, []string{"1 opened 1 lost expired 1 true", "1 at 1"}},
		"clients of a proxy, in time":  {websocket.StatusGoingAway, gateway.LeaveGrace - time.Second, resumed},
		"a client with another status": {websocket.StatusNormalClosure, gateway.LeaveGrace + time.Second, resumed},
	} {
		t.Run(name, func(t *testing.T) {
			run(t, func(t *testing.T, e *env) {
				ada := e.dial()
				ada.open(1, "ada", `"subs":["said"]`)
				e.settle()
				log := ada.logOf(1)
				_ = ada.ws.Close(c.status, "") // its reader may get the answer before it does
				e.say("one")
				time.Sleep(c.away)
				ada = e.dial()
				ada.open(1, "ada", `"subs":["said"]`, resume(log, 0))
				e.settle()
				ada.expect(c.want...)
				time.Sleep(2 * gateway.LeaveGrace) // the end of the first socket does not end the resumed connection
				ada.call(1, 1, "say", "two")
				e.settle()
				ada.expect(`1 event 2 said "two"`, "1 reply 3 #1 2")
			})
		})
	}
}
