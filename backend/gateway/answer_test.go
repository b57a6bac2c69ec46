package gateway_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/coder/websocket"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/gateway"
	"github.com/troupe-dev/troupe/backend/store/memory"
	"github.com/troupe-dev/troupe/backend/wire"
)

// TestG8_AnswersToStuckReader: the answers that wait for a client that does not read are
// bounded, whatever it called.
func TestG8_AnswersToStuckReader(t *testing.T) {
	const channels, calls, size = 10, 6, 250_000
	run(t, func(t *testing.T, e *env) {
		c := e.dial()
		for i := range channels {
			c.open(i+1, fmt.Sprint("c", i))
		}
		e.settle()
		c.take()
		c.pause(true)
		before := heap()
		frame := make([]string, 0, channels*calls)
		for n := range calls {
			for i := range channels {
				frame = append(frame, callFrame(i+1, n+1, "big", size))
			}
		}
		c.send("[" + strings.Join(frame, ",") + "]")
		time.Sleep(5 * time.Second)
		// All are accepted before the first is answered. They are 15 MB; the log keeps
		// 1 MiB (but what copies are made of, all).
		if grown := heap() - before; grown > 8<<20 && !e.lagging {
			t.Errorf("the heap has grown by %d MB", grown>>20)
		}
		c.pause(false)
		time.Sleep(5 * time.Second)
		c.isOpen()
		next := map[uint32]uint64{}
		whole := 0
		for _, m := range c.takeMessages() {
			if next[m.Channel]++; m.ID != next[m.Channel] {
				t.Fatalf("got %s as the %d. of its channel", brief(m), next[m.Channel])
			}
			switch {
			case m.Type == wire.TypeReply && len(m.Data) == size+2:
				whole++
			case m.Type != wire.TypeFail || m.Code != wire.CodeOverloaded:
				t.Fatalf("got %s", brief(m))
			}
		}
		if len(next) != channels || next[1] != calls || next[channels] != calls || whole < 5 {
			t.Errorf("got %v answers by channel, %d of them whole", next, whole)
		}
		c.call(1, calls+1, "big", size) // and all is as before
		e.settle()
		c.expect(fmt.Sprintf("1 reply 0 #%d %d bytes", calls+1, size+2))
	})
}

// TestG8_CallsOfStuckReader: no more calls of a client are accepted while it does
// not take the answers to those before.
func TestG8_CallsOfStuckReader(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.open(1, "ada")
		e.settle()
		c.take()
		c.pause(true)
		sent := make(chan int)
		go func() {
			n := 0
			for c.ws.Write(context.Background(), websocket.MessageText, []byte(callFrame(1, n+1, "big", 100_000))) == nil {
				n++
				time.Sleep(10 * time.Millisecond)
			}
			sent <- n
		}()
		time.Sleep(10 * time.Second)
		if n := e.g.Sockets(); n != 1 {
			t.Errorf("%d sockets, want 1", n)
		}
		time.Sleep(15 * time.Second) // now the write is blocked for too long
		if n := e.g.Sockets(); n != 0 {
			t.Errorf("%d sockets are left", n)
		}
		if n := <-sent; n > 20 {
			t.Errorf("%d calls were read while their answers were not", n)
		}
	}, gatewayOptions(gateway.Options{Limits: wire.Limits{Rate: 1e6, Burst: 1e6}}))
}

// TestG8_LargeAnswers: a client that keeps reading is never cut off, however large its
// answers are and however slowly it reads them.
func TestG8_LargeAnswers(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.open(1, "ada")
		e.settle()
		c.take()
		want, rounds := 0, 20
		if testing.Short() {
			rounds = 5
		}
		for round := range rounds {
			var frame []string
			for n := range 3 {
				frame = append(frame, callFrame(1, 3*round+n+1, "big", 300_000))
			}
			c.send("[" + strings.Join(frame, ",") + "]")
			e.settle()
			for _, m := range c.takeMessages() {
				if want++; m.Type != wire.TypeReply || m.ID != uint64(want) {
					t.Fatalf("got %s, want reply %d", brief(m), want)
				}
			}
			c.isOpen()
		}
		if want != 3*rounds {
			t.Errorf("got %d replies, want %d", want, 3*rounds)
		}
		// 1.2 MB at 16 KiB a second. Its reader has to wait for longer than the client
		// may be silent.
		c.pause(true)
		c.call(1, want+1, "echo", "x") // is read, by a read that was under way
		e.settle()
		c.send("[" + callFrame(1, want+2, "big", 300_000) + "," + callFrame(1, want+3, "big", 300_000) + "," +
			callFrame(1, want+4, "big", 300_000) + "," + callFrame(1, want+5, "big", 300_000) + "]")
		for got, b := 0, make([]byte, 16<<10); got < 1_200_000; time.Sleep(time.Second) {
			n, err := c.conn.Read(b)
			if err != nil {
				t.Fatalf("%v after %d bytes", err, got)
			}
			got += n
		}
	}, roomOptions(actor.Options{LogBytes: 64 << 10}))
}

// TestG8_SlowStore: a client is not taken for dead because its reader waits for answers
// that cannot leave before a slow store has returned what comes first.
func TestG8_SlowStore(t *testing.T) {
	var slow *countingStore
	run(t, func(t *testing.T, e *env) {
		slow.delay.Store(0)
		c := e.dial()
		c.open(1, "ada", `"subs":["said"]`)
		e.settle()
		log := c.logOf(1)
		c.cut()
		e.once("burst", "10", "1000")
		e.say("last")
		slow.delay.Store(int64(40 * time.Second))
		c = e.dial()
		c.open(1, "ada", `"subs":["said"]`, resume(log, 0))
		c.setDeaf(true) // its answers to beats would not be read
		c.send("[" + callFrame(1, 1, "big", 300_000) + "," + callFrame(1, 2, "big", 300_000) + "," + callFrame(1, 3, "big", 300_000) + "]")
		e.settle()
		go c.try(wire.Beat)
		time.Sleep(50 * time.Second)
		c.setDeaf(false)
		time.Sleep(5 * time.Minute)
		c.isOpen()
		if got := c.take(); len(got) != 1+11+1+3 || got[12] != "1 at 11" {
			t.Errorf("got %d messages: %q", len(got), got)
		}
		slow.delay.Store(0)
	}, roomOptions(actor.Options{LogBytes: 4 << 10}), func(e *env) {
		slow = &countingStore{Store: memory.New(memory.Options{Retention: time.Hour})}
		e.store = slow
	})
}
