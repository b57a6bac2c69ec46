package gateway_test

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"github.com/troupe-dev/troupe/backend/store"
	"github.com/troupe-dev/troupe/backend/store/memory"
)

// logOf returns the identity of the log from an opened, for resumes.
func (c *client) logOf(channel uint32) string {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range c.got {
		if m.Channel == channel && m.Log != "" {
			return m.Log
		}
	}
	c.t.Fatalf("channel %d was not opened: got %v", channel, c.got)
	return ""
}

// resume is the fields of an open that resumes after seq.
func resume(log string, seq uint64) string { return fmt.Sprintf(`"log":%q,"s":%d`, log, seq) }

// until19 brings the log of the lobby to number 19: 18 events and a reply.
func until19(e *env) *client {
	e.t.Helper()
	c := e.dial()
	c.open(1, "bob", `"subs":["joined"]`)
	c.call(1, 1, "burst", 18, 1)
	e.settle()
	c.expect("1 opened 0", "1 at 0", "1 reply 19 #1 ")
	return c
}

// TestTrace1_Join: with the head at 19, a newcomer's own joining is the first event that
// it sees.
func TestTrace1_Join(t *testing.T) {
	runOver(t, func(t *testing.T, e *env) {
		bob := until19(e)
		ada := e.dial()
		ada.open(1, "ada", `"subs":["joined"]`, `"params":{"greet":true}`)
		e.settle()
		joined := fmt.Sprintf(`1 event 20 joined "%s"`, connOf("ada"))
		ada.expect("1 opened 19", joined, `1 event 21 welcome "hello"`, "1 at 21")
		bob.expect(joined)
	})
}

// TestTrace2_Crash: a server dies when two of three calls are durable and none is
// answered.
func TestTrace2_Crash(t *testing.T) {
	runOver(t, func(t *testing.T, e *env) {
		crash := e.store.(*crashStore)
		until19(e)
		ada := e.dial()
		ada.open(1, "ada", `"subs":["said"]`)
		e.settle()
		log := ada.logOf(1)
		ada.expect("1 opened 19", "1 at 19")

		// The store is busy with another room while the calls run, so that their
		// three commits are one group: two of it become durable.
		crash.arm(2)
		bob := e.dial()
		bob.open(1, "bob", `"key":["other"]`)
		e.settle()
		ada.send("[" + callFrame(1, 1, "say", "hi") + "," + callFrame(1, 2, "mark") + "," + callFrame(1, 3, "mark") + "]")
		e.settle()
		crash.release()
		e.settle()
		ada.expect() // nothing leaves before it is durable

		e.g.Quiesce() // a dead process sends nothing, and notices no drop
		ada.cut()
		crash.kill()
		e.restartOn(crash.Store)

		ada = e.dial()
		ada.open(1, "ada", `"subs":["said"]`, resume(log, 19))
		e.settle()
		ada.expect("1 opened 19 resumed", `1 event 20 said "hi"`, "1 reply 21 #1 19", "1 reply 22 #2 20", "1 at 22")
		ada.call(1, 3, "mark")
		e.settle()
		ada.expect("1 reply 23 #3 21")
	}, func(e *env) {
		e.store = &crashStore{Store: memory.New(memory.Options{}), killed: make(chan struct{}), held: make(chan struct{})}
	})
}

// restartOn is restart with another view on what is stored.
func (e *env) restartOn(s store.Store) {
	e.stop()
	e.store = s
	e.start()
}

// crashStore is a store whose process dies in the middle of a group commit.
type crashStore struct {
	store.Store
	killed, held chan struct{}

	mu    sync.Mutex
	armed bool
	left  int // commits that become durable once armed and released
	first bool
}

func (s *crashStore) Immediate() bool { return false }

// arm holds the next group until release; of the one after it only the first n commits
// are kept, and none is acknowledged.
func (s *crashStore) arm(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.armed, s.left, s.first = true, n, true
}

func (s *crashStore) release() { close(s.held) }
func (s *crashStore) kill()    { close(s.killed) }

func (s *crashStore) Commit(ctx context.Context, group []*store.Commit) []error {
	s.mu.Lock()
	armed, first := s.armed, s.first
	s.first = false
	s.mu.Unlock()
	switch {
	case !armed:
		return s.Store.Commit(ctx, group)
	case first:
		<-s.held
		return s.Store.Commit(ctx, group)
	}
	for _, c := range group[:min(len(group), s.left)] {
		s.left--
		s.Store.Commit(ctx, []*store.Commit{c})
	}
	<-s.killed
	errs := make([]error, len(group))
	for i := range errs {
		errs[i] = store.ErrConflict
	}
	return errs
}
