package gateway_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/coder/websocket"

	"github.com/troupe-dev/troupe/backend/actor"
	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
	"github.com/troupe-dev/troupe/backend/wire"
)

// TestStoreReadsAreShared: many clients that come back to the same location read the
// store once, and a failing store costs them their socket, not their events.
func TestStoreReadsAreShared(t *testing.T) {
	const readers, events = 50, 640
	slow := &countingStore{}
	run(t, func(t *testing.T, e *env) {
		first := e.dial()
		var log string
		for i := range readers {
			first.open(i+1, fmt.Sprint("c", i), `"subs":["said"]`)
			e.settle()
			log = first.logOf(uint32(i + 1))
		}
		first.cut()
		for range events / 64 {
			e.once("burst", "64", "50")
		}
		slow.fails.Store(true)
		c := e.dial()
		c.open(1, "c0", `"subs":["said"]`, resume(log, 0))
		time.Sleep(10 * time.Second)
		if got := c.status(); got != websocket.StatusTryAgainLater {
			t.Errorf("got status %d from a store that fails, want 1013", got)
		}
		slow.fails.Store(false)
		slow.reads.Store(0)
		slow.delay.Store(int64(100 * time.Millisecond))
		c = e.dial()
		c.send(openFrames(readers, resume(log, 0)))
		time.Sleep(10 * time.Second)
		slow.delay.Store(0)
		if n := len(c.take()); n != readers*(1+events+1) {
			t.Errorf("got %d messages, want %d", n, readers*(1+events+1))
		}
		// Copies of logs are up to 40 ms late, each opening as it comes.
		if n := slow.reads.Load(); n > 5*events/64 {
			t.Errorf("the store was read %d times for %d readers at the same location", n, readers)
		}
	}, roomOptions(actor.Options{LogBytes: 4 << 10}), slowStore(slow))
}

// TestStoreReadsAreShared_later: clients that come to the same location a little later do
// not read the store again; what was read is forgotten after some time, or if it is too
// much.
func TestStoreReadsAreShared_later(t *testing.T) {
	const readers, events = 20, 640
	slow := &countingStore{}
	run(t, func(t *testing.T, e *env) {
		if e.falling {
			return // its clients read the store more often
		}
		first := e.dial()
		for i := range readers {
			first.open(i+1, fmt.Sprint("c", i), `"subs":["said"]`)
		}
		e.settle()
		log := first.logOf(1)
		first.cut()
		for range events / 64 {
			e.once("burst", "64", "50")
		}
		e.once("burst", "512", "8000")
		witness := e.dial() // so that a copy of the log stays
		witness.open(1, "witness")
		e.settle()
		// back reads as another connection; it returns how often the store was read.
		back := func(i int, after uint64, want int) int32 {
			slow.reads.Store(0)
			c := e.dial()
			c.open(1, fmt.Sprint("c", i), `"subs":["said"]`, resume(log, after))
			time.Sleep(100 * time.Millisecond)
			if e.remote {
				time.Sleep(time.Duration(1+want/200) * time.Second) // requests to another node take time
			}
			if n := len(c.take()); n != 1+want+1 {
				t.Errorf("c%d got %d messages, want %d", i, n, 1+want+1)
			}
			c.cut()
			return slow.reads.Load()
		}
		const little = 15
		const near = events + 512 - little
		once := back(0, near, little)
		if once == 0 {
			t.Fatal("the store was not read")
		}
		for i := range readers {
			if n := back(i, near, little); n > 0 {
				t.Errorf("c%d read the store %d times again", i, n)
			}
		}
		time.Sleep(10 * time.Second)
		if n := back(1, near, little); n != once {
			t.Errorf("the store was read %d times after a while, want %d", n, once)
		}
		back(2, 0, events+512)
		if n := back(3, near, little); n != once {
			t.Errorf("the store was read %d times after much else was, want %d", n, once)
		}
	}, roomOptions(actor.Options{LogBytes: 4 << 10}), slowStore(slow))
}

// openFrames is a frame that opens n channels, for the connections c0, c1…
func openFrames(n int, resume string) string {
	var opens []string
	for i := range n {
		opens = append(opens, openFrame(i+1, fmt.Sprint("c", i), `"subs":["said"]`, resume))
	}
	return "[" + strings.Join(opens, ",") + "]"
}

// TestGapScansAreShared: the gaps of many clients that come back too late, to the same
// location, are counted in the same reads.
func TestGapScansAreShared(t *testing.T) {
	const readers, events = 50, 640
	slow := &countingStore{}
	run(t, func(t *testing.T, e *env) {
		first := e.dial()
		var log string
		for i := range readers {
			first.open(i+1, fmt.Sprint("c", i))
			e.settle()
			log = first.logOf(uint32(i + 1))
		}
		first.cut()
		time.Sleep(150 * time.Second)
		for range events / 64 {
			e.once("burst", "64", "50")
		}
		slow.reads.Store(0)
		slow.delay.Store(int64(100 * time.Millisecond))
		c := e.dial()
		c.send(openFrames(readers, resume(log, 0)))
		time.Sleep(10 * time.Second)
		slow.delay.Store(0)
		got := c.takeMessages()
		if len(got) != 2*readers || got[0].Lost == nil || *got[0].Lost != (wire.Lost{Reason: wire.ReasonExpired, Missed: events, Exact: true}) {
			t.Errorf("got %d messages, first %s", len(got), brief(got[0]))
		}
		// Copies of logs are up to 40 ms late, each opening as it comes.
		if n := slow.reads.Load(); n > 5*events/64 {
			t.Errorf("the store was read %d times for %d readers at the same location", n, readers)
		}
	}, roomOptions(actor.Options{LogBytes: 4 << 10}), slowStore(slow))
}

// TestGapScansStartLate: a caller's replies are searched from where its client has seen
// everything, not in all that is retained.
func TestGapScansStartLate(t *testing.T) {
	slow := &countingStore{}
	run(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.open(1, "ada")
		c.call(1, 1, "mark")
		e.settle()
		log := c.logOf(1)
		for range 10 {
			e.once("burst", "64", "50")
		}
		c.call(1, 2, "mark") // its reply is lost
		e.settle()
		c.cut()
		time.Sleep(130 * time.Second) // the connection is forgotten, the log is not
		e.once("burst", "5", "1000")
		slow.reads.Store(0)
		c = e.dial()
		c.open(1, "ada", `"subs":["said"]`, `"ack":1`, resume(log, 641))
		e.settle()
		c.expect("1 opened 647 lost expired 5 true", "1 reply 647 #2 642", "1 at 647")
		if n := slow.reads.Load(); n > 2 {
			t.Errorf("the store was read %d times for 6 entries", n)
		}
	}, roomOptions(actor.Options{LogBytes: 4 << 10}), slowStore(slow))
}

// TestGapScansTakeTurns: clients that read a lot do not delay those that read little.
func TestGapScansTakeTurns(t *testing.T) {
	const walkers = 8
	slow := &countingStore{}
	run(t, func(t *testing.T, e *env) {
		first := e.dial()
		for i := range walkers {
			first.open(i+1, fmt.Sprint("c", i))
		}
		e.settle()
		log := first.logOf(1)
		first.cut()
		time.Sleep(150 * time.Second)
		ada := e.dial()
		ada.open(1, "ada", `"subs":["said"]`)
		e.settle()
		ada.cut()
		for range 20 {
			e.once("burst", "64", "50")
		}
		slow.delay.Store(int64(time.Second))
		c := e.dial()
		for i := range walkers { // each from another place
			c.open(i+1, fmt.Sprint("c", i), `"subs":["said"]`, resume(log, uint64(i)))
		}
		e.settle()
		ada = e.dial()
		ada.open(1, "ada", `"subs":["said"]`, resume(log, 1230)) // reads twice, a second each, among 8 others for 4 readers
		time.Sleep(8 * time.Second)
		slow.delay.Store(0)
		if got := ada.take(); len(got) != 1+50+1 {
			t.Errorf("got %d messages after 8 s, want all 52", len(got))
		}
		e.settle()
	}, roomOptions(actor.Options{LogBytes: 4 << 10}), slowStore(slow))
}

// TestGapScansOfAnAddress: an address does not have all places of gap scans.
func TestGapScansOfAnAddress(t *testing.T) {
	const walkers = 8
	slow := &countingStore{}
	run(t, func(t *testing.T, e *env) {
		first := e.dial()
		for i := range walkers + 1 {
			first.open(i+1, fmt.Sprint("c", i))
		}
		e.settle()
		log := first.logOf(1)
		first.cut()
		time.Sleep(150 * time.Second)
		for range 20 {
			e.once("burst", "64", "50")
		}
		slow.delay.Store(int64(time.Second))
		dial := func(addr string) *client {
			c := dialPipe(t, from(addr, e.h))
			e.clients = append(e.clients, c)
			e.settle()
			c.expect("hello")
			return c
		}
		eve := dial("192.0.2.1:7")
		for i := range walkers { // each from another place, 20 s and more
			eve.open(i+1, fmt.Sprint("c", i), resume(log, uint64(i)))
		}
		e.settle()
		ada := dial("192.0.2.2:7")
		ada.open(1, fmt.Sprint("c", walkers), resume(log, 1230))
		time.Sleep(5 * time.Second)
		slow.delay.Store(0)
		if got := ada.take(); len(got) == 0 {
			t.Error("a short scan of another address has not ended after 5 s")
		}
		e.settle()
	}, roomOptions(actor.Options{LogBytes: 4 << 10}), slowStore(slow))
}

// slowStore puts a countingStore on top of a new store.
func slowStore(s *countingStore) setup {
	return func(e *env) {
		s.Store = memory.New(memory.Options{})
		s.delay.Store(0)
		e.store = s
	}
}

// TestEndWhileReadingTheStore: a connection that ends while its client is far behind gets
// what came before the end, and nothing after it.
func TestEndWhileReadingTheStore(t *testing.T) {
	run(t, func(t *testing.T, e *env) {
		c := e.dial()
		c.open(1, "ada", `"subs":["said"]`)
		e.settle()
		c.take()
		c.pause(true)
		e.say("is read") // by a read that was under way
		e.settle()
		e.say("is not")
		burst := func() {
			for range 10 {
				e.once("burst", "5", "500")
			}
			e.settle()
		}
		burst()
		c.call(1, 1, "fail", "no") // an answer for which there is no entry
		e.settle()
		e.once("kick", fmt.Sprintf("%q", connOf("ada")))
		burst()
		c.pause(false)
		e.settle()
		got := c.takeMessages()
		if len(got) != 2+50+2 {
			t.Fatalf("got %d messages, want 52 events, a fail and a closed", len(got))
		}
		for i, m := range got[:52] {
			if m.Type != wire.TypeEvent || m.Seq != uint64(i+1) {
				t.Fatalf("got %s as the %d.", brief(m), i+1)
			}
		}
		if fail, closed := brief(got[52]), brief(got[53]); fail != `1 fail #1 no{"n":1}` || closed != "1 closed disconnected false" {
			t.Errorf("got %s and %s in the end", fail, closed)
		}
		c.isOpen()
	}, roomOptions(actor.Options{LogBytes: 4 << 10}))
}

// oldStore has entries of an older version, with bytes that are not UTF-8.
type oldStore struct{ store.Store }

func (s oldStore) Entries(ctx context.Context, id string, after uint64, limit, maxBytes int) ([]store.Entry, error) {
	entries, err := s.Store.Entries(ctx, id, after, limit, maxBytes)
	for i := range entries {
		entries[i].Data = bytes.ReplaceAll(entries[i].Data, []byte("old"), []byte("o\xffd"))
	}
	return entries, err
}

// TestStoredBytesThatAreNotUTF8: entries of an older version with bytes that are not UTF-8
// are replayed with U+FFFD in their place, and logged once per actor.
func TestStoredBytesThatAreNotUTF8(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		e := newEnv(t, roomOptions(actor.Options{LogBytes: 1 << 10}), func(e *env) {
			e.store = oldStore{memory.New(memory.Options{})}
		})
		defer e.stop()
		c := e.dial()
		c.open(1, "ada", `"subs":["said"]`)
		e.settle()
		log := c.logOf(1)
		c.cut()
		for range 100 {
			e.say("old")
		}
		for i := range 2 {
			c = e.dial()
			c.open(1, "ada", resume(log, 0), `"subs":["said"]`)
			e.settle()
			replaced := 0
			for _, m := range c.takeMessages() {
				if m.Type == wire.TypeEvent && string(m.Data) == "\"o\uFFFDd\"" {
					replaced++
				}
			}
			if c.isOpen(); replaced < 50 {
				t.Errorf("replay %d: got %d events with U+FFFD, want those that are no longer in memory", i, replaced)
			}
			c.cut()
			time.Sleep(10 * time.Second) // what was read is forgotten
		}
		if n := strings.Count(e.logs.String(), "stored bytes that are not UTF-8 were replaced"); n != 1 {
			t.Errorf("the log says so %d times, want once", n)
		}
	})
}

// countingStore counts reads of entries, and fails them or takes long if asked to.
type countingStore struct {
	store.Store
	reads atomic.Int32
	fails atomic.Bool
	delay atomic.Int64 // a time.Duration
}

func (s *countingStore) Entries(ctx context.Context, id string, after uint64, limit, maxBytes int) ([]store.Entry, error) {
	s.reads.Add(1)
	if s.fails.Load() {
		return nil, errors.New("no disk")
	}
	time.Sleep(time.Duration(s.delay.Load()))
	return s.Store.Entries(ctx, id, after, limit, maxBytes)
}
