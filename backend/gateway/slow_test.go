package gateway_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/gateway"
	"github.com/troupe-dev/troupe/backend/wire"
)

// socketBuffer is small, so that a client that stops reading is noticed earlier.
const socketBuffer = 32 << 10

// dialTCP opens a socket over loopback and takes its hello.
func dialTCP(t testing.TB, url string) *client {
	t.Helper()
	c := dialTCPRaw(t, url)
	c.await("hello", func(got []wire.ServerMessage) bool { return len(got) > 0 })
	c.take()
	return c
}

func dialTCPRaw(t testing.TB, url string) *client {
	t.Helper()
	transport := &http.Transport{DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := new(net.Dialer).DialContext(ctx, network, addr)
		if err == nil {
			err = conn.(*net.TCPConn).SetReadBuffer(socketBuffer)
		}
		return conn, err
	}}
	ws, _, err := websocket.Dial(context.Background(), strings.Replace(url, "http", "ws", 1)+"/api/socket?v=1",
		&websocket.DialOptions{HTTPClient: &http.Client{Transport: transport}})
	if err != nil {
		t.Fatal(err)
	}
	return newClient(t, ws, nil)
}

// newTCP makes an env whose gateway is served over loopback.
func newTCP(t testing.TB, with ...setup) (*env, string) {
	e := newEnv(t, with...)
	server := httptest.NewUnstartedServer(e.h)
	server.Config.ConnContext = func(ctx context.Context, conn net.Conn) context.Context {
		if err := conn.(*net.TCPConn).SetWriteBuffer(socketBuffer); err != nil {
			t.Error(err)
		}
		return ctx
	}
	server.Start()
	t.Cleanup(func() {
		e.stop()
		server.Close()
	})
	return e, server.URL
}

// TestG8_SlowReader: a client that stops reading costs others nothing, and when it reads
// again it gets everything, in order.
func TestG8_SlowReader(t *testing.T) {
	const readers, events, size = 20, 200, 8000
	e, url := newTCP(t, roomOptions(actor.Options{LogBytes: 256 << 10}))
	slow := dialTCP(t, url)
	e.clients = append(e.clients, slow)
	slow.open(1, "slow", `"subs":["said"]`)
	slow.await("at", func(got []wire.ServerMessage) bool { return len(got) == 2 })
	slow.take()
	slow.light.Store(true)
	var others []*client
	for i := range readers {
		c := dialTCP(t, url)
		e.clients = append(e.clients, c)
		c.open(1, fmt.Sprint("c", i), `"subs":["said"]`)
		c.await("at", func(got []wire.ServerMessage) bool { return len(got) == 2 })
		c.take()
		c.light.Store(true)
		others = append(others, c)
	}
	slow.pause(true)

	before := heap()
	for n := range events / 10 {
		e.once("burst", "10", fmt.Sprint(size))
		if n%10 == 9 {
			for _, c := range others {
				c.await("its events", func(got []wire.ServerMessage) bool { return len(got) >= (n+1)*10 })
			}
		}
	}
	for _, c := range others {
		check(t, c.takeMessages(), events)
	}
	// The store holds 1.6 MB of entries, the log in memory 256 KiB; what else there
	// is must be small.
	if grown := heap() - before; grown > 8<<20 {
		t.Errorf("the heap has grown by %d MB", grown>>20)
	}
	if n := e.g.Buffers(); n > 1<<20 {
		t.Errorf("%d bytes are held for the client that does not read, want 1 MiB at most", n)
	}
	slow.isOpen()
	slow.pause(false)
	slow.await("everything", func(got []wire.ServerMessage) bool { return len(got) >= events })
	check(t, slow.takeMessages(), events)
}

func check(t *testing.T, got []wire.ServerMessage, events int) {
	t.Helper()
	if len(got) != events {
		t.Fatalf("got %d messages, want %d", len(got), events)
	}
	for i, m := range got {
		if m.Type != wire.TypeEvent || m.Seq != uint64(i+1) {
			t.Fatalf("got %s as the %d.", brief(m), i)
		}
	}
}

func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// TestG8_AStuckReaderDelaysNobody: a client that does not read delays what others get by
// nothing, until its socket ends.
func TestG8_AStuckReaderDelaysNobody(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		stuck, good := e.dial(), e.dial()
		for _, c := range []*client{stuck, good} {
			c.open(1, fmt.Sprintf("c%p", c), `"subs":["said"]`)
		}
		e.settle()
		good.take()
		stuck.pause(true)
		for n := range 30 {
			start := time.Now()
			e.say("text")
			synctest.Wait()
			if e.lagging {
				e.settle()
			}
			if got := good.take(); len(got) != 1 {
				t.Fatalf("event %d: got %q", n, got)
			}
			if took := time.Since(start); took > 0 && !e.lagging {
				t.Errorf("event %d took %s", n, took)
			}
			time.Sleep(time.Second)
		}
		if n := e.g.Sockets(); n != 1 {
			t.Errorf("%d sockets are left, want that of the client that reads", n)
		}
	})
}

// TestG8_StuckReader: a write that is blocked for 20 s ends the socket; the client comes
// back and gets everything that is retained.
func TestG8_StuckReader(t *testing.T) {
	runOver(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.open(1, "ada", `"subs":["said"]`)
		e.settle()
		log := c.logOf(1)
		c.take()
		c.pause(true)
		e.say("one") // is read, by a read that was under way
		e.settle()
		e.say("two")
		time.Sleep(19 * time.Second)
		if n := e.g.Sockets(); n != 1 {
			t.Fatalf("%d sockets after 19 s, want 1", n)
		}
		time.Sleep(3 * time.Second)
		if n := e.g.Sockets(); n != 0 {
			t.Fatalf("%d sockets after 22 s, want 0", n)
		}
		c.cut()
		got := c.takeMessages()
		seen := uint64(0)
		for _, m := range got {
			seen = m.Seq
		}
		c = e.dial()
		c.open(1, "ada", `"subs":["said"]`, resume(log, seen))
		e.settle()
		if n := len(got) + len(c.takeMessages()) - 2; n != 2 {
			t.Errorf("got %d events, want 2", n)
		}
	})
}

// TestG8_FloodAndSilence: a client that sends invalid messages and does not read the
// answers is not read any more, and is cut off like any other that stops reading.
func TestG8_FloodAndSilence(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.pause(true)
		sent := make(chan int)
		go func() {
			n := 0
			for c.ws.Write(context.Background(), websocket.MessageText, []byte(callFrame(7, n+1, "x"))) == nil {
				n++
			}
			sent <- n
		}()
		time.Sleep(10 * time.Second)
		if n := e.g.Sockets(); n != 1 {
			t.Errorf("%d sockets, want 1", n)
		}
		time.Sleep(20 * time.Second)
		if n := e.g.Sockets(); n != 0 {
			t.Errorf("%d sockets are left", n)
		}
		// An answer has about 90 bytes; 64 KiB of them are kept, and a frame or two.
		if n := <-sent; n > 4000 {
			t.Errorf("%d messages were read while their answers were not", n)
		}
	}, gatewayOptions(gateway.Options{Limits: wire.Limits{Rate: 1e9, Burst: 1e9}}))
}

// TestG8_SlowButSteady: a link that is slow but makes progress is not cut off, neither as
// blocked nor because its client has not got to the beat yet.
func TestG8_SlowButSteady(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.open(1, "ada", `"subs":["said"]`)
		e.settle()
		c.take()
		c.pause(true)
		e.say("pending") // is read, by a read that was under way
		e.settle()
		e.once("burst", "1", "1000000")
		got := 0
		for b := make([]byte, 16<<10); got < 1_000_000; time.Sleep(time.Second) {
			n, err := c.conn.Read(b)
			if err != nil {
				t.Fatalf("%v after %d bytes", err, got)
			}
			got += n
		}
		if n := e.g.Sockets(); n != 1 {
			t.Errorf("%d sockets, want 1", n)
		}
	}, gatewayOptions(gateway.Options{}))
}

// TestG4_Slow: a client that was cut off as slow, and has a gap by that, gets slow as the
// reason.
func TestG4_Slow(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.open(1, "ada", `"subs":["said"]`)
		e.settle()
		log := c.logOf(1)
		c.pause(true)
		e.say("is read") // by a read that was under way
		e.settle()
		e.say("is not")
		time.Sleep(22 * time.Second)
		e.once("burst", "400", "1000")
		c.cut()
		c = e.dial()
		c.open(1, "ada", `"subs":["said"]`, resume(log, 1))
		e.settle()
		got := c.take()
		if len(got) != 2 || !strings.HasPrefix(got[0], "1 opened 402 resumed lost slow ") {
			t.Errorf("got %q", got)
		}
		if s := e.g.Stats(); s.Slow != 1 || s.Gaps[wire.ReasonSlow] != 1 || s.Resumed != 0 {
			t.Errorf("counted %d slow sockets, %v lost, %d resumed; want 1, one slow, 0", s.Slow, s.Gaps, s.Resumed)
		}
	}, roomOptions(actor.Options{LogBytes: 4 << 10}), smallStore)
}

// TestG3_LargeEvents: an event that is larger than the log's memory still arrives, and no
// socket is closed for it.
func TestG3_LargeEvents(t *testing.T) {
	runOver(t, func(t *testing.T, e *env) {
		var all []*client
		for i := range 6 {
			c := e.dial()
			c.open(1, fmt.Sprint("c", i), `"subs":["said"]`)
			all = append(all, c)
		}
		e.settle()
		for _, c := range all {
			c.take()
		}
		for i, c := range all {
			c.call(1, 1, "burst", 1, 200_000+i)
			c.call(1, 2, "echo", "x")
		}
		e.settle()
		for _, c := range all {
			c.isOpen()
			events, replies := 0, 0
			for _, m := range c.takeMessages() {
				switch {
				case m.Type == wire.TypeEvent && len(m.Data) > 200_000:
					events++
				case m.Type == wire.TypeReply:
					replies++
				default:
					t.Errorf("got %s", brief(m))
				}
			}
			if events != 6 || replies != 2 {
				t.Errorf("got %d events and %d replies, want 6 and 2", events, replies)
			}
		}
	}, roomOptions(actor.Options{LogBytes: 256 << 10}))
}

// TestG4_OffRetention: a socket whose cursor has fallen out of the store is closed; it
// does not get events after a gap.
func TestG4_OffRetention(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.open(1, "ada", `"subs":["said"]`)
		e.settle()
		log := c.logOf(1)
		c.take()
		c.pause(true)
		for n := range 100 {
			e.once("burst", "10", "1000")
			if n%25 == 0 {
				e.settle() // the copy, if it is one, must not lose sight of the log
			}
		}
		time.Sleep(time.Second)
		c.pause(false)
		time.Sleep(10 * time.Second)
		if got := c.status(); got != websocket.StatusTryAgainLater {
			t.Fatalf("got status %d, want 1013", got)
		}
		seen := uint64(0)
		for _, m := range c.takeMessages() {
			if m.Type != wire.TypeEvent || m.Seq != seen+1 {
				t.Fatalf("got %s after %d", brief(m), seen)
			}
			seen = m.Seq
		}
		c = e.dial()
		c.open(1, "ada", `"subs":["said"]`, resume(log, seen))
		e.settle()
		got := c.take()
		if len(got) != 2 || !strings.HasPrefix(got[0], "1 opened 1000 resumed lost slow ") {
			t.Errorf("got %q", got)
		}
	}, roomOptions(actor.Options{LogBytes: 4 << 10}), smallStore)
}

// TestVolatile: volatile events are dropped for a blocked reader, and of several with
// Latest only the newest comes.
func TestVolatile(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.open(1, "ada", `"subs":["said","moved"]`)
		e.settle()
		c.take()
		if !e.lagging { // a copy may show one after the other
			e.once("moveLatest", `"a"`, "5")
			e.settle()
			c.expect(`1 event 0 moved "aiiii"`)
		}
		c.pause(true)
		e.say("one") // is read, by a read that was under way
		e.settle()
		e.say("two", "three")
		e.settle()
		e.once("move", `"stale"`)
		e.settle()
		c.pause(false)
		e.settle()
		e.once("move", `"fresh"`)
		e.settle()
		c.expect(`1 event 1 said "one"`, `1 event 2 said "two"`, `1 event 3 said "three"`, `1 event 3 moved "fresh"`)
		// Behind what its copy has skipped, a reader does not see that there was one.
		if n := e.g.Stats().Volatile; n != 1 && !(e.falling && n == 0) {
			t.Errorf("%d events were counted as dropped, want 1", n)
		}
	})
}

// TestG3_CutsOverTCP is TestG3_RandomCuts with real sockets: links that break
// while frames are under way.
func TestG3_CutsOverTCP(t *testing.T) {
	e, url := newTCP(t)
	first := dialTCP(t, url)
	first.open(1, "ada", `"subs":["said"]`)
	first.await("at", func(got []wire.ServerMessage) bool { return len(got) == 2 })
	log := first.logOf(1)
	first.cut()
	stop, talked := make(chan struct{}), make(chan int)
	ahead := make(chan struct{}, 3000) // of the reader, which may be slower: more than is in memory
	go func() {
		n := 0
		for {
			select {
			case <-stop:
				talked <- n
				return
			case ahead <- struct{}{}:
				n++
				e.once("say", fmt.Sprintf(`"t%d %s"`, n, strings.Repeat("x", rand.IntN(1000))))
			}
		}
	}()
	seen, last := uint64(0), 0
	take := func(c *client) {
		for _, m := range c.takeMessages() {
			if m.Lost != nil {
				t.Fatalf("lost %+v", m.Lost)
			}
			seen = max(seen, m.Seq)
			if m.Type != wire.TypeEvent {
				continue
			}
			var i int
			if _, err := fmt.Sscanf(string(m.Data), `"t%d `, &i); err != nil || i != last+1 {
				t.Fatalf("got %.40s after t%d", m.Data, last)
			}
			last = i
			<-ahead
		}
	}
	open := func() *client {
		c := dialTCPRaw(t, url)
		c.open(1, "ada", `"subs":["said"]`, resume(log, seen))
		return c
	}
	for range 30 {
		c := open()
		n := rand.IntN(200)
		c.await("some", func(got []wire.ServerMessage) bool { return len(got) > n })
		c.cut()
		take(c)
	}
	close(stop)
	n := <-talked
	c := open()
	c.await("all", func(got []wire.ServerMessage) bool {
		return len(got) > 0 && got[len(got)-1].Seq == uint64(n)
	})
	c.cut()
	take(c)
	if last != n {
		t.Errorf("got the talk up to %d, want %d", last, n)
	}
}

// TestHostileTCP: links that break in the middle of a frame, or send nothing at all,
// leave nothing behind.
func TestHostileTCP(t *testing.T) {
	e, url := newTCP(t, gatewayOptions(gateway.Options{}))
	upgrade := "GET /api/socket?v=1 HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n" +
		"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n"
	for _, after := range []string{"", "\x81", "\x81\xfe\xff\xff", "\x81\x85\x00\x00\x00\x00he", "\x88\x80\x00\x00\x00\x00", "\xff\xff\xff\xff"} {
		conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Write([]byte(upgrade + after)); err != nil {
			t.Fatal(err)
		}
		if _, err := conn.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
		_ = conn.Close()
	}
	for deadline := time.Now().Add(10 * time.Second); e.g.Sockets() > 0; runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatalf("%d sockets are left", e.g.Sockets())
		}
	}
}
