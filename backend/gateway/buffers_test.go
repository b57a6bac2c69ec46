package gateway_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/troupe-dev/troupe/backend/gateway"
	"github.com/troupe-dev/troupe/backend/wire"
)

const bufferLimit = 200_000

var limitedBuffers = gatewayOptions(gateway.Options{MaxBuffers: bufferLimit, Limits: wire.Limits{Rate: 1e6, Burst: 1e6}})

// empty fails the test if the gateway holds something.
func (e *env) empty() {
	e.t.Helper()
	e.settle()
	if n := e.g.Buffers(); n != 0 {
		e.t.Errorf("the gateway counts %d bytes that it holds, want 0", n)
	}
}

// TestG8_BuffersInAll: clients that stop reading cost a bounded amount of memory in all:
// beyond, they are cut off at once, new sockets are refused, and clients that read are
// not affected. Those cut off come back without a gap.
func TestG8_BuffersInAll(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		good := e.dial()
		good.open(1, "good", `"subs":["said"]`)
		var stuck []*client
		for i := range 20 {
			c := e.dial()
			c.open(1, fmt.Sprint("c", i), `"subs":["said"]`)
			stuck = append(stuck, c)
			synctest.Wait() // over a pipe every frame is held for a moment
		}
		e.settle()
		log := good.logOf(1)
		good.take()
		for _, c := range stuck {
			c.pause(true)
		}
		e.say("is read") // by reads that were under way
		e.settle()
		e.once("burst", "1", "30000")
		e.settle()
		if n := e.g.Buffers(); n < bufferLimit {
			t.Errorf("%d bytes are held, want more than %d", n, bufferLimit)
		}
		if got := good.take(); len(got) != 2 {
			t.Errorf("the client that reads got %d events, want 2", len(got))
		}
		w := httptest.NewRecorder()
		e.h.ServeHTTP(w, httptest.NewRequest("POST", "/api/actors/room/actions/echo?key=a", strings.NewReader(`{"args":["x"]}`)))
		if w.Code != 503 || w.Header().Get("Retry-After") != "5" || !strings.Contains(w.Body.String(), `"max-buffers"`) {
			t.Errorf("a call over HTTP got %d %s", w.Code, w.Body)
		}
		good.call(1, 1, "echo", "x")
		good.open(2, "more")
		const full = `overloaded{"limit":200000,"option":"max-buffers","retryAfterMs":5000}`
		if _, got := e.knock("127.0.0.1:1"); got != "error "+full+", 1013" {
			t.Errorf("a new socket got %q", got)
		}
		if got := good.takeMessages(); len(got) != 2 || said(got[0]) != "1 fail "+full ||
			!strings.HasPrefix(said(got[1]), "2 closed overloaded true") {
			t.Errorf("new work got %v", got)
		}
		time.Sleep(3 * time.Second)
		if n := e.g.Sockets(); n > 1+bufferLimit/30_000 {
			t.Errorf("%d sockets are left, want no more than there is room for", n)
		}
		if n := e.g.Buffers(); n >= bufferLimit {
			t.Errorf("%d bytes are still held", n)
		}
		back := e.dial()
		back.open(1, "c0", `"subs":["said"]`, resume(log, 1))
		e.settle()
		if got := back.take(); len(got) != 3 || got[0] != "1 opened 1 resumed" {
			t.Errorf("the client that came back got %q", got)
		}
		time.Sleep(time.Minute) // those that are left have had their time, with their beat
		e.empty()
	}, limitedBuffers)
}

// TestG8_BuffersAreReleased: however a socket ends, what it held is released.
func TestG8_BuffersAreReleased(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		for i, end := range []func(*client){
			func(c *client) { c.pause(false) },
			func(c *client) { c.cut() },
			func(c *client) { time.Sleep(25 * time.Second) },
			func(c *client) { c.send(`{"t":"close","c":1}`); c.cut() },
			func(c *client) { _ = c.conn.Close() },
		} {
			c := e.dial()
			c.open(1, fmt.Sprint("c", i), `"subs":["said"]`)
			e.settle()
			c.pause(true)
			e.say("is read", "is written")
			e.settle()
			e.once("burst", "3", "30000")
			for id := range 20 {
				c.try(callFrame(1, id+1, "big", 9000)) // answers that are kept
				c.try(callFrame(9, id+1, "nope"))      // and messages of the socket's own
			}
			e.settle()
			if n := e.g.Buffers(); n < 10_000 {
				t.Errorf("%d: %d bytes are counted, want some", i, n)
			}
			end(c)
			e.empty()
			c.cut()
		}
		e.empty()
	}, limitedBuffers)
}

// TestG8_BuffersAreReleased_http is the same over HTTP.
func TestG8_BuffersAreReleased_http(t *testing.T) {
	runHTTP(t, func(t *testing.T, e *env) {
		for i, end := range []func(*client){
			func(c *client) { c.pause(false) },
			func(c *client) { c.cut() },
			func(*client) {},
		} {
			c := e.dial()
			c.open(1, fmt.Sprint("c", i), `"subs":["said"]`)
			e.settle()
			c.pause(true)
			e.say("is read")
			e.settle()
			e.once("burst", "3", "30000")
			e.settle()
			if n := e.g.Buffers(); n == 0 {
				t.Errorf("%d: %d bytes are counted, want some", i, n)
			}
			end(c)
			time.Sleep(25 * time.Second)
			e.empty()
			c.cut()
		}
	}, limitedBuffers)
}

// TestG9_FramesByteByByte: frames that have only partly arrived are counted, and given up
// after a while, or at once while the buffers are full.
func TestG9_FramesByteByByte(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		// A masked text frame of 200 KiB, of which half comes.
		head := []byte{0x81, 0xff, 0, 0, 0, 0, 0, 3, 0x20, 0, 0, 0, 0, 0}
		half := append(head, bytes.Repeat([]byte("x"), 100<<10)...)
		all := []*client{e.dial(), e.dial(), e.dial()}
		for _, c := range all {
			go func() { _, _ = c.conn.Write(half) }()
			time.Sleep(5 * time.Second)
		}
		// The room for one is less than twice what has come of it.
		const limit = 250_000
		if n := e.g.Buffers(); n < 100_000 || n > limit {
			t.Errorf("%d bytes are counted, want those of one or two", n)
		}
		first := all[0]
		first.isOpen()
		if second, third := all[1].status(), all[2].status(); max(second, third) != websocket.StatusTryAgainLater {
			t.Errorf("the others got status %d and %d, want 1013 for one", second, third)
		}
		for range 14 {
			time.Sleep(time.Second)
			_, _ = first.conn.Write([]byte("x")) // it is there, but slow
		}
		first.isOpen()
		time.Sleep(time.Minute)
		if n := e.g.Sockets(); n != 0 {
			t.Errorf("%d sockets are left", n)
		}
		e.empty()
	}, gatewayOptions(gateway.Options{MaxBuffers: 250_000}))
}

// TestHTTP_BodiesAndAnswersAreBounded: bodies and answers of calls count, too.
func TestHTTP_BodiesAndAnswersAreBounded(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		l := newPipeListener()
		server := &http.Server{Handler: e.h}
		served := make(chan error)
		go func() { served <- server.Serve(l) }()
		dial := func() net.Conn {
			c, err := l.dial(context.Background(), "", "")
			if err != nil {
				t.Fatal(err)
			}
			return c
		}
		request := func(action string, length int, body string) string {
			return fmt.Sprintf("POST /api/actors/room/actions/%s?key=a HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", action, length, body)
		}
		var slow []net.Conn
		for range 4 { // half a body
			c := dial()
			go func() { _, _ = c.Write([]byte(request("echo", 60_000, strings.Repeat(" ", 40_000)))) }()
			slow = append(slow, c)
		}
		e.settle()
		if n := e.g.Buffers(); n < 150_000 || n > bufferLimit {
			t.Errorf("%d bytes are counted for 4 bodies", n)
		}
		c := dial()
		go func() { _, _ = c.Write([]byte(request("echo", 60_000, strings.Repeat(" ", 60_000)))) }()
		if got := readSome(c); !strings.Contains(got, "503 Service Unavailable") || !strings.Contains(got, "max-buffers") {
			t.Errorf("one more got %q", got)
		}
		_ = c.Close()
		time.Sleep(31 * time.Second)
		e.empty()
		for _, c := range slow {
			_ = c.Close()
		}

		c = dial() // does not read its answer
		go func() { _, _ = c.Write([]byte(request("big", 15, `{"args":[90000]}`[:15]) + "}")) }()
		e.settle()
		c2 := dial()
		go func() { _, _ = c2.Write([]byte(request("big", 16, `{"args":[90000]}`))) }()
		e.settle()
		if n := e.g.Buffers(); n < 90_000 {
			t.Errorf("%d bytes are counted for an answer", n)
		}
		time.Sleep(31 * time.Second)
		e.empty()
		_, _ = c.Close(), c2.Close()
		if err := server.Shutdown(context.Background()); err != nil {
			t.Error(err)
		}
		if err := <-served; err != http.ErrServerClosed {
			t.Error(err)
		}
	}, limitedBuffers)
}

func readSome(c net.Conn) string {
	b := make([]byte, 4096)
	n, _ := c.Read(b)
	return string(b[:n])
}
